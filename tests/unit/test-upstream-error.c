/* Providers' refusals in OpenAI's terms: statuses, shapes of errors, money, and secrets that must not pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "providers/upstream-error.h"

#define KEY "sk-proj-0123456789abcdefghij"

typedef struct Case {
        long status;
        const char *body;
        GenerationOutcome outcome;
        int client_status;
        const char *type, *code, *message;
} Case;

#define HTML "<html><body>Bad Gateway</body></html>"

static const Case cases[] = {
        { 400,
          "{\"error\":{\"message\":\"Bad "
          "n\",\"type\":\"invalid_request_error\",\"param\":\"n\",\"code\":\"invalid_value\"}}",
          GENERATION_REFUSED, 400, "invalid_request_error", "invalid_value", "Bad n" },
        { 400,
          "{\"error\":{\"message\":\"No.\",\"type\":\"image_generation_user_error\",\"param\":null,"
          "\"code\":\"moderation_blocked\",\"moderation_details\":{\"moderation_stage\":\"input\"}}}",
          GENERATION_REFUSED, 400, "image_generation_user_error", "moderation_blocked", "No." },
        { 401, "", GENERATION_REFUSED, 401, "invalid_request_error", NULL, "The provider refused the request." },
        { 403, HTML, GENERATION_REFUSED, 403, "invalid_request_error", NULL, "The provider refused the request." },
        { 404, "{\"error\":{\"message\":\"gone\",\"type\":\"\",\"code\":404}}", GENERATION_REFUSED, 404,
          "invalid_request_error", "404", "gone" },
        { 413, "{\"detail\":\"too large\"}", GENERATION_REFUSED, 413, "invalid_request_error", NULL, "too large" },
        { 422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\",\"type\":\"missing\"}]}",
          GENERATION_REFUSED, 422, "invalid_request_error", NULL, "field required" },
        { 429,
          "{\"error\":{\"message\":\"quota\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_"
          "quota\"}}",
          GENERATION_REFUSED, 429, "insufficient_quota", "insufficient_quota", "quota" },
        { 429, "", GENERATION_REFUSED, 429, "rate_limit_error", NULL, "The provider refused the request." },
        { 400, "{\"error\":\"prompt required\"}", GENERATION_REFUSED, 400, "invalid_request_error", NULL,
          "prompt required" },
        { 500, "{\"error\":\"server_error\",\"message\":\"out of memory\"}", GENERATION_REFUSED, 500, "server_error",
          NULL, "out of memory" },
        { 500, "{\"error\":{\"message\":\"oops\",\"type\":\"server_error\",\"param\":null,\"code\":null}}",
          GENERATION_REFUSED, 500, "server_error", NULL, "oops" },
        { 500, HTML, GENERATION_UNKNOWN, 500, "server_error", NULL, "The provider had an internal error." },
        { 503,
          "{\"error\":{\"message\":\"busy\",\"type\":\"service_unavailable_error\",\"code\":\"server_is_overloaded\"}"
          "}",
          GENERATION_REFUSED, 503, "service_unavailable_error", "server_is_overloaded", "busy" },
        { 503, HTML, GENERATION_UNKNOWN, 502, "server_error", "provider_unavailable",
          "The provider is not available." },
        { 502, HTML, GENERATION_UNKNOWN, 502, "server_error", "provider_unavailable",
          "The provider is not available." },
        { 504, "", GENERATION_UNKNOWN, 502, "server_error", "provider_unavailable", "The provider is not available." },
        { 502, "{\"error\":{\"message\":\"x\"}}", GENERATION_REFUSED, 502, "server_error", "provider_unavailable",
          "The provider is not available." },
        { 408, "", GENERATION_UNKNOWN, 504, "server_error", "provider_timeout", "The provider took too long." },
        { 418, "", GENERATION_REFUSED, 502, "server_error", "provider_error", "The provider refused the request." },
        { 302, "", GENERATION_REFUSED, 502, "server_error", "provider_error",
          "The provider answered with a redirect, which is not followed." },
        { 400, "{\"error\":{\"message\":\"cut", GENERATION_REFUSED, 400, "invalid_request_error", NULL,
          "The provider refused the request." },
        { 500, "[1]", GENERATION_UNKNOWN, 500, "server_error", NULL, "The provider had an internal error." },
};

static void assert_text(const char *text, const char *expected) {
        if (expected)
                assert_string_equal(text ?: "(null)", expected);
        else
                assert_null(text);
}

static void test_cases(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                const Case *c = &cases[i];
                GenerationResult result = {};

                upstream_error_read(&result, c->status, c->body, strlen(c->body), KEY);
                assert_int_equal(result.outcome, c->outcome);
                assert_int_equal(result.status, c->client_status);
                assert_text(result.type, c->type);
                assert_text(result.code, c->code);
                assert_text(result.message, c->message);
                assert_non_null(result.cause);
                generation_result_done(&result);
        }
}

static void test_param_is_passed_on(void **state) {
        GenerationResult result = {};

        (void) state;
        upstream_error_read(&result, 400, cases[0].body, strlen(cases[0].body), NULL);
        assert_text(result.param, "n");
        assert_string_equal(result.cause, "HTTP 400 invalid_value: Bad n");
        generation_result_done(&result);
}

static void test_no_secret_passes(void **state) {
        static const char body[] =
                "{\"error\":{\"message\":\"Incorrect API key provided: " KEY ". Header was Bearer " KEY "\","
                "\"type\":\"" KEY "\",\"param\":\"" KEY "\",\"code\":\"" KEY "\"}}";
        static const long statuses[] = { 400, 401, 500, 503, 502 };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(statuses); i++) {
                GenerationResult result = {};
                const char *texts[5];

                upstream_error_read(&result, statuses[i], body, strlen(body), KEY);
                texts[0] = result.type, texts[1] = result.code, texts[2] = result.param, texts[3] = result.message;
                texts[4] = result.cause;
                for (size_t k = 0; k < ELEMENTS(texts); k++)
                        assert_null(strstr(texts[k] ?: "", "0123456789"));
                generation_result_done(&result);
        }
}

static void test_masking(void **state) {
        static const struct {
                const char *text, *key, *expected;
        } texts[] = {
                { "plain", NULL, "plain" },
                { "", NULL, "" },
                { "key " KEY ".", NULL, "key ***" }, /* the stop may belong to it */
                { "key sk-ab***************wxyz here", NULL, "key *** here" },
                { "xyzzy-secret!", "xyzzy-secret", "***!" },
                { "xyzzy-secretxyzzy-secret", "xyzzy-secret", "******" },
                { "BEARER abcdefgh12345", NULL, "BEARER ***" },
                { "bearer of news", NULL, "bearer of news" },
                { "risk-free sk-8", NULL, "risk-free sk-8" },
                { "a\nb\tc\x7f", NULL, "a b c " },
                { "\xc3\xa9t\xc3\xa9 \xff", NULL, "\xc3\xa9t\xc3\xa9  " },
        };

        (void) state;
        assert_null(upstream_text_copy(NULL, NULL));
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                _cleanup_free_ char *copy = upstream_text_copy(texts[i].text, texts[i].key);

                assert_string_equal(copy, texts[i].expected);
        }
}

static void test_long_texts_are_cut_between_characters(void **state) {
        char text[8192];
        _cleanup_free_ char *copy = NULL;

        (void) state;
        for (size_t i = 0; i + 2 < sizeof(text); i += 2)
                memcpy(text + i, "\xc3\xa9", 3);
        copy = upstream_text_copy(text, NULL);
        assert_int_equal(strlen(copy), UPSTREAM_TEXT_BYTES_MAX);

        /* The longest step at the very end. */
        memset(text, 'x', UPSTREAM_TEXT_BYTES_MAX - 1);
        (void) strcpy(text + UPSTREAM_TEXT_BYTES_MAX - 1, "Bearer abcdefgh12345");
        free(copy);
        copy = upstream_text_copy(text, NULL);
        assert_string_equal(copy + UPSTREAM_TEXT_BYTES_MAX - 1, "Bearer ***");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cases),
                cmocka_unit_test(test_param_is_passed_on),
                cmocka_unit_test(test_no_secret_passes),
                cmocka_unit_test(test_masking),
                cmocka_unit_test(test_long_texts_are_cut_between_characters),
        };

        return cmocka_run_group_tests_name("upstream-error", tests, NULL, NULL);
}
