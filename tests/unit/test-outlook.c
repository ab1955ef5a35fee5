/* What a waiting job may expect: the means that estimates come from, and the estimates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "dispatch/outlook.h"

#define SECONDS(n) ((usec_t) (n) * USEC_PER_SEC)

static void test_mean_is_of_one_provider_and_model(_unused_ void **state) {
        _cleanup_(attempt_times_freep) AttemptTimes *times = NULL;

        assert_int_equal(attempt_times_new(&times), 0);
        assert_int_equal(attempt_times_mean(times, "a", "m"), 0);
        assert_int_equal(attempt_times_add(times, "a", "m", SECONDS(10), SECONDS(12)), 0);
        assert_int_equal(attempt_times_add(times, "a", "m", SECONDS(10), SECONDS(14)), 0);
        assert_int_equal(attempt_times_mean(times, "a", "m"), SECONDS(3));
        assert_int_equal(attempt_times_mean(times, "b", "m"), 0);
        assert_int_equal(attempt_times_mean(times, "a", "n"), 0);
}

static void test_mean_forgets_what_is_older_than_the_last(_unused_ void **state) {
        _cleanup_(attempt_times_freep) AttemptTimes *times = NULL;

        assert_int_equal(attempt_times_new(&times), 0);
        assert_int_equal(attempt_times_add(times, "a", "m", 0, SECONDS(1000)), 0);
        for (unsigned i = 0; i < ATTEMPT_TIMES_KEPT; i++)
                assert_int_equal(attempt_times_add(times, "a", "m", SECONDS(1), SECONDS(3)), 0);
        assert_int_equal(attempt_times_mean(times, "a", "m"), SECONDS(2));
}

static void test_clock_set_back_spoils_no_mean(_unused_ void **state) {
        _cleanup_(attempt_times_freep) AttemptTimes *times = NULL;

        assert_int_equal(attempt_times_new(&times), 0);
        assert_int_equal(attempt_times_add(times, "a", "m", SECONDS(20), SECONDS(10)), 0);
        assert_int_equal(attempt_times_mean(times, "a", "m"), 0);
}

/* A table of facts and what follows from them. */
static void test_estimate_follows_from_place_and_pace(_unused_ void **state) {
        static const struct {
                OutlookFacts facts;
                usec_t eta;
        } table[] = {
                /* Nothing is known: nothing is said. */
                { { .position = 1, .concurrency = 1 }, 0 },
                { { .position = 1, .mean = SECONDS(4), .concurrency = 1, .wait = USEC_INFINITY }, 0 },
                /* A free place is taken at once. */
                { { .position = 1, .mean = SECONDS(4), .concurrency = 1 }, SECONDS(4) },
                { { .position = 4, .mean = SECONDS(4), .concurrency = 4 }, SECONDS(4) },
                /* Else places become free one by one. */
                { { .position = 1, .mean = SECONDS(4), .concurrency = 4, .running = 4 }, SECONDS(5) },
                { { .position = 8, .mean = SECONDS(4), .concurrency = 4, .running = 4 }, SECONDS(12) },
                { { .position = 3, .mean = SECONDS(4), .concurrency = 1, .running = 1 }, SECONDS(16) },
                /* The pace, a gate or the time of a retry may take longer. */
                { { .position = 11, .mean = SECONDS(4), .concurrency = 100, .images_per_minute = 5 }, SECONDS(124) },
                { { .position = 1, .mean = SECONDS(4), .concurrency = 4, .wait = SECONDS(30) }, SECONDS(34) },
                { { .position = 0, .mean = SECONDS(4), .concurrency = 1, .running = 1, .wait = SECONDS(9) },
                  SECONDS(13) },
                /* More run than may, after a reload; none may. */
                { { .position = 1, .mean = SECONDS(4), .concurrency = 1, .running = 9 }, SECONDS(8) },
                { { .position = 1, .mean = SECONDS(4), .concurrency = 0 }, SECONDS(4) },
        };

        for (size_t i = 0; i < ELEMENTS(table); i++)
                assert_int_equal(outlook_estimate(&table[i].facts), table[i].eta);
}

static void test_estimate_of_absurd_facts_stays_one(_unused_ void **state) {
        const OutlookFacts facts = {
                .position = INT64_MAX,
                .mean = USEC_INFINITY - 1,
                .concurrency = 1,
                .images_per_minute = 1,
        };
        usec_t eta = outlook_estimate(&facts);

        assert_true(eta > 0 && eta <= (usec_t) INT64_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_mean_is_of_one_provider_and_model),
                cmocka_unit_test(test_mean_forgets_what_is_older_than_the_last),
                cmocka_unit_test(test_clock_set_back_spoils_no_mean),
                cmocka_unit_test(test_estimate_follows_from_place_and_pace),
                cmocka_unit_test(test_estimate_of_absurd_facts_stays_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
