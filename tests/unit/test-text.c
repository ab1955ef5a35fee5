/* Text: prefixes, UTF-8, numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "base/macro.h"
#include "base/text.h"

static void test_equal(void **state) {
        (void) state;
        assert_true(text_equal("a", "a"));
        assert_true(text_equal(NULL, NULL));
        assert_false(text_equal("a", NULL));
        assert_false(text_equal(NULL, ""));
        assert_false(text_equal("a", "ab"));
        assert_true(text_empty(NULL));
        assert_true(text_empty(""));
        assert_false(text_empty("a"));
}

static void test_after(void **state) {
        (void) state;
        assert_string_equal(text_after("env:KEY", "env:"), "KEY");
        assert_string_equal(text_after("env:", "env:"), "");
        assert_string_equal(text_after("env", ""), "env");
        assert_null(text_after("env", "env:"));
        assert_null(text_after("ENV:KEY", "env:"));
}

static size_t sequence(const char *bytes, size_t size) {
        return utf8_sequence((const uint8_t *) bytes, size);
}

static void test_utf8_lengths_at_the_edges(void **state) {
        (void) state;
        assert_int_equal(sequence("\x7f", 1), 1);
        assert_int_equal(sequence("\xc2\x80", 2), 2);
        assert_int_equal(sequence("\xdf\xbf", 2), 2);
        assert_int_equal(sequence("\xe0\xa0\x80", 3), 3);
        assert_int_equal(sequence("\xef\xbf\xbf", 3), 3);
        assert_int_equal(sequence("\xf0\x90\x80\x80", 4), 4);
        assert_int_equal(sequence("\xf4\x8f\xbf\xbf", 4), 4);
        assert_int_equal(sequence("\0", 1), 1);
}

static void test_utf8_overlong_forms(void **state) {
        (void) state;
        assert_int_equal(sequence("\xc0\x80", 2), 0);
        assert_int_equal(sequence("\xc1\xbf", 2), 0);
        assert_int_equal(sequence("\xe0\x9f\xbf", 3), 0);
        assert_int_equal(sequence("\xf0\x8f\xbf\xbf", 4), 0);
}

static void test_utf8_surrogates_and_beyond(void **state) {
        (void) state;
        assert_int_equal(sequence("\xed\x9f\xbf", 3), 3);
        assert_int_equal(sequence("\xed\xa0\x80", 3), 0);
        assert_int_equal(sequence("\xed\xbf\xbf", 3), 0);
        assert_int_equal(sequence("\xee\x80\x80", 3), 3);
        assert_int_equal(sequence("\xf4\x90\x80\x80", 4), 0);
        assert_int_equal(sequence("\xf5\x80\x80\x80", 4), 0);
        assert_int_equal(sequence("\xff", 1), 0);
}

static void test_utf8_cut_short_or_broken(void **state) {
        (void) state;
        assert_int_equal(sequence("", 0), 0);
        assert_int_equal(sequence("\x80", 1), 0);
        assert_int_equal(sequence("\xc3", 1), 0);
        assert_int_equal(sequence("\xe2\x82", 2), 0);
        assert_int_equal(sequence("\xf0\x9f\x98", 3), 0);
        assert_int_equal(sequence("\xc3(", 2), 0);
        assert_int_equal(sequence("\xe2\x82(", 3), 0);
}

static void test_utf8_valid(void **state) {
        (void) state;
        assert_true(utf8_valid("", 0));
        assert_true(utf8_valid("a\xc3\xa9\0b", 5));
        assert_false(utf8_valid("a\xc3", 2));
        assert_false(utf8_valid("\xff" "a", 2));
}

static void test_utf8_count(void **state) {
        (void) state;
        assert_int_equal(utf8_count(""), 0);
        assert_int_equal(utf8_count("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), 4);
}

static void test_numbers(void **state) {
        uint64_t value = 0;

        (void) state;
        assert_int_equal(text_to_unsigned("0", 10, &value), 0);
        assert_int_equal(value, 0);
        assert_int_equal(text_to_unsigned("0010", 10, &value), 0);
        assert_int_equal(value, 10);
        assert_int_equal(text_to_unsigned("18446744073709551615", UINT64_MAX, &value), 0);
        assert_true(value == UINT64_MAX);
}

static void test_numbers_out_of_range(void **state) {
        uint64_t value = 5;

        (void) state;
        assert_int_equal(text_to_unsigned("11", 10, &value), -ERANGE);
        assert_int_equal(text_to_unsigned("18446744073709551616", UINT64_MAX, &value), -ERANGE);
        assert_int_equal(text_to_unsigned("99999999999999999999999", UINT64_MAX, &value), -ERANGE);
        assert_int_equal(value, 5);
}

static void test_what_is_no_number(void **state) {
        static const char *const texts[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1a", "1.0" };
        uint64_t value = 5;

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++)
                assert_int_equal(text_to_unsigned(texts[i], UINT64_MAX, &value), -EINVAL);
        assert_int_equal(value, 5);
}

/* "no number" is said even where the digits before it are too many. */
static void test_junk_behind_too_many_digits(void **state) {
        uint64_t value;

        (void) state;
        assert_int_equal(text_to_unsigned("99999999999999999999999x", UINT64_MAX, &value), -EINVAL);
}

static void test_format(void **state) {
        _cleanup_free_ char *text = text_format("%s-%d", "a", 5);

        (void) state;
        assert_string_equal(text, "a-5");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_equal),
                cmocka_unit_test(test_after),
                cmocka_unit_test(test_utf8_lengths_at_the_edges),
                cmocka_unit_test(test_utf8_overlong_forms),
                cmocka_unit_test(test_utf8_surrogates_and_beyond),
                cmocka_unit_test(test_utf8_cut_short_or_broken),
                cmocka_unit_test(test_utf8_valid),
                cmocka_unit_test(test_utf8_count),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_numbers_out_of_range),
                cmocka_unit_test(test_what_is_no_number),
                cmocka_unit_test(test_junk_behind_too_many_digits),
                cmocka_unit_test(test_format),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
