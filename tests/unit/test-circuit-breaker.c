/* The circuit breaker: when it opens, who may try it, what closes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macro.h"
#include "dispatch/circuit-breaker.h"

#define WELL CIRCUIT_EVIDENCE_WELL
#define FAILING CIRCUIT_EVIDENCE_FAILING
#define NONE CIRCUIT_EVIDENCE_NONE

static const CircuitLimits limits = { .failures_max = 3, .cooldown = 100 };

/* One attempt that is no probe. */
static bool end(CircuitBreaker *breaker, CircuitEvidence evidence, usec_t now) {
        return circuit_end(breaker, &limits, false, evidence, now);
}

static CircuitBreaker opened(usec_t now) {
        CircuitBreaker breaker = {};

        assert_false(end(&breaker, FAILING, now));
        assert_false(end(&breaker, FAILING, now));
        assert_true(end(&breaker, FAILING, now));
        assert_int_equal(breaker.state, CIRCUIT_OPEN);
        return breaker;
}

static void test_opens_with_so_many_failures_in_a_row(_unused_ void **state) {
        CircuitBreaker breaker = opened(1000);

        assert_int_equal(circuit_wait(&breaker, 1000), 1100);
        assert_int_equal(circuit_wait(&breaker, 1099), 1100);
        assert_int_equal(circuit_wait(&breaker, 1100), 0);
}

static void test_success_begins_the_row_anew(_unused_ void **state) {
        CircuitBreaker breaker = {};

        for (unsigned i = 0; i < 10; i++) {
                assert_false(end(&breaker, FAILING, 0));
                assert_false(end(&breaker, FAILING, 0));
                assert_false(end(&breaker, WELL, 0));
        }
        assert_int_equal(circuit_wait(&breaker, 0), 0);
}

static void test_what_says_nothing_changes_nothing(_unused_ void **state) {
        CircuitBreaker breaker = {};

        assert_false(end(&breaker, FAILING, 0));
        assert_false(end(&breaker, FAILING, 0));
        assert_false(end(&breaker, NONE, 0));
        assert_true(end(&breaker, FAILING, 0));
}

static void test_closed_has_no_probe(_unused_ void **state) {
        CircuitBreaker breaker = {};

        assert_false(circuit_begin(&breaker));
        assert_int_equal(circuit_wait(&breaker, 0), 0);
}

static void test_one_probe_at_a_time(_unused_ void **state) {
        CircuitBreaker breaker = opened(0);

        assert_true(circuit_begin(&breaker));
        assert_int_equal(breaker.state, CIRCUIT_HALF_OPEN);
        assert_int_equal(circuit_wait(&breaker, 1000000), USEC_INFINITY);
}

static void test_probe_that_does_well_closes(_unused_ void **state) {
        CircuitBreaker breaker = opened(0);

        assert_true(circuit_begin(&breaker));
        assert_true(circuit_end(&breaker, &limits, true, WELL, 200));
        assert_int_equal(breaker.state, CIRCUIT_CLOSED);
        assert_int_equal(circuit_wait(&breaker, 200), 0);
        assert_false(end(&breaker, FAILING, 200));
        assert_false(end(&breaker, FAILING, 200));
        assert_true(end(&breaker, FAILING, 200));
}

static void test_probe_that_fails_opens_for_as_long(_unused_ void **state) {
        CircuitBreaker breaker = opened(0);

        assert_true(circuit_begin(&breaker));
        assert_true(circuit_end(&breaker, &limits, true, FAILING, 150));
        assert_int_equal(breaker.state, CIRCUIT_OPEN);
        assert_int_equal(circuit_wait(&breaker, 150), 250);
}

static void test_probe_that_was_not_made_leaves_its_place(_unused_ void **state) {
        CircuitBreaker breaker = opened(0);

        assert_true(circuit_begin(&breaker));
        assert_false(circuit_end(&breaker, &limits, true, NONE, 150));
        assert_int_equal(breaker.state, CIRCUIT_HALF_OPEN);
        assert_int_equal(circuit_wait(&breaker, 150), 0);
        assert_true(circuit_begin(&breaker));
}

static void test_old_news_neither_opens_nor_closes(_unused_ void **state) {
        CircuitBreaker breaker = opened(0);

        assert_false(end(&breaker, WELL, 50));
        assert_false(end(&breaker, FAILING, 50));
        assert_int_equal(circuit_wait(&breaker, 50), 100);
        assert_true(circuit_begin(&breaker));
        assert_false(end(&breaker, WELL, 120));
        assert_false(end(&breaker, FAILING, 120));
        assert_int_equal(circuit_wait(&breaker, 120), USEC_INFINITY);
}

static void test_hurry_lets_the_probe_begin(_unused_ void **state) {
        CircuitBreaker breaker = opened(0);

        circuit_hurry(&breaker);
        assert_int_equal(breaker.state, CIRCUIT_OPEN);
        assert_int_equal(circuit_wait(&breaker, 1), 0);
        assert_true(circuit_begin(&breaker));
        circuit_hurry(&breaker);
        assert_int_equal(circuit_wait(&breaker, 1), USEC_INFINITY);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_opens_with_so_many_failures_in_a_row),
                cmocka_unit_test(test_success_begins_the_row_anew),
                cmocka_unit_test(test_what_says_nothing_changes_nothing),
                cmocka_unit_test(test_closed_has_no_probe),
                cmocka_unit_test(test_one_probe_at_a_time),
                cmocka_unit_test(test_probe_that_does_well_closes),
                cmocka_unit_test(test_probe_that_fails_opens_for_as_long),
                cmocka_unit_test(test_probe_that_was_not_made_leaves_its_place),
                cmocka_unit_test(test_old_news_neither_opens_nor_closes),
                cmocka_unit_test(test_hurry_lets_the_probe_begin),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
