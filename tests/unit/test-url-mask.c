/* What a server answers does not tell the URL that it was asked by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "url-mask.h"

#define URL "https://someone:passphrase@hooks.example.net:8443/services/T00000000/B11111111?token=abcdef&v=1"

static void check(const char *text, const char *wanted) {
        char *copy = strdup(text);

        url_mask(copy, URL);
        assert_string_equal(copy, wanted);
        free(copy);
}

static void test_path_query_and_password_are_masked(void **state) {
        (void) state;
        check("Cannot POST /services/T00000000/B11111111", "Cannot POST /********/*********/*********");
        check("no T00000000, no T00000000", "no *********, no *********");
        check("token abcdef is wrong", "token ****** is wrong");
        check("cut at T0000000", "cut at ********");
        check("cut at T0000", "cut at T0000");
        check("someone with passphrase", "******* with **********");
}

static void test_the_rest_stays(void **state) {
        (void) state;
        check("hooks.example.net:8443 is busy", "hooks.example.net:8443 is busy");
        check("v=1 is no version", "v=1 is no version");
        check("", "");
}

static void test_urls_without_a_secret(void **state) {
        char text[] = "https://example.net says no";

        (void) state;
        url_mask(text, "https://example.net");
        url_mask(text, "https://example.net/");
        url_mask(text, "");
        assert_string_equal(text, "https://example.net says no");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_path_query_and_password_are_masked),
                cmocka_unit_test(test_the_rest_stays),
                cmocka_unit_test(test_urls_without_a_secret),
        };

        return cmocka_run_group_tests_name("url-mask", tests, NULL, NULL);
}
