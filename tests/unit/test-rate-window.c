/* What providers say of their rates: how many may begin, and who waits how long after a refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatch/rate-window.h"

#define SEC USEC_PER_SEC
#define NOW (1000 * SEC)

static const RateLimits limits = { .pause_min = SEC, .pause_max = 8 * SEC };

static void tell(RateWindow *window, GenerationResult result, usec_t now) {
        result.http_status = result.http_status ?: 200;
        rate_window_tell(window, &limits, &result, now);
}

#define REQUESTS(limit_, remaining_, reset_) \
        (GenerationResult) { .requests = { true, (limit_), (remaining_), (reset_) } }

static void test_nothing_said_holds_nobody(_unused_ void **state) {
        RateWindow window = {};

        assert_int_equal(rate_window_wait(&window, NOW), 0);
        rate_window_take(&window);
        assert_int_equal(rate_window_wait(&window, NOW), 0);
        tell(&window, (GenerationResult) {}, NOW);
        assert_int_equal(rate_window_wait(&window, NOW), 0);
}

static void test_as_many_begin_as_remain(_unused_ void **state) {
        RateWindow window = {};

        tell(&window, REQUESTS(10, 2, 80 * SEC), NOW);
        assert_int_equal(rate_window_wait(&window, NOW), 0);
        rate_window_take(&window);
        assert_int_equal(rate_window_wait(&window, NOW), 0);
        rate_window_take(&window);
        /* Eight of ten are used and come back in 80 seconds: one in ten. */
        assert_int_equal(rate_window_wait(&window, NOW), NOW + 10 * SEC);
        assert_int_equal(rate_window_wait(&window, NOW + 10 * SEC - 1), NOW + 10 * SEC);
        assert_int_equal(rate_window_wait(&window, NOW + 10 * SEC), 0);
        rate_window_take(&window);
        assert_int_equal(rate_window_wait(&window, NOW + 10 * SEC), NOW + 20 * SEC);
}

static void test_after_the_reset_nothing_is_known(_unused_ void **state) {
        RateWindow window = {};

        tell(&window, REQUESTS(60, 0, 6 * SEC), NOW);
        for (unsigned i = 0; i < 100; i++)
                rate_window_take(&window);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + 6 * SEC);
        assert_int_equal(rate_window_wait(&window, NOW + 6 * SEC), 0);
}

static void test_without_a_limit_the_whole_reset_is_waited(_unused_ void **state) {
        RateWindow window = {};

        tell(&window, REQUESTS(0, 0, 12 * SEC), NOW);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + 12 * SEC);
}

static void test_without_a_reset_nothing_follows(_unused_ void **state) {
        RateWindow window = {};

        tell(&window, REQUESTS(10, 0, 0), NOW);
        assert_int_equal(rate_window_wait(&window, NOW), 0);
}

static void test_reset_is_believed_up_to_its_maximum(_unused_ void **state) {
        RateWindow window = {};

        tell(&window, REQUESTS(1, 0, RATE_HOLD_MAX_USEC), NOW);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + RATE_HOLD_MAX_USEC);
        tell(&window, REQUESTS(1, 0, RATE_HOLD_MAX_USEC + 1), NOW);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + RATE_HOLD_MAX_USEC);
        tell(&window, REQUESTS(INT64_C(1) << 40, 0, 1), NOW);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + 1);
        assert_int_equal(rate_window_wait(&window, NOW + 1), 0);
}

static void test_tokens_count_when_none_is_left(_unused_ void **state) {
        RateWindow window = {};

        tell(&window, (GenerationResult) { .tokens = { true, 1000, 1, 30 * SEC } }, NOW);
        assert_int_equal(rate_window_wait(&window, NOW), 0);
        tell(&window, (GenerationResult) { .tokens = { true, 1000, 0, 30 * SEC } }, NOW);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + 30 * SEC);
        assert_int_equal(rate_window_wait(&window, NOW + 30 * SEC), 0);
}

static void test_refusal_holds_as_long_as_it_says(_unused_ void **state) {
        RateWindow window = {};

        tell(&window, (GenerationResult) { .http_status = 429, .retry_after = 17 * SEC }, NOW);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + 17 * SEC);
        /* A shorter one that comes later shortens nothing. */
        tell(&window, (GenerationResult) { .http_status = 429, .retry_after = SEC }, NOW);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + 17 * SEC);
        tell(&window, (GenerationResult) { .http_status = 429, .retry_after = 3600 * SEC }, NOW);
        assert_int_equal(rate_window_wait(&window, NOW), NOW + RATE_HOLD_MAX_USEC);
}

static void test_pauses_grow_with_refusals_in_a_row(_unused_ void **state) {
        static const usec_t pauses[] = { SEC, 2 * SEC, 4 * SEC, 8 * SEC, 8 * SEC };
        RateWindow window = {};
        usec_t now = NOW;

        for (unsigned i = 0; i < ELEMENTS(pauses); i++) {
                tell(&window, (GenerationResult) { .http_status = 429 }, now);
                assert_int_equal(rate_window_wait(&window, now), now + pauses[i]);
                now += pauses[i];
        }
        tell(&window, (GenerationResult) {}, now);
        tell(&window, (GenerationResult) { .http_status = 429 }, now);
        assert_int_equal(rate_window_wait(&window, now), now + SEC);
}

/* Waiting does not fill an account. */
static void test_exhausted_quota_holds_nobody(_unused_ void **state) {
        RateWindow window = {};

        tell(&window, (GenerationResult) { .http_status = 429, .type = (char *) "insufficient_quota" }, NOW);
        assert_int_equal(rate_window_wait(&window, NOW), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_said_holds_nobody),
                cmocka_unit_test(test_as_many_begin_as_remain),
                cmocka_unit_test(test_after_the_reset_nothing_is_known),
                cmocka_unit_test(test_without_a_limit_the_whole_reset_is_waited),
                cmocka_unit_test(test_without_a_reset_nothing_follows),
                cmocka_unit_test(test_reset_is_believed_up_to_its_maximum),
                cmocka_unit_test(test_tokens_count_when_none_is_left),
                cmocka_unit_test(test_refusal_holds_as_long_as_it_says),
                cmocka_unit_test(test_pauses_grow_with_refusals_in_a_row),
                cmocka_unit_test(test_exhausted_quota_holds_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
