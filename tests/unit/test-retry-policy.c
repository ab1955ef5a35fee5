/* Which failed attempts are made again, and when: the rule, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "dispatch/retry-policy.h"

#define REFUSED GENERATION_REFUSED
#define UNSENT GENERATION_UNSENT
#define UNKNOWN GENERATION_UNKNOWN
#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC

/* As the settings have it, with no chance taken. */
static RetryLimits limits_of(unsigned retries_made) {
        return (RetryLimits) {
                .retries_made = retries_made,
                .attempts_max = 3,
                .delay_min = 500 * MSEC,
                .delay_max = 8 * SEC,
                .time_left = 900 * SEC,
        };
}

typedef struct Case {
        RetryEnd end;
        RetryVerdict verdict;
        usec_t delay;
} Case;

static const Case cases[] = {
        /* Never sent, so never charged. */
        { { UNSENT, 0, "server_error", "provider_unavailable" }, RETRY_LATER, 500 * MSEC },
        { { UNSENT, 0, "server_error", "provider_timeout" }, RETRY_LATER, 500 * MSEC },

        /* What the provider answered, by its status. */
        { { REFUSED, 400, "invalid_request_error", "invalid_value" }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 401, "invalid_request_error", "invalid_api_key" }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 402 }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 403 }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 404, "invalid_request_error", "model_not_found" }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 408 }, RETRY_LATER, 500 * MSEC },
        { { REFUSED, 409 }, RETRY_LATER, 500 * MSEC },
        { { REFUSED, 413 }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 422 }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 429, "requests", "rate_limit_exceeded" }, RETRY_LATER, 500 * MSEC },
        { { REFUSED, 429, "rate_limit_error", "slow_down" }, RETRY_LATER, 500 * MSEC },
        { { REFUSED, 499 }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 500, "server_error" }, RETRY_LATER, 500 * MSEC },
        { { REFUSED, 503, "service_unavailable_error", "server_is_overloaded" }, RETRY_LATER, 500 * MSEC },
        { { REFUSED, 529 }, RETRY_LATER, 500 * MSEC },
        { { REFUSED, 301 }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 0 }, RETRY_NOT_REPEATABLE },

        /* An exhausted quota, by its type first, and by the codes of those who give no type. */
        { { REFUSED, 429, "insufficient_quota", "insufficient_quota" }, RETRY_NOT_QUOTA },
        { { REFUSED, 429, "insufficient_quota", "a_code_of_next_year" }, RETRY_NOT_QUOTA },
        { { REFUSED, 429, NULL, "insufficient_quota" }, RETRY_NOT_QUOTA },
        { { REFUSED, 429, "rate_limit_error", "credit_balance_exhausted" }, RETRY_NOT_QUOTA },
        { { REFUSED, 429, NULL, "organization_spend_limit_exceeded" }, RETRY_NOT_QUOTA },
        { { REFUSED, 429, NULL, "project_spend_limit_exceeded" }, RETRY_NOT_QUOTA },
        { { REFUSED, 429, NULL, "organization_usage_limit_exceeded" }, RETRY_NOT_QUOTA },

        /* A rejected prompt, whatever the status. */
        { { REFUSED, 400, "image_generation_user_error", "moderation_blocked" }, RETRY_NOT_MODERATED },
        { { REFUSED, 500, "image_generation_user_error", NULL }, RETRY_NOT_MODERATED },
        { { REFUSED, 429, NULL, "content_policy_violation" }, RETRY_NOT_MODERATED },

        /* What may have been charged. */
        { { UNKNOWN, 0, "server_error", "provider_timeout" }, RETRY_NOT_CHARGEABLE },
        { { UNKNOWN, 502 }, RETRY_NOT_CHARGEABLE },
        { { UNKNOWN, 408 }, RETRY_NOT_CHARGEABLE },
        { { UNKNOWN, 503, .retry_after = SEC, .hint = RETRY_HINT_YES }, RETRY_NOT_CHARGEABLE },

        /* Retry-After, up to its maximum and past it. */
        { { REFUSED, 429, .retry_after = 1 }, RETRY_LATER, 1 },
        { { REFUSED, 429, .retry_after = 17 * SEC }, RETRY_LATER, 17 * SEC },
        { { REFUSED, 503, .retry_after = RETRY_AFTER_MAX_USEC }, RETRY_LATER, RETRY_AFTER_MAX_USEC },
        { { REFUSED, 503, .retry_after = RETRY_AFTER_MAX_USEC + 1 }, RETRY_NOT_SO_LATE },
        { { REFUSED, 400, .retry_after = SEC }, RETRY_NOT_REPEATABLE },
        { { REFUSED, 429, "insufficient_quota", .retry_after = SEC }, RETRY_NOT_QUOTA },

        /* x-should-retry, which counts for more than the status, and for less than money. */
        { { REFUSED, 500, .hint = RETRY_HINT_NO }, RETRY_NOT_HINTED },
        { { UNSENT, 0, .hint = RETRY_HINT_NO }, RETRY_NOT_HINTED },
        { { REFUSED, 400, .hint = RETRY_HINT_YES }, RETRY_LATER, 500 * MSEC },
        { { REFUSED, 429, "insufficient_quota", .hint = RETRY_HINT_YES }, RETRY_NOT_QUOTA },
        { { REFUSED, 400, NULL, "moderation_blocked", .hint = RETRY_HINT_YES }, RETRY_NOT_MODERATED },
        { { REFUSED, 503, .retry_after = 121 * SEC, .hint = RETRY_HINT_YES }, RETRY_NOT_SO_LATE },

        /* A disk of ours that is full is no reason to ask again; memory that was short before anything was sent is. */
        { { REFUSED, 0, "server_error", "storage_full", .local = true }, RETRY_NOT_REPEATABLE },
        { { UNSENT, 0, "server_error", "overloaded", .local = true }, RETRY_LATER, 500 * MSEC },
};

static void test_cases(_unused_ void **state) {
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                const RetryLimits limits = limits_of(0);
                usec_t delay = 0;

                if (retry_policy(&cases[i].end, &limits, &delay) != cases[i].verdict || delay != cases[i].delay)
                        fail_msg("case %zu (status %d): delay %llu", i, cases[i].end.http_status,
                                 (unsigned long long) delay);
        }
}

static void test_unknown_is_repeated_where_the_settings_say_so(_unused_ void **state) {
        static const RetryEnd end = { UNKNOWN, 0, "server_error", "provider_timeout" };
        RetryLimits limits = limits_of(1);
        usec_t delay;

        limits.retry_unknown = true;
        assert_int_equal(retry_policy(&end, &limits, &delay), RETRY_LATER);
        assert_int_equal(delay, SEC);
}

static void test_attempts_end(_unused_ void **state) {
        static const RetryEnd end = { REFUSED, 500 };
        RetryLimits limits = limits_of(1);
        usec_t delay;

        assert_int_equal(retry_policy(&end, &limits, &delay), RETRY_LATER);
        limits.retries_made = 2;
        assert_int_equal(retry_policy(&end, &limits, &delay), RETRY_NOT_MORE);
        limits.retries_made = 0;
        limits.attempts_max = 1;
        assert_int_equal(retry_policy(&end, &limits, &delay), RETRY_NOT_MORE);
}

static void test_no_retry_begins_after_the_deadline(_unused_ void **state) {
        static const RetryEnd end = { REFUSED, 503, .retry_after = 20 * SEC };
        RetryLimits limits = limits_of(0);
        usec_t delay;

        limits.time_left = 20 * SEC;
        assert_int_equal(retry_policy(&end, &limits, &delay), RETRY_LATER);
        limits.time_left--;
        assert_int_equal(retry_policy(&end, &limits, &delay), RETRY_NOT_IN_TIME);
}

static void test_delays_double_to_their_maximum(_unused_ void **state) {
        static const usec_t delays[] = { 500 * MSEC, SEC, 2 * SEC, 4 * SEC, 8 * SEC, 8 * SEC };

        for (unsigned k = 0; k < ELEMENTS(delays); k++)
                assert_int_equal(retry_backoff(500 * MSEC, 8 * SEC, k, 0), delays[k]);
        assert_int_equal(retry_backoff(500 * MSEC, 8 * SEC, UINT32_MAX, 0), 8 * SEC);
        assert_int_equal(retry_backoff(3 * SEC, 8 * SEC, 2, 0), 8 * SEC);
        assert_int_equal(retry_backoff(3 * SEC, SEC, 0, 0), SEC);
        assert_int_equal(retry_backoff(3 * SEC, UINT64_MAX, 200, 0), UINT64_MAX);
}

static void test_chance_takes_up_to_a_quarter(_unused_ void **state) {
        assert_int_equal(retry_backoff(8 * SEC, 8 * SEC, 0, UINT32_MAX / 2), 7 * SEC + 1);
        assert_int_equal(retry_backoff(8 * SEC, 8 * SEC, 0, UINT32_MAX), 6 * SEC + 1);
}

static void test_every_verdict_has_its_words(_unused_ void **state) {
        for (RetryVerdict verdict = 0; verdict < _RETRY_VERDICTS; verdict++)
                assert_non_null(retry_verdict_reason(verdict));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cases),
                cmocka_unit_test(test_unknown_is_repeated_where_the_settings_say_so),
                cmocka_unit_test(test_attempts_end),
                cmocka_unit_test(test_no_retry_begins_after_the_deadline),
                cmocka_unit_test(test_delays_double_to_their_maximum),
                cmocka_unit_test(test_chance_takes_up_to_a_quarter),
                cmocka_unit_test(test_every_verdict_has_its_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
