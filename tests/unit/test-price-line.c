/* Lines of etc/prices.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "conf/price-line.h"

static void assert_image(const char *line, const char *size, const char *quality, micros_t amount) {
        ImagePrice price;

        assert_int_equal(price_line_parse_image(line, &price), 0);
        assert_string_equal(price.size, size);
        assert_string_equal(price.quality, quality);
        assert_int_equal(price.amount, amount);
}

static void test_images(void **state) {
        (void) state;
        assert_image("1024x1024 high $0.211", "1024x1024", "high", 211000);
        assert_image("* * $0", "*", "*", 0);
        assert_image("auto  low   $12.000001", "auto", "low", 12000001);
        assert_image("99999x99999 abcdefghijabcdefghijabcdefghija $1", "99999x99999",
                     "abcdefghijabcdefghijabcdefghija", 1000000);
}

static void test_what_is_no_image(void **state) {
        static const char *const wrong[] = {
                "", " ", "1024x1024", "1024x1024 high", "1024x1024 high 0.211", "1024x1024 high $", "1024x1024 high $x",
                "1024x1024 high $-1", "1024x1024 high $1e3", "1024x1024 high $0.0000001", "1024x1024 high $0.211 more",
                "1024x1024 high $0.211 ", " 1024x1024 high $1", "1024X1024 high $1", "01024x1024 high $1", "big high $1",
                "1024x high $1", "100000x1 high $1", "* abcdefghijabcdefghijabcdefghijab $1", "1024x1024\thigh $1",
                "* * $1000000000.000001", "* * $99999999999999999999",
        };
        ImagePrice price;

        (void) state;
        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                if (price_line_parse_image(wrong[i], &price) != -EINVAL)
                        fail_msg("taken: \"%s\"", wrong[i]);
}

static void test_tokens(void **state) {
        micros_t amount;
        TokenKind kind;

        (void) state;
        for (size_t i = 0; i < N_TOKEN_KINDS; i++) {
                char line[64];

                (void) snprintf(line, sizeof(line), "%s $%zu.5", token_kind_names[i], i);
                assert_int_equal(price_line_parse_tokens(line, &kind, &amount), 0);
                assert_int_equal(kind, i);
                assert_int_equal(amount, i * 1000000 + 500000);
        }
}

static void test_what_are_no_tokens(void **state) {
        static const char *const wrong[] = {
                "", "text_input", "text_input 5", "text_inputs $5", "Text_input $5", "text_input $5 $6", "* $5",
                "abcdefghijabcdefghijabcdefghijabcdefghij $5",
        };
        micros_t amount;
        TokenKind kind;

        (void) state;
        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                assert_int_equal(price_line_parse_tokens(wrong[i], &kind, &amount), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_images),
                cmocka_unit_test(test_what_is_no_image),
                cmocka_unit_test(test_tokens),
                cmocka_unit_test(test_what_are_no_tokens),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
