/* How much somebody may do in a minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/rate-limit.h"

#define NOW (UINT64_C(1795000000) * USEC_PER_SEC)

static RateClaim claim(unsigned per_minute, unsigned amount, usec_t *full_at, usec_t now) {
        RateClaim claim = { .per_minute = per_minute, .amount = amount };

        rate_limit_claim(&claim, full_at, now);
        return claim;
}

static void test_as_many_at_once_as_a_minute_has(void **state) {
        usec_t full_at = 0;

        (void) state;
        for (unsigned i = 0; i < 20; i++) {
                RateClaim taken = claim(20, 1, &full_at, NOW);

                assert_false(taken.refused);
                assert_int_equal(taken.remaining, 19 - i);
                assert_int_equal(taken.reset, (i + 1) * 3 * USEC_PER_SEC);
        }
        assert_true(claim(20, 1, &full_at, NOW).refused);
        assert_int_equal(claim(20, 1, &full_at, NOW).retry_after, 3 * USEC_PER_SEC);
        assert_int_equal(claim(20, 1, &full_at, NOW + USEC_PER_SEC).retry_after, 2 * USEC_PER_SEC);
        assert_true(claim(20, 1, &full_at, NOW + 3 * USEC_PER_SEC - 1).refused);
        assert_false(claim(20, 1, &full_at, NOW + 3 * USEC_PER_SEC).refused);
        assert_true(claim(20, 1, &full_at, NOW + 3 * USEC_PER_SEC).refused);
}

static void test_what_is_used_comes_back_evenly(void **state) {
        usec_t full_at = 0;
        unsigned taken = 0;

        (void) state;
        /* Asked for a hundred times a second for an hour: what was there, and one every 3 s. */
        for (usec_t t = 0; t < USEC_PER_HOUR; t += 10 * USEC_PER_MSEC)
                taken += !claim(20, 1, &full_at, NOW + t).refused;
        assert_int_equal(taken, 20 + 20 * 60 - 1);
}

static void test_odd_rates_never_admit_more(void **state) {
        static const unsigned rates[] = { 1, 7, 13, 999, 1000000 };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(rates); i++) {
                usec_t full_at = 0, step = USEC_PER_MINUTE / rates[i] / 3 + 1;
                uint64_t taken = 0;

                for (usec_t t = 0; t < 2 * USEC_PER_MINUTE; t += step)
                        taken += !claim(rates[i], 1, &full_at, NOW + t).refused;
                assert_in_range(taken, rates[i], 3 * rates[i]);
        }
}

static void test_several_at_once_are_taken_whole_or_not(void **state) {
        usec_t full_at = 0, before;

        (void) state;
        assert_false(claim(10, 7, &full_at, NOW).refused);
        before = full_at;
        assert_true(claim(10, 4, &full_at, NOW).refused);
        assert_int_equal(full_at, before);
        assert_int_equal(claim(10, 4, &full_at, NOW).retry_after, 6 * USEC_PER_SEC);
        assert_int_equal(claim(10, 4, &full_at, NOW).remaining, 3);
        assert_false(claim(10, 3, &full_at, NOW).refused);
}

static void test_more_than_a_minute_has_is_never_taken(void **state) {
        usec_t full_at = 0;

        (void) state;
        assert_true(claim(10, 11, &full_at, NOW).refused);
        assert_int_equal(claim(10, 11, &full_at, NOW).retry_after, USEC_INFINITY);
        assert_int_equal(claim(10, 11, &full_at, NOW).remaining, 10);
        assert_false(claim(10, 10, &full_at, NOW).refused);
        assert_int_equal(claim(10, UINT32_MAX, &full_at, NOW).retry_after, USEC_INFINITY);
}

static void test_nothing_asked_for_is_always_taken(void **state) {
        usec_t full_at = 0;

        (void) state;
        assert_false(claim(10, 10, &full_at, NOW).refused);
        assert_false(claim(10, 0, &full_at, NOW).refused);
}

static void test_clock_set_back_costs_a_minute_at_most(void **state) {
        usec_t full_at = NOW + 1000 * USEC_PER_HOUR;

        (void) state;
        assert_int_equal(claim(20, 1, &full_at, NOW).retry_after, 3 * USEC_PER_SEC);
        assert_int_equal(claim(20, 20, &full_at, NOW).retry_after, USEC_PER_MINUTE);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_as_many_at_once_as_a_minute_has),
                cmocka_unit_test(test_what_is_used_comes_back_evenly),
                cmocka_unit_test(test_odd_rates_never_admit_more),
                cmocka_unit_test(test_several_at_once_are_taken_whole_or_not),
                cmocka_unit_test(test_more_than_a_minute_has_is_never_taken),
                cmocka_unit_test(test_nothing_asked_for_is_always_taken),
                cmocka_unit_test(test_clock_set_back_costs_a_minute_at_most),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
