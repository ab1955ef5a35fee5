/* Request targets, taken apart. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uri.h"

#define TARGET_BYTES_MAX 512

static int parse(const char *text, Uri *uri) {
        static char copy[TARGET_BYTES_MAX];

        assert_true(strlen(text) < sizeof(copy));
        (void) strcpy(copy, text);
        return uri_parse(copy, uri);
}

static void test_path_alone(void **state) {
        Uri uri;

        (void) state;
        assert_int_equal(parse("/v1/jobs", &uri), 0);
        assert_string_equal(uri.path, "/v1/jobs");
        assert_int_equal(uri.n_parameters, 0);
}

static void test_parameters_are_decoded(void **state) {
        Uri uri;

        (void) state;
        assert_int_equal(parse("/a%20b+c?limit=5&x%3D=1+2%2b3&e=", &uri), 0);
        assert_string_equal(uri.path, "/a b+c");
        assert_string_equal(uri_parameter(&uri, "limit"), "5");
        assert_string_equal(uri_parameter(&uri, "x="), "1 2+3");
        assert_string_equal(uri_parameter(&uri, "e"), "");
        assert_null(uri_parameter(&uri, "y"));
}

static void test_empty_pieces_between_ampersands_are_nothing(void **state) {
        Uri uri;

        (void) state;
        assert_int_equal(parse("/?&&a=1&", &uri), 0);
        assert_int_equal(uri.n_parameters, 1);
}

static void test_bad_targets_are_refused(void **state) {
        static const char *const bad[] = {
                "",
                "x",
                "*",
                "http://localhost/health", /* no path */
                "/%",
                "/%4",
                "/%zz",
                "/%4g", /* broken encodings */
                "/%00",
                "/a%0ab",
                "/%7f",
                "/?a=%00", /* control characters */
                "/%ff",
                "/%c0%80",
                "/?a=%ed%a0%80", /* not UTF-8 */
                "/?a",
                "/?a&b=1", /* no value */
                "/?a=1&a=2",
                "/?a=1&%61=2", /* twice */
        };
        Uri uri;

        (void) state;
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                if (parse(bad[i], &uri) != -EBADMSG)
                        fail_msg("'%s' was taken", bad[i]);
                assert_non_null(uri.problem);
                assert_non_null(uri.path);
        }
}

static void test_parameters_at_the_limit_and_one_past_it(void **state) {
        char text[128] = "/?";
        Uri uri;

        (void) state;
        for (int i = 0; i < URI_PARAMETERS_MAX; i++)
                (void) strcat(text, (const char[]){ (char) ('a' + i), '=', '1', '&', 0 });
        assert_int_equal(parse(text, &uri), 0);
        (void) strcat(text, "z=1");
        assert_int_equal(parse(text, &uri), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_path_alone),
                cmocka_unit_test(test_parameters_are_decoded),
                cmocka_unit_test(test_empty_pieces_between_ampersands_are_nothing),
                cmocka_unit_test(test_bad_targets_are_refused),
                cmocka_unit_test(test_parameters_at_the_limit_and_one_past_it),
        };

        return cmocka_run_group_tests_name("api-uri", tests, NULL, NULL);
}
