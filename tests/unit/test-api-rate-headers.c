/* Rates as clients of OpenAI read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "base/macro.h"
#include "rate-headers.h"

static void test_durations_are_written_as_go_does(void **state) {
        static const struct {
                usec_t duration;
                const char *text;
        } cases[] = {
                { 0, "0s" },
                { 1, "1ms" },
                { 120 * USEC_PER_MSEC, "120ms" },
                { USEC_PER_SEC - USEC_PER_MSEC, "999ms" },
                { USEC_PER_SEC - 1, "1s" },
                { USEC_PER_SEC, "1s" },
                { 3 * USEC_PER_SEC + 500 * USEC_PER_MSEC, "3.5s" },
                { 3 * USEC_PER_SEC + 20 * USEC_PER_MSEC, "3.02s" },
                { 3 * USEC_PER_SEC + 7 * USEC_PER_MSEC, "3.007s" },
                { USEC_PER_MINUTE, "1m0s" },
                { 6 * USEC_PER_MINUTE, "6m0s" },
                { USEC_PER_HOUR, "1h0m0s" },
                { USEC_PER_HOUR + 2 * USEC_PER_MINUTE + 3 * USEC_PER_SEC + 500 * USEC_PER_MSEC, "1h2m3.5s" },
        };
        char buffer[GO_DURATION_MAX];

        (void) state;
        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_string_equal(go_duration(cases[i].duration, buffer), cases[i].text);
        assert_true(strlen(go_duration(UINT64_MAX - USEC_PER_SEC, buffer)) < GO_DURATION_MAX);
}

static JsonValue *parse(const char *text) {
        JsonValue *value = NULL;

        assert_int_equal(json_parse(text, strlen(text), &value, NULL), 0);
        return value;
}

static void assert_header(HttpReply *reply, const char *name, const char *value) {
        const char *is = MHD_get_response_header(http_reply_response(reply), name);

        if (value)
                assert_string_equal(is, value);
        else
                assert_null(is);
}

#define RATES \
        "\"rates\":[{\"what\":\"requests\",\"limit\":20,\"remaining\":4,\"reset_usec\":48000000}," \
        "{\"what\":\"images\",\"limit\":7,\"remaining\":0,\"reset_usec\":60000001}]"

/* The reply to a request of that status, with the headers. */
static HttpReply *reply_with(unsigned status, const char *parameters) {
        _cleanup_(json_freep) JsonValue *all = parse(parameters), *facts = rate_facts(all);
        HttpReply *reply = NULL;

        assert_non_null(facts);
        assert_int_equal(http_reply_new_text(&reply, status, "text/plain", strdup("x")), 0);
        assert_int_equal(rate_headers_add(reply, facts), 0);
        return reply;
}

static void test_each_rate_has_its_headers(void **state) {
        _cleanup_(http_reply_freep) HttpReply *reply = reply_with(200, "{\"job\":{}," RATES "}");

        (void) state;
        assert_header(reply, "x-ratelimit-limit-requests", "20");
        assert_header(reply, "x-ratelimit-remaining-requests", "4");
        assert_header(reply, "x-ratelimit-reset-requests", "48s");
        assert_header(reply, "x-ratelimit-limit-images", "7");
        assert_header(reply, "x-ratelimit-remaining-images", "0");
        assert_header(reply, "x-ratelimit-reset-images", "1m0.001s");
        assert_header(reply, "retry-after", NULL);
        assert_header(reply, "x-should-retry", NULL);
}

static void test_who_is_refused_learns_when_to_come_back(void **state) {
        _cleanup_(http_reply_freep) HttpReply *later = reply_with(429, "{\"retry_after_usec\":2000001," RATES "}");
        _cleanup_(http_reply_freep) HttpReply *never = reply_with(429, "{" RATES "}");

        (void) state;
        assert_header(later, "retry-after", "3");
        assert_header(later, "retry-after-ms", "2001");
        assert_header(later, "x-should-retry", NULL);
        assert_header(never, "retry-after", NULL);
        assert_header(never, "x-should-retry", "false");
}

static void test_where_nothing_is_said_nothing_is_added(void **state) {
        static const char *const texts[] = { "{}", "{\"rates\":[]}", "{\"rates\":7}", "{\"retry_after_usec\":5}" };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                _cleanup_(json_freep) JsonValue *parameters = parse(texts[i]);

                assert_null(rate_facts(parameters));
        }
        assert_null(rate_facts(NULL));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_durations_are_written_as_go_does),
                cmocka_unit_test(test_each_rate_has_its_headers),
                cmocka_unit_test(test_who_is_refused_learns_when_to_come_back),
                cmocka_unit_test(test_where_nothing_is_said_nothing_is_added),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
