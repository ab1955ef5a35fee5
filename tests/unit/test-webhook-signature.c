/* How webhooks are signed, and when they are sent again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/macro.h"
#include "webhooks/webhook-schedule.h"
#include "webhooks/webhook-signature.h"

/* The vector of the libraries of Standard Webhooks. */
static void test_the_vector_of_the_specification(_unused_ void **state) {
        uint8_t key[WEBHOOK_SECRET_BYTES_MAX];
        char signature[WEBHOOK_SIGNATURE_MAX];
        ssize_t size;

        size = webhook_secret_parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", key);
        assert_int_equal(size, 24);
        assert_int_equal(webhook_sign(key, (size_t) size, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                      "{\"test\": 2432232314}", signature), 0);
        assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static ssize_t parse_of(size_t bytes) {
        uint8_t data[WEBHOOK_SECRET_BYTES_MAX + 3] = { 1 }, key[WEBHOOK_SECRET_BYTES_MAX];
        char text[BASE64_ENCODED_SIZE(sizeof(data)) + 1];

        text[base64_encode(data, bytes, text)] = 0;
        return webhook_secret_parse(text, key);
}

static void test_secrets_are_of_24_to_64_bytes(_unused_ void **state) {
        assert_int_equal(parse_of(WEBHOOK_SECRET_BYTES_MIN - 1), -EINVAL);
        assert_int_equal(parse_of(WEBHOOK_SECRET_BYTES_MIN), WEBHOOK_SECRET_BYTES_MIN);
        assert_int_equal(parse_of(WEBHOOK_SECRET_BYTES_MAX), WEBHOOK_SECRET_BYTES_MAX);
        assert_int_equal(parse_of(WEBHOOK_SECRET_BYTES_MAX + 1), -EINVAL);
}

static void test_what_is_no_secret_is_refused(_unused_ void **state) {
        static const char *const cases[] = {
                "", "whsec_", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw MfKQ", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        };
        uint8_t key[WEBHOOK_SECRET_BYTES_MAX];

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(webhook_secret_parse(cases[i], key), -EINVAL);
}

static void test_pauses_grow_until_it_is_given_up(_unused_ void **state) {
        usec_t before = 0;

        assert_int_equal(webhook_pause(1, 0, 0), 5 * USEC_PER_SEC);
        for (int64_t attempts = 1; attempts < WEBHOOK_ATTEMPTS_MAX; attempts++) {
                usec_t pause = webhook_pause(attempts, 0, 0);

                assert_true(pause > before && pause <= USEC_PER_DAY);
                before = pause;
        }
        assert_true(webhook_pause(WEBHOOK_ATTEMPTS_MAX, 0, 0) == USEC_INFINITY);
        assert_true(webhook_pause(0, 0, 0) == USEC_INFINITY);
}

static void test_chance_adds_up_to_a_tenth(_unused_ void **state) {
        assert_int_equal(webhook_pause(2, 0, UINT32_MAX), 5 * USEC_PER_MINUTE + 30 * USEC_PER_SEC);
        assert_int_equal(webhook_pause(2, 0, 0), 5 * USEC_PER_MINUTE);
}

static void test_a_receiver_may_ask_for_up_to_a_day(_unused_ void **state) {
        assert_int_equal(webhook_pause(1, USEC_PER_MINUTE, 0), USEC_PER_MINUTE);
        assert_int_equal(webhook_pause(1, USEC_PER_SEC, 0), 5 * USEC_PER_SEC);
        assert_int_equal(webhook_pause(1, USEC_PER_DAY, 0), USEC_PER_DAY);
        assert_int_equal(webhook_pause(1, USEC_PER_DAY + 1, 0), USEC_PER_DAY);
        assert_int_equal(webhook_pause(1, USEC_INFINITY, 0), USEC_PER_DAY);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_vector_of_the_specification),
                cmocka_unit_test(test_secrets_are_of_24_to_64_bytes),
                cmocka_unit_test(test_what_is_no_secret_is_refused),
                cmocka_unit_test(test_pauses_grow_until_it_is_given_up),
                cmocka_unit_test(test_chance_adds_up_to_a_tenth),
                cmocka_unit_test(test_a_receiver_may_ask_for_up_to_a_day),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
