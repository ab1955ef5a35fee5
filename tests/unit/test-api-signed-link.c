/* The query of a link to an image: what of it goes to the worker, and how long its answer may be kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/text.h"
#include "signed-link.h"

#define EXPIRES UINT64_C(1795478400)
#define YEAR UINT64_C(31536000)

/* The text is decoded in place and lives until the next call. */
static Uri parse(const char *text) {
        static char target[512];
        Uri uri;

        (void) snprintf(target, sizeof(target), "%s", text);
        assert_int_equal(uri_parse(target, &uri), 0);
        return uri;
}

static void check_link(const char *target, const char *expected) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        _cleanup_free_ char *text = NULL;
        Uri uri = parse(target);

        assert_int_equal(signed_link_add(&uri, parameters), 0);
        text = json_format(parameters);
        assert_string_equal(text, expected);
}

static void check_cache(const char *target, usec_t now, uint64_t seconds) {
        _cleanup_free_ char *expected = text_format("private, max-age=%llu, immutable", (unsigned long long) seconds);
        char text[SIGNED_LINK_CACHE_MAX];
        Uri uri = parse(target);

        signed_link_format_cache(&uri, now, text);
        assert_string_equal(text, expected);
}

static void test_either_part_makes_it_a_link(_unused_ void **state) {
        Uri uri = parse("/v1/images/x");

        assert_false(signed_link_is_shown(&uri));
        uri = parse("/v1/images/x?expires=1");
        assert_true(signed_link_is_shown(&uri));
        uri = parse("/v1/images/x?signature=");
        assert_true(signed_link_is_shown(&uri));
}

static void test_worker_is_given_what_stands_there(_unused_ void **state) {
        check_link("/i?expires=007&signature=XYZ", "{\"link\":{\"expires\":\"007\",\"signature\":\"XYZ\"}}");
        check_link("/i?signature=a", "{\"link\":{\"signature\":\"a\"}}");
        check_link("/i?expires=", "{\"link\":{\"expires\":\"\"}}");
}

static void test_answer_without_a_link_is_kept_for_good(_unused_ void **state) {
        check_cache("/i", 0, YEAR);
        check_cache("/i", USEC_INFINITY, YEAR);
}

static void test_no_cache_outlives_the_link(_unused_ void **state) {
        const usec_t end = EXPIRES * USEC_PER_SEC;

        check_cache("/i?expires=1795478400", end - 3600 * USEC_PER_SEC, 3600);
        check_cache("/i?expires=1795478400", end - 3600 * USEC_PER_SEC + 1, 3599);
        check_cache("/i?expires=1795478400", end - USEC_PER_SEC, 1);
        check_cache("/i?expires=1795478400", end - 1, 0);
        check_cache("/i?expires=1795478400", end, 0);
        check_cache("/i?expires=1795478400", end + USEC_PER_HOUR, 0);
        check_cache("/i?expires=1795478400", end - YEAR * USEC_PER_SEC, YEAR);
        check_cache("/i?expires=1795478400", end - (YEAR + 1) * USEC_PER_SEC, YEAR);
}

static void test_what_is_no_time_is_not_kept(_unused_ void **state) {
        check_cache("/i?signature=a", 1, 0);
        check_cache("/i?expires=", 1, 0);
        check_cache("/i?expires=never", 1, 0);
        check_cache("/i?expires=18446744073709551616", 1, 0);
        check_cache("/i?expires=18446744073710", 1, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_either_part_makes_it_a_link),
                cmocka_unit_test(test_worker_is_given_what_stands_there),
                cmocka_unit_test(test_answer_without_a_link_is_kept_for_good),
                cmocka_unit_test(test_no_cache_outlives_the_link),
                cmocka_unit_test(test_what_is_no_time_is_not_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
