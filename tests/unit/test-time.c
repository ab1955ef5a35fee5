/* Durations and stamps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "base/time.h"

static void assert_duration(const char *text, usec_t expected) {
        usec_t value = 1;

        if (time_parse_duration(text, &value) != 0 || value != expected)
                fail_msg("\"%s\": %llu", text, (unsigned long long) value);
}

static void assert_refused(const char *text, int error) {
        usec_t value;
        int r;

        r = time_parse_duration(text, &value);
        if (r != error)
                fail_msg("\"%s\": %d", text, r);
}

static void assert_formatted(usec_t duration, const char *expected) {
        char text[TIME_DURATION_MAX];

        assert_string_equal(time_format_duration(duration, text), expected);
}

static void test_bare_number_counts_seconds(void **state) {
        (void) state;
        assert_duration("300", 300 * USEC_PER_SEC);
        assert_duration("0", 0);
}

static void test_each_unit(void **state) {
        (void) state;
        assert_duration("5us", 5);
        assert_duration("5usec", 5);
        assert_duration("250ms", 250 * USEC_PER_MSEC);
        assert_duration("7s", 7 * USEC_PER_SEC);
        assert_duration("7sec", 7 * USEC_PER_SEC);
        assert_duration("1min", USEC_PER_MINUTE);
        assert_duration("2m", 2 * USEC_PER_MINUTE);
        assert_duration("3h", 3 * USEC_PER_HOUR);
        assert_duration("2 days", 2 * USEC_PER_DAY);
        assert_duration("1d", USEC_PER_DAY);
        assert_duration("infinity", USEC_INFINITY);
}

static void test_singular_and_plural(void **state) {
        (void) state;
        assert_duration("1 second", USEC_PER_SEC);
        assert_duration("2 seconds", 2 * USEC_PER_SEC);
        assert_duration("1 minute", USEC_PER_MINUTE);
        assert_duration("2 minutes", 2 * USEC_PER_MINUTE);
        assert_duration("1 hour", USEC_PER_HOUR);
        assert_duration("2 hours", 2 * USEC_PER_HOUR);
        assert_duration("1 day", USEC_PER_DAY);
}

static void test_sums_and_spaces(void **state) {
        (void) state;
        assert_duration("1h 30min", 90 * USEC_PER_MINUTE);
        assert_duration(" 1h30min ", 90 * USEC_PER_MINUTE);
        assert_duration("1 h  5 s", USEC_PER_HOUR + 5 * USEC_PER_SEC);
}

static void test_what_is_no_duration(void **state) {
        (void) state;
        assert_refused("", -EINVAL);
        assert_refused("  ", -EINVAL);
        assert_refused("s", -EINVAL);
        assert_refused("-5s", -EINVAL);
        assert_refused("+5s", -EINVAL);
        assert_refused("1.5h", -EINVAL);
        assert_refused("5 parsecs", -EINVAL);
        assert_refused("5s,", -EINVAL);
        assert_refused("infinity 5s", -EINVAL);
        assert_refused("5\t", -EINVAL);
}

static void test_range(void **state) {
        (void) state;
        assert_duration("18446744073709551614us", USEC_INFINITY - 1);
        assert_refused("18446744073709551616us", -ERANGE);
        assert_refused("18446744073710s", -ERANGE);
        assert_refused("213503983d", -ERANGE);
        assert_refused("18446744073709551614us 2us", -ERANGE);
}

/* Only the word means for ever; a number that happens to be the same value does not fit. */
static void test_infinity_is_a_word(void **state) {
        (void) state;
        assert_refused("18446744073709551615us", -ERANGE);
        assert_refused("18446744073709551614us 1us", -ERANGE);
}

static void test_format(void **state) {
        (void) state;
        assert_formatted(0, "0s");
        assert_formatted(1, "1us");
        assert_formatted(1500 * USEC_PER_MSEC, "1s 500ms");
        assert_formatted(90 * USEC_PER_MINUTE, "1h 30min");
        assert_formatted(USEC_PER_DAY, "1d");
        assert_formatted(USEC_INFINITY, "infinity");
}

static void test_longest_text_fits_and_reads_back(void **state) {
        char text[TIME_DURATION_MAX];

        (void) state;
        assert_duration(time_format_duration(USEC_INFINITY - 1, text), USEC_INFINITY - 1);
        assert_true(strlen(text) < TIME_DURATION_MAX - 1);
}

static void test_stamp(void **state) {
        char text[TIME_STAMP_MAX];

        (void) state;
        assert_string_equal(time_format_stamp(0, text), "1970-01-01T00:00:00Z");
        assert_string_equal(time_format_stamp(1795342500 * USEC_PER_SEC + 999999, text), "2026-11-22T10:15:00Z");
}

static void test_clocks(void **state) {
        usec_t before = time_now_monotonic();

        (void) state;
        assert_true(time_now_realtime() > 1700000000 * USEC_PER_SEC);
        assert_true(time_now_monotonic() >= before);
}

static void test_days(void **state) {
        static const char *const wrong[] = {
                "", "2026", "2026-11", "2026-11-31", "2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00",
                "2026-1-01", "2026-01-1", "20260101", "1969-12-31", "2026-11-22 ", " 2026-11-22", "2026-11-2x",
                "2026--1-22", "-026-11-22", "2026-11--2",
        };
        usec_t day;

        (void) state;
        assert_int_equal(time_parse_day("1970-01-01", &day), 0);
        assert_int_equal(day, 0);
        assert_int_equal(time_parse_day("2024-02-29", &day), 0);
        assert_int_equal(day, INT64_C(1709164800) * USEC_PER_SEC);
        assert_int_equal(time_parse_day("9999-12-31", &day), 0);
        assert_int_equal(day, INT64_C(253402214400) * USEC_PER_SEC);
        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                if (time_parse_day(wrong[i], &day) != -EINVAL)
                        fail_msg("taken: \"%s\"", wrong[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_days),
                cmocka_unit_test(test_bare_number_counts_seconds),
                cmocka_unit_test(test_each_unit),
                cmocka_unit_test(test_singular_and_plural),
                cmocka_unit_test(test_sums_and_spaces),
                cmocka_unit_test(test_what_is_no_duration),
                cmocka_unit_test(test_range),
                cmocka_unit_test(test_infinity_is_a_word),
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_longest_text_fits_and_reads_back),
                cmocka_unit_test(test_stamp),
                cmocka_unit_test(test_clocks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
