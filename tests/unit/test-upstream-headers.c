/* What providers say in headers: Retry-After in its forms, x-should-retry, rates as OpenAI writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "providers/upstream-headers.h"

#define NOW ((usec_t) 1445412480 * USEC_PER_SEC)  /* Wed, 21 Oct 2015 07:28:00 GMT */

static GenerationResult taken(const char *name, const char *value) {
        UpstreamHeaders headers = {};
        GenerationResult result = {};

        upstream_headers_take(&headers, name, value, NOW);
        upstream_headers_give(&headers, &result);
        return result;
}

static void test_retry_after(_unused_ void **state) {
        static const struct {
                const char *name, *value;
                usec_t delay;
        } cases[] = {
                { "retry-after", "17", 17 * USEC_PER_SEC },
                { "retry-after", "0", 0 },
                { "retry-after", "0.25", 250 * USEC_PER_MSEC },
                { "retry-after", "120", 120 * USEC_PER_SEC },
                { "retry-after", "99999999999999999999", UPSTREAM_DURATION_MAX_USEC },
                { "retry-after", "86400", 24 * USEC_PER_HOUR },
                { "retry-after", "86401", 24 * USEC_PER_HOUR },
                { "retry-after", "-1", 0 },
                { "retry-after", "1e3", 0 },
                { "retry-after", "1.2.3", 0 },
                { "retry-after", ".", 0 },
                { "retry-after", "", 0 },
                { "retry-after", "soon", 0 },
                { "retry-after", "inf", 0 },
                { "retry-after", "00000000000000000000000000000001", USEC_PER_SEC },   /* 32 bytes */
                { "retry-after", "000000000000000000000000000000001", 0 },             /* and one more */
                { "retry-after", "Wed, 21 Oct 2015 07:28:30 GMT", 30 * USEC_PER_SEC },
                { "retry-after", "Wednesday, 21-Oct-15 07:28:30 GMT", 30 * USEC_PER_SEC },
                { "retry-after", "Wed Oct 21 07:28:30 2015", 30 * USEC_PER_SEC },
                { "retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", 0 },
                { "retry-after", "Wed, 21 Oct 2015 07:27:00 GMT", 0 },
                { "retry-after", "Wed, 21 Oct 2037 07:28:00 GMT", UPSTREAM_DURATION_MAX_USEC },
                { "retry-after-ms", "1500", 1500 * USEC_PER_MSEC },
                { "retry-after-ms", "0.5", 500 },
                { "retry-after-ms", "Wed, 21 Oct 2015 07:28:30 GMT", 0 },
                { "x-retry-after", "17", 0 },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                if (taken(cases[i].name, cases[i].value).retry_after != cases[i].delay)
                        fail_msg("%s: %s", cases[i].name, cases[i].value);
}

static void test_milliseconds_come_first(_unused_ void **state) {
        UpstreamHeaders headers = {};
        GenerationResult result = {};

        upstream_headers_take(&headers, "retry-after-ms", "20", NOW);
        upstream_headers_take(&headers, "retry-after", "5", NOW);
        upstream_headers_give(&headers, &result);
        assert_int_equal(result.retry_after, 20 * USEC_PER_MSEC);
}

static void test_should_retry(_unused_ void **state) {
        assert_int_equal(taken("x-should-retry", "true").hint, RETRY_HINT_YES);
        assert_int_equal(taken("x-should-retry", "false").hint, RETRY_HINT_NO);
        assert_int_equal(taken("x-should-retry", "maybe").hint, RETRY_HINT_NONE);
        assert_int_equal(taken("retry-after", "1").hint, RETRY_HINT_NONE);
}

static void test_rates(_unused_ void **state) {
        static const char *const lines[][2] = {
                { "x-ratelimit-limit-requests", "60" },   { "x-ratelimit-remaining-requests", "59" },
                { "x-ratelimit-reset-requests", "1s" },   { "x-ratelimit-limit-tokens", "150000" },
                { "x-ratelimit-remaining-tokens", "0" },  { "x-ratelimit-reset-tokens", "6m0s" },
                { "x-ratelimit-remaining-images", "3" },  { "x-ratelimit-", "3" },
        };
        UpstreamHeaders headers = {};

        for (size_t i = 0; i < ELEMENTS(lines); i++)
                upstream_headers_take(&headers, lines[i][0], lines[i][1], NOW);
        assert_true(headers.requests.said);
        assert_int_equal(headers.requests.limit, 60);
        assert_int_equal(headers.requests.remaining, 59);
        assert_int_equal(headers.requests.reset, USEC_PER_SEC);
        assert_true(headers.tokens.said);
        assert_int_equal(headers.tokens.limit, 150000);
        assert_int_equal(headers.tokens.remaining, 0);
        assert_int_equal(headers.tokens.reset, 6 * USEC_PER_MINUTE);
}

static void test_durations(_unused_ void **state) {
        static const struct {
                const char *text;
                usec_t duration;
        } cases[] = {
                { "120ms", 120 * USEC_PER_MSEC },
                { "1h2m3.5s", USEC_PER_HOUR + 2 * USEC_PER_MINUTE + 3500 * USEC_PER_MSEC },
                { "15\xc2\xb5s", 15 },
                { "25h", UPSTREAM_DURATION_MAX_USEC },
                { "9999999999h9999999999h", UPSTREAM_DURATION_MAX_USEC },
                { "0s", 0 },
                { "1", 0 },
                { "s", 0 },
                { "1s2", 0 },
                { "1d", 0 },
                { "-1s", 0 },
                { "", 0 },
                { "0000000000000000000000000000001s", USEC_PER_SEC },  /* 32 bytes */
                { "00000000000000000000000000000001s", 0 },            /* and one more */
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                if (taken("x-ratelimit-reset-requests", cases[i].text).requests.reset != cases[i].duration)
                        fail_msg("%s", cases[i].text);
}

static void test_what_remains_must_be_a_number(_unused_ void **state) {
        assert_true(taken("x-ratelimit-remaining-requests", "0").requests.said);
        assert_false(taken("x-ratelimit-remaining-requests", "-1").requests.said);
        assert_false(taken("x-ratelimit-remaining-requests", "many").requests.said);
        assert_false(taken("x-ratelimit-remaining-requests", "1099511627777").requests.said);
        assert_int_equal(taken("x-ratelimit-remaining-requests", "1099511627776").requests.remaining, INT64_C(1) << 40);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_retry_after),
                cmocka_unit_test(test_milliseconds_come_first),
                cmocka_unit_test(test_should_retry),
                cmocka_unit_test(test_rates),
                cmocka_unit_test(test_durations),
                cmocka_unit_test(test_what_remains_must_be_a_number),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
