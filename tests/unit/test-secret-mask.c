/* What secret_mask() hides, and what it leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/secret-mask.h"
#include "base/text.h"
#include "base/time.h"

#define CANARY "c4N4ryAbCdEf0123456789GhIjKlMnOpQrStUvWx"

static void assert_masked(const char *text, const char *expected) {
        _cleanup_free_ char *masked = secret_mask(text, strlen(text));

        assert_non_null(masked);
        assert_string_equal(masked, expected);
}

static void assert_hidden(const char *text) {
        _cleanup_free_ char *masked = secret_mask(text, strlen(text));

        assert_non_null(masked);
        if (strstr(masked, "c4N4ry"))
                fail_msg("%s was let through as %s", text, masked);
}

static void assert_kept(const char *text) {
        assert_masked(text, text);
}

static void test_tokens_of_a_scheme(_unused_ void **state) {
        assert_masked("sent Authorization Bearer abc.def-ghi to it", "sent Authorization Bearer [masked] to it");
        assert_masked("bearer: \"abcdefgh\"", "bearer: \"[masked]\"");
        assert_masked("Basic dXNlcjpwYXNz", "Basic [masked]");
        assert_kept("a basic need");
        assert_kept("rebearer abcdefgh");
}

static void test_keys_with_a_known_beginning(_unused_ void **state) {
        assert_masked("key sk-proj-abcdefghijkl refused", "key [masked] refused");
        assert_masked("(sk-or-v1-0123456789abcdef)", "([masked])");
        assert_masked("xoxb-1-abc xoxp-22", "[masked] [masked]");
        assert_masked("id AKIAIOSFODNN7EXAMPLE", "id [masked]");
        assert_masked("ghp_abcdefghijklmnopqrst", "[masked]");
        assert_masked("(atl_0123456789abcdef_0123456789abcdef)", "([masked])");
        assert_masked("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[masked]");
        assert_kept("task-scheduler-of-the-night");
        assert_kept("the disk-usage-of-the-host is high");
        assert_kept("sk-1");
}

static void test_slack_hooks(_unused_ void **state) {
        assert_masked("POST https://hooks.slack.com/services/T0/B0/" CANARY " 404",
                      "POST https://hooks.slack.com/[masked] 404");
        assert_masked("HOOKS.SLACK.COM/services/x", "HOOKS.SLACK.COM/[masked]");
}

static void test_users_in_urls(_unused_ void **state) {
        assert_masked("redis://user:pass@host:6379/0", "redis://[masked]@host:6379/0");
        assert_masked("https://" CANARY "@host/x", "https://[masked]@host/x");
        assert_masked("pg://u:p/a@ss@db", "pg://[masked]@db");
        assert_kept("https://host/a@b");
        assert_kept("https://host:80/");
}

static void test_values_of_names(_unused_ void **state) {
        assert_masked("password=hunter2 user=me", "password=[masked] user=me");
        assert_masked("DB_PASSWORD = hunter2;", "DB_PASSWORD = [masked];");
        assert_masked("api_key: abc, model: x", "api_key: [masked], model: x");
        assert_masked("{\"api_key\": \"a b c\", \"n\": 1}", "{\"api_key\": \"[masked]\", \"n\": 1}");
        assert_masked("{\\\"apiKey\\\":\\\"abc\\\"}", "{\\\"apiKey\\\":\\\"[masked]\\\"}");
        assert_masked("?access_token=abc&x=1", "?access_token=[masked]&x=1");
        assert_masked("x-api-key: abc", "x-api-key: [masked]");
        assert_masked("secret => 'a b'", "secret => '[masked]'");
        assert_masked("password: \"a\\\"b\" c", "password: \"[masked]\" c");
        assert_masked("password=it's<odd>\\)} x", "password=[masked] x");
        assert_masked("password=\"\" user=\"me\"", "password=\"\" user=\"me\"");
        assert_masked("run --password hunter2 now", "run --password [masked] now");
        assert_kept("the password is wrong");
        assert_kept("no token was sent");
}

static void test_headers_to_the_end_of_the_line(_unused_ void **state) {
        assert_masked("Authorization: Digest a=\"b\", c=d\nnext", "Authorization: [masked]\nnext");
        assert_masked("Set-Cookie: a=b; c=d\n", "Set-Cookie: [masked]\n");
}

static void test_private_keys(_unused_ void **state) {
        assert_masked("a\n-----BEGIN RSA PRIVATE KEY-----\n" CANARY "\n" CANARY "\n-----END RSA PRIVATE KEY-----\nb",
                      "a\n[masked]\nb");
        assert_masked("-----BEGIN PRIVATE KEY-----\nabc", "[masked]");
        assert_masked("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA\n-----BEGIN PRIVATE KEY-----\n" CANARY
                      "\n-----END PRIVATE KEY-----\nb", "[masked]\nb");
        assert_masked("-----BEGIN PRIVATE KEY-----\n-----END CERTIFICATE-----\n" CANARY, "[masked]");
        assert_masked("head is elsewhere\n" CANARY CANARY "\nb", "head is elsewhere\n[masked]\nb");
        assert_kept("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----");
}

static void test_long_runs_beside_words_of_keys(_unused_ void **state) {
        assert_masked("the key " CANARY " was refused", "the key [masked] was refused");
        assert_masked(CANARY " is no signature", "[masked] is no signature");
        assert_kept("image " CANARY " was stored");
        assert_kept("the key\nimage " CANARY);
        assert_kept("the key c4N4ryAbCdEf0123456789GhIjKlMnOpQrStUvW");
}

static void test_what_hides_a_secret_does_not(_unused_ void **state) {
        assert_hidden("\x1b[32mBearer " CANARY "\x1b[0m");
        assert_hidden("\x1b[1msk-" CANARY);
        assert_hidden("Bearer\t" CANARY);
        assert_hidden("\xffsk-" CANARY);
        assert_hidden("Authorization: Bearer " CANARY "\r\n");
}

static void test_the_result_is_clean(_unused_ void **state) {
        _cleanup_free_ char *masked = secret_mask("a\0b\x80\n\x7f", 6);

        assert_string_equal(masked, "a b\xef\xbf\xbd\n ");
        assert_masked("", "");
}

/* As many lines, and as long ones, as atelierctl takes out of the journal at most. */
#define HOSTILE_LINES 100
#define HOSTILE_LINE_BYTES (16 * 1024)

/* Of the processor; the report of a failure has 30 seconds for everything. What is not optimised, or watched by a
 * sanitizer, is slower by a factor. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
#define HOSTILE_TIME_MAX USEC_PER_SEC
#else
#define HOSTILE_TIME_MAX (10 * USEC_PER_SEC)
#endif

/* The caller frees it. */
static char *make_hostile(const char *piece) {
        char *text = calloc(1, HOSTILE_LINES * (HOSTILE_LINE_BYTES + 1) + 1), *p = text;

        assert_non_null(text);
        for (size_t i = 0; i < HOSTILE_LINES; i++) {
                for (const char *line = p; p + strlen(piece) <= line + HOSTILE_LINE_BYTES;)
                        p = stpcpy(p, piece);
                *p++ = '\n';
        }
        return text;
}

static usec_t processor_time(void) {
        struct timespec spent;

        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent), 0);
        return (usec_t) spent.tv_sec * USEC_PER_SEC + (usec_t) spent.tv_nsec / 1000;
}

static void test_hostile_text_takes_no_time(_unused_ void **state) {
        static const char *const pieces[] = {
                "://", "token=", "-----BEGIN ", "-----END ", "a", "a.", "a ", "sk-", "bearer ", "\"", "= ", "--token ",
        };

        for (size_t i = 0; i < ELEMENTS(pieces); i++) {
                _cleanup_free_ char *text = make_hostile(pieces[i]), *masked = NULL;
                usec_t began = processor_time(), spent;

                masked = secret_mask(text, strlen(text));
                spent = processor_time() - began;
                assert_non_null(masked);
                assert_true(utf8_valid(masked, strlen(masked)));
                if (spent > HOSTILE_TIME_MAX)
                        fail_msg("%s took %llu ms", pieces[i], (unsigned long long) (spent / USEC_PER_MSEC));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tokens_of_a_scheme),
                cmocka_unit_test(test_keys_with_a_known_beginning),
                cmocka_unit_test(test_slack_hooks),
                cmocka_unit_test(test_users_in_urls),
                cmocka_unit_test(test_values_of_names),
                cmocka_unit_test(test_headers_to_the_end_of_the_line),
                cmocka_unit_test(test_private_keys),
                cmocka_unit_test(test_long_runs_beside_words_of_keys),
                cmocka_unit_test(test_what_hides_a_secret_does_not),
                cmocka_unit_test(test_the_result_is_clean),
                cmocka_unit_test(test_hostile_text_takes_no_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
