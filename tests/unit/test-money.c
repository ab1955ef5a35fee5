#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "base/macro.h"
#include "base/money.h"

typedef struct Sample {
        const char *text;
        int result;
        micros_t amount;
} Sample;

static void check(int (*parse)(const char *text, micros_t *ret), const Sample *samples, size_t n) {
        for (size_t i = 0; i < n; i++) {
                micros_t amount = -7;
                int r = parse(samples[i].text, &amount);

                if (r != samples[i].result || amount != (r < 0 ? -7 : samples[i].amount))
                        fail_msg("'%s' gave %d and %lld", samples[i].text, r, (long long) amount);
        }
}

static void test_parse_is_exact_or_refuses(void **state _unused_) {
        static const Sample samples[] = {
                { "0", 0, 0 },
                { "0.04", 0, 40000 },
                { "$1", 0, 1000000 },
                { "$1.00", 0, 1000000 },
                { "00012.345678", 0, 12345678 },
                { "0.000001", 0, 1 },
                { "000.010", 0, 10000 },
                { "1000000000", 0, MICROS_MAX },
                { "1000000000.000001", -ERANGE },
                { "99999999999999999999999999999999999999999999", -ERANGE },
                { "0.0000001", -EINVAL },
                { "0.0000000", -EINVAL },
                { "", -EINVAL },
                { "$", -EINVAL },
                { ".", -EINVAL },
                { "1.", -EINVAL },
                { ".5", 0, 500000 },
                { "1e3", -EINVAL },
                { "-1", -EINVAL },
                { "+1", -EINVAL },
                { " 1", -EINVAL },
                { "1 ", -EINVAL },
                { "1,5", -EINVAL },
                { "1.2.3", -EINVAL },
                { "$$1", -EINVAL },
                { "0x1", -EINVAL },
                { "nan", -EINVAL },
        };

        check(money_parse, samples, ELEMENTS(samples));
}

static void test_what_a_provider_reports_is_rounded_up(void **state _unused_) {
        static const Sample samples[] = {
                { "0.04", 0, 40000 },
                { "0.0400001", 0, 40001 },
                { "0.0400000000000000000000001", 0, 40001 },
                { "0.04000000000", 0, 40000 },
                { "0.0000000000001", 0, 1 },
                { "4e-2", 0, 40000 },
                { "4E+2", 0, 400000000 },
                { "12.5e-7", 0, 2 },
                { "1e-30", 0, 1 },
                { "0e5", 0, 0 },
                { "0.0", 0, 0 },
                { "1e9", 0, MICROS_MAX },
                { "1000000000.0000001", -ERANGE },
                { "1e10", -ERANGE },
                { "1e99", -ERANGE },
                { "1e", -EINVAL },
                { "1e+", -EINVAL },
                { "e1", -EINVAL },
                { "-0.04", -EINVAL },
                { "$1", -EINVAL },
                { "", -EINVAL },
        };

        check(money_parse_rounding_up, samples, ELEMENTS(samples));
}

static void test_format_shows_cents_and_what_is_behind_them(void **state _unused_) {
        char text[MONEY_TEXT_MAX];

        assert_string_equal(money_format(0, text), "$0.00");
        assert_string_equal(money_format(4100000, text), "$4.10");
        assert_string_equal(money_format(40000, text), "$0.04");
        assert_string_equal(money_format(5250, text), "$0.00525");
        assert_string_equal(money_format(1, text), "$0.000001");
        assert_string_equal(money_format(-25, text), "-$0.000025");
        assert_string_equal(money_format(MICROS_MAX, text), "$1000000000.00");
        assert_string_equal(money_format(INT64_MIN, text), "-$9223372036854.775808");
}

static void test_what_is_formatted_parses_to_the_same(void **state _unused_) {
        for (micros_t amount = 1; amount < MICROS_MAX / 7; amount = amount * 7 + 3) {
                char text[MONEY_TEXT_MAX];
                micros_t parsed;

                assert_int_equal(money_parse(money_format(amount, text), &parsed), 0);
                assert_int_equal(parsed, amount);
        }
}

static void test_sums_stay_in_range(void **state _unused_) {
        micros_t sum = 5;

        assert_int_equal(money_add(MICROS_MAX - 1, 1, &sum), 0);
        assert_int_equal(sum, MICROS_MAX);
        assert_int_equal(money_add(MICROS_MAX, 1, &sum), -ERANGE);
        assert_int_equal(money_add(-MICROS_MAX, -1, &sum), -ERANGE);
        assert_int_equal(money_add(INT64_MAX, INT64_MAX, &sum), -ERANGE);
        assert_int_equal(sum, MICROS_MAX);
        assert_int_equal(money_multiply(40000, 25, &sum), 0);
        assert_int_equal(sum, 1000000);
        assert_int_equal(money_multiply(MICROS_MAX, 2, &sum), -ERANGE);
        assert_int_equal(money_multiply(MICROS_MAX, UINT64_MAX, &sum), -ERANGE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_is_exact_or_refuses),
                cmocka_unit_test(test_what_a_provider_reports_is_rounded_up),
                cmocka_unit_test(test_format_shows_cents_and_what_is_behind_them),
                cmocka_unit_test(test_what_is_formatted_parses_to_the_same),
                cmocka_unit_test(test_sums_stay_in_range),
        };

        return cmocka_run_group_tests_name("money", tests, NULL, NULL);
}
