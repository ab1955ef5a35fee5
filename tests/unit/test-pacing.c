/* Images per minute: never more in any minute, and no longer a wait than that takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatch/pacing.h"

#define START (1000 * USEC_PER_SEC)
#define SEC USEC_PER_SEC

static void test_without_a_limit_nobody_waits(_unused_ void **state) {
        Pacing pacing = {};

        for (unsigned i = 0; i < 10000; i++) {
                assert_int_equal(pacing_wait(&pacing, 10, START), 0);
                pacing_take(&pacing, 10, START);
        }
}

static void test_limit_and_one_past_it(_unused_ void **state) {
        Pacing pacing = { .images_per_minute = 5 };

        for (unsigned i = 0; i < 5; i++) {
                assert_int_equal(pacing_wait(&pacing, 1, START), 0);
                pacing_take(&pacing, 1, START);
        }
        assert_int_equal(pacing_wait(&pacing, 1, START), START + 60 * SEC + PACING_SLOT_USEC);
        assert_int_equal(pacing_wait(&pacing, 1, START + 60 * SEC), START + 60 * SEC + PACING_SLOT_USEC);
        assert_int_equal(pacing_wait(&pacing, 1, START + 60 * SEC + PACING_SLOT_USEC), 0);
}

static void test_images_count_and_not_requests(_unused_ void **state) {
        Pacing pacing = { .images_per_minute = 10 };

        pacing_take(&pacing, 7, START);
        pacing_take(&pacing, 2, START + 20 * SEC);
        assert_int_equal(pacing_wait(&pacing, 1, START + 30 * SEC), 0);
        assert_int_equal(pacing_wait(&pacing, 2, START + 30 * SEC), START + 60 * SEC + PACING_SLOT_USEC);
        assert_int_equal(pacing_wait(&pacing, 8, START + 30 * SEC), START + 60 * SEC + PACING_SLOT_USEC);
        assert_int_equal(pacing_wait(&pacing, 9, START + 30 * SEC), START + 80 * SEC + PACING_SLOT_USEC);
}

static void test_request_past_the_limit_goes_alone(_unused_ void **state) {
        Pacing pacing = { .images_per_minute = 2 };

        assert_int_equal(pacing_wait(&pacing, 10, START), 0);
        pacing_take(&pacing, 10, START);
        assert_int_equal(pacing_wait(&pacing, 1, START + SEC), START + 60 * SEC + PACING_SLOT_USEC);
        pacing_take(&pacing, 1, START + 61 * SEC);
        assert_int_equal(pacing_wait(&pacing, 10, START + 62 * SEC), START + 121 * SEC + PACING_SLOT_USEC);
}

static void test_what_began_without_a_limit_counts_once_there_is_one(_unused_ void **state) {
        Pacing pacing = {};

        pacing_take(&pacing, 3, START);
        pacing.images_per_minute = 3;
        assert_int_equal(pacing_wait(&pacing, 1, START + SEC), START + 60 * SEC + PACING_SLOT_USEC);
}

static void test_clock_that_has_just_begun(_unused_ void **state) {
        Pacing pacing = { .images_per_minute = 1 };

        assert_int_equal(pacing_wait(&pacing, 1, 0), 0);
        pacing_take(&pacing, 1, 0);
        assert_int_equal(pacing_wait(&pacing, 1, 0), 60 * SEC + PACING_SLOT_USEC);
        assert_int_equal(pacing_wait(&pacing, 1, 61 * SEC), 0);
}

/* Whoever takes as soon as allowed: no minute has more than the limit, and an hour not much less. */
static void test_no_minute_has_more(_unused_ void **state) {
        enum { LIMIT = 7, TAKEN_MAX = 4096 };
        static struct { usec_t time; unsigned images; } taken[TAKEN_MAX];
        Pacing pacing = { .images_per_minute = LIMIT };
        unsigned n = 0, total = 0, seed = 1;
        usec_t now = START;

        while (now < START + 3600 * SEC) {
                unsigned images = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 3, in_minute = images;
                usec_t wait = pacing_wait(&pacing, images, now);

                if (wait > 0) {
                        assert_true(wait > now);
                        now = wait;
                        continue;
                }
                pacing_take(&pacing, images, now);
                for (unsigned i = n; i > 0 && taken[i - 1].time + 60 * SEC > now; i--)
                        in_minute += taken[i - 1].images;
                assert_true(in_minute <= LIMIT);
                taken[n].time = now;
                taken[n++].images = images;
                total += images;
                now += seed / 65536 % 5000000;
        }
        assert_in_range(total, 60 * LIMIT * 8 / 10, 60 * LIMIT + LIMIT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_without_a_limit_nobody_waits),
                cmocka_unit_test(test_limit_and_one_past_it),
                cmocka_unit_test(test_images_count_and_not_requests),
                cmocka_unit_test(test_request_past_the_limit_goes_alone),
                cmocka_unit_test(test_what_began_without_a_limit_counts_once_there_is_one),
                cmocka_unit_test(test_clock_that_has_just_begun),
                cmocka_unit_test(test_no_minute_has_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
