/* The token in an Authorization field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bearer-token.h"

static void test_token_behind_the_scheme(void **state) {
        (void) state;
        assert_string_equal(bearer_token("Bearer sk-x"), "sk-x");
        assert_string_equal(bearer_token("bearer sk-x"), "sk-x");
        assert_string_equal(bearer_token("BEARER   sk-x"), "sk-x");
}

static void test_no_token(void **state) {
        (void) state;
        assert_null(bearer_token(NULL));
        assert_null(bearer_token(""));
        assert_null(bearer_token("Bearer"));
        assert_null(bearer_token("Bearer "));
        assert_null(bearer_token("Bear"));
        assert_null(bearer_token("Bearersk-x"));
        assert_null(bearer_token("Basic dXNlcjpwYXNz"));
}

static void test_what_cannot_be_a_key(void **state) {
        (void) state;
        assert_string_equal(bearer_token("Bearer a b"), "");
        assert_string_equal(bearer_token("Bearer a\tb"), "");
        assert_string_equal(bearer_token("Bearer a\x7f"), "");
        assert_string_equal(bearer_token("Bearer \xc3\xa9"), "");
        assert_string_equal(bearer_token("Bearer \xff"), "");
}

static void test_longest_token_and_one_past_it(void **state) {
        char field[sizeof("Bearer ") + BEARER_TOKEN_BYTES_MAX + 1] = "Bearer ";
        size_t start = strlen(field);

        (void) state;
        memset(field + start, 'x', BEARER_TOKEN_BYTES_MAX);
        assert_ptr_equal(bearer_token(field), field + start);
        field[start + BEARER_TOKEN_BYTES_MAX] = 'x';
        assert_string_equal(bearer_token(field), "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_token_behind_the_scheme),
                cmocka_unit_test(test_no_token),
                cmocka_unit_test(test_what_cannot_be_a_key),
                cmocka_unit_test(test_longest_token_and_one_past_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
