/* How much of a budget has gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "money/budget.h"

static int64_t share(micros_t limit, micros_t amount) {
        const BudgetLimit of = { .limit = limit };

        return budget_limit_share(&of, amount);
}

static void test_a_share_is_rounded_down(_unused_ void **state) {
        assert_int_equal(share(1000000, 700000), 700000);
        assert_int_equal(share(1000000, 699999), 699999);
        assert_int_equal(share(3, 2), 666666);
        assert_int_equal(share(50 * MICROS_PER_DOLLAR, 0), 0);
        assert_int_equal(share(50 * MICROS_PER_DOLLAR, 49 * MICROS_PER_DOLLAR), 980000);
}

static void test_a_share_is_at_most_the_whole(_unused_ void **state) {
        assert_int_equal(share(1000000, 1000000), 1000000);
        assert_int_equal(share(1000000, 1000001), 1000000);
        assert_int_equal(share(0, 0), 1000000);
}

static void test_a_share_of_the_largest_budget_fits(_unused_ void **state) {
        micros_t edge = INT64_MAX / MICROS_PER_DOLLAR;

        assert_int_equal(share(MICROS_MAX, MICROS_MAX - 1), 999999);
        assert_int_equal(share(MICROS_MAX, MICROS_MAX / 2), 500000);
        assert_int_equal(share(2 * edge, edge), 500000);
        assert_int_equal(share(2 * edge, edge + 1), 500000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_share_is_rounded_down),
                cmocka_unit_test(test_a_share_is_at_most_the_whole),
                cmocka_unit_test(test_a_share_of_the_largest_budget_fits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
