/* Whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "dispatch/fair-share.h"

static int set_up(void **state) {
        FairShare *share;

        assert_int_equal(fair_share_new(&share), 0);
        *state = share;
        return 0;
}

static int tear_down(void **state) {
        (void) fair_share_free(*state);
        return 0;
}

static void test_nobody_has_come_at_first(void **state) {
        FairShare *share = *state;

        assert_string_equal(fair_share_last(share, "a"), "");
        assert_int_equal(fair_share_turn(share, "a"), 0);
}

static void test_each_model_remembers_its_own(void **state) {
        FairShare *share = *state;

        assert_int_equal(fair_share_take(share, "a", "one"), 0);
        assert_int_equal(fair_share_take(share, "b", "two"), 0);
        assert_string_equal(fair_share_last(share, "a"), "one");
        assert_string_equal(fair_share_last(share, "b"), "two");
        assert_true(fair_share_turn(share, "a") < fair_share_turn(share, "b"));
        assert_int_equal(fair_share_take(share, "a", ""), 0);
        assert_string_equal(fair_share_last(share, "a"), "");
        assert_true(fair_share_turn(share, "a") > fair_share_turn(share, "b"));
        assert_true(fair_share_turn(share, "c") < fair_share_turn(share, "b"));
}

/* As long as the id of a key is. */
static void test_a_party_is_kept_whole(void **state) {
        FairShare *share = *state;

        assert_int_equal(fair_share_take(share, "a", "0123456789abcdef"), 0);
        assert_string_equal(fair_share_last(share, "a"), "0123456789abcdef");
        assert_int_equal(strlen("0123456789abcdef"), FAIR_SHARE_PARTY_MAX - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_nobody_has_come_at_first),
                TEST(test_each_model_remembers_its_own),
                TEST(test_a_party_is_kept_whole),
        };

        return cmocka_run_group_tests_name("fair-share", tests, NULL, NULL);
}
