/* How often an address may show keys that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guess-limit.h"

#define NOW (UINT64_C(1000) * USEC_PER_SEC)
#define PER_MINUTE 6

static int set_up(void **state) {
        return guess_limit_new((GuessLimit **) state);
}

static int tear_down(void **state) {
        *state = guess_limit_free(*state);
        return 0;
}

static bool admits(const GuessLimit *limit, const char *address, const char *token, usec_t now) {
        usec_t retry;

        return guess_limit_admits(limit, address, token, PER_MINUTE, now, &retry);
}

static void use_up(GuessLimit *limit, const char *address) {
        for (unsigned i = 0; i < PER_MINUTE; i++) {
                assert_true(admits(limit, address, NULL, NOW));
                guess_limit_refused(limit, address, PER_MINUTE, NOW);
        }
}

static void test_a_minutes_worth_and_then_one_by_one(void **state) {
        usec_t retry = 0;

        use_up(*state, "192.0.2.1");
        assert_false(guess_limit_admits(*state, "192.0.2.1", "x", PER_MINUTE, NOW, &retry));
        assert_int_equal(retry, 10 * USEC_PER_SEC);
        assert_false(admits(*state, "192.0.2.1", NULL, NOW + 10 * USEC_PER_SEC - 1));
        assert_true(admits(*state, "192.0.2.1", NULL, NOW + 10 * USEC_PER_SEC));
        guess_limit_refused(*state, "192.0.2.1", PER_MINUTE, NOW + 10 * USEC_PER_SEC);
        assert_false(admits(*state, "192.0.2.1", NULL, NOW + 10 * USEC_PER_SEC));
        assert_true(guess_limit_admits(*state, "192.0.2.1", NULL, 0, NOW, &retry));
}

static void test_addresses_are_apart_and_networks_of_one_customer_are_not(void **state) {
        use_up(*state, "192.0.2.1");
        assert_true(admits(*state, "192.0.2.2", NULL, NOW));
        assert_false(admits(*state, "::ffff:192.0.2.1", NULL, NOW));
        use_up(*state, "2001:db8:1:2::1");
        assert_false(admits(*state, "2001:db8:1:2:ffff:ffff:ffff:ffff", NULL, NOW));
        assert_true(admits(*state, "2001:db8:1:3::1", NULL, NOW));
        use_up(*state, "unix");
        assert_false(admits(*state, "unix", NULL, NOW));
}

static void test_a_token_that_was_good_goes_on(void **state) {
        guess_limit_good(*state, "atl_good", NOW);
        use_up(*state, "192.0.2.1");
        assert_true(admits(*state, "192.0.2.1", "atl_good", NOW));
        assert_false(admits(*state, "192.0.2.1", "atl_goo", NOW));
        for (unsigned i = 0; i < 20 * PER_MINUTE; i++)
                guess_limit_refused(*state, "192.0.2.1", PER_MINUTE, NOW + GUESS_TOKEN_USEC);
        assert_true(admits(*state, "192.0.2.1", "atl_good", NOW + GUESS_TOKEN_USEC - 1));
        assert_false(admits(*state, "192.0.2.1", "atl_good", NOW + GUESS_TOKEN_USEC));
}

static void test_what_is_remembered_is_bounded(void **state) {
        char text[32];

        use_up(*state, "192.0.2.1");
        for (unsigned i = 0; i < GUESS_ADDRESSES_MAX; i++) {
                (void) snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
                guess_limit_refused(*state, text, PER_MINUTE, NOW);
        }
        /* It is the furthest from being free: others were forgotten. */
        assert_false(admits(*state, "192.0.2.1", NULL, NOW));

        guess_limit_good(*state, "first", NOW);
        for (unsigned i = 1; i < GUESS_TOKENS_MAX; i++) {
                (void) snprintf(text, sizeof(text), "token %u", i);
                guess_limit_good(*state, text, NOW);
        }
        assert_true(admits(*state, "192.0.2.1", "first", NOW));
        guess_limit_good(*state, "one more", NOW);
        assert_false(admits(*state, "192.0.2.1", "first", NOW));
        assert_true(admits(*state, "192.0.2.1", "one more", NOW));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_minutes_worth_and_then_one_by_one, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_addresses_are_apart_and_networks_of_one_customer_are_not, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_token_that_was_good_goes_on, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_remembered_is_bounded, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
