#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/text.h"
#include "providers/provider-keys.h"

#define NOW (100 * USEC_PER_SEC)

static ProviderKeys keys_of(const char *first, const char *second) {
        ProviderKeys keys = {};

        assert_int_equal(provider_keys_add(&keys, first), 0);
        assert_int_equal(provider_keys_add(&keys, second), 0);
        return keys;
}

static void assert_described(const ProviderKeys *keys, usec_t now, const char *expected) {
        _cleanup_(buffer_done) Buffer text = {};

        assert_int_equal(provider_keys_describe(keys, now, &text), 0);
        assert_int_equal(text.size, strlen(expected));
        assert_memory_equal(text.data ?: (void *) "", expected, text.size);
}

static void test_first_good_one_is_chosen(_unused_ void **state) {
        ProviderKeys keys = keys_of("one", "two");

        assert_int_equal(provider_keys_choose(&keys, NOW), 1);
        assert_described(&keys, NOW, "");
        assert_true(provider_keys_set_aside(&keys, 1, KEY_FAULT_REFUSED, NOW));
        assert_int_equal(provider_keys_choose(&keys, NOW), 2);
        assert_described(&keys, NOW, "key 1 of 2 refused");
        assert_true(provider_keys_set_aside(&keys, 2, KEY_FAULT_SPENT, NOW));
        assert_int_equal(provider_keys_choose(&keys, NOW), 0);
        assert_described(&keys, NOW, "key 1 of 2 refused, key 2 of 2 out of quota");
        provider_keys_done(&keys);
}

/* Many attempts with one key are under way when it is refused: the first one tells. */
static void test_set_aside_once(_unused_ void **state) {
        ProviderKeys keys = keys_of("one", "two");

        assert_true(provider_keys_set_aside(&keys, 1, KEY_FAULT_REFUSED, NOW));
        assert_false(provider_keys_set_aside(&keys, 1, KEY_FAULT_REFUSED, NOW));
        assert_false(provider_keys_set_aside(&keys, 1, KEY_FAULT_SPENT, NOW));
        assert_false(provider_keys_set_aside(&keys, 0, KEY_FAULT_REFUSED, NOW));
        assert_false(provider_keys_set_aside(&keys, 3, KEY_FAULT_REFUSED, NOW));
        provider_keys_done(&keys);
}

static void test_each_comes_back_in_its_time(_unused_ void **state) {
        ProviderKeys keys = keys_of("one", "two");

        (void) provider_keys_set_aside(&keys, 1, KEY_FAULT_SPENT, NOW);
        (void) provider_keys_set_aside(&keys, 2, KEY_FAULT_REFUSED, NOW);
        assert_int_equal(provider_keys_choose(&keys, NOW + KEY_REFUSED_USEC - 1), 0);
        assert_int_equal(provider_keys_fault(&keys, 2, NOW + KEY_REFUSED_USEC - 1), KEY_FAULT_REFUSED);
        assert_int_equal(provider_keys_choose(&keys, NOW + KEY_REFUSED_USEC), 2);
        assert_int_equal(provider_keys_choose(&keys, NOW + KEY_SPENT_USEC - 1), 2);
        assert_int_equal(provider_keys_choose(&keys, NOW + KEY_SPENT_USEC), 1);
        assert_true(provider_keys_set_aside(&keys, 1, KEY_FAULT_SPENT, NOW + KEY_SPENT_USEC));
        provider_keys_done(&keys);
}

static void test_missing_one_keeps_its_number(_unused_ void **state) {
        ProviderKeys keys = keys_of(NULL, "two");

        assert_true(provider_keys_present(&keys));
        assert_int_equal(provider_keys_choose(&keys, NOW), 2);
        assert_described(&keys, NOW, "key 1 of 2 missing");
        provider_keys_done(&keys);

        keys = keys_of(NULL, "");
        assert_false(provider_keys_present(&keys));
        assert_int_equal(provider_keys_choose(&keys, NOW), 0);
        provider_keys_done(&keys);
}

static void test_no_more_than_so_many(_unused_ void **state) {
        ProviderKeys keys = {};

        for (unsigned i = 0; i < KEYS_MAX; i++)
                assert_int_equal(provider_keys_add(&keys, "key"), 0);
        assert_int_equal(provider_keys_add(&keys, "key"), -E2BIG);
        assert_int_equal(keys.count, KEYS_MAX);
        provider_keys_done(&keys);
        assert_int_equal(keys.count, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_good_one_is_chosen),
                cmocka_unit_test(test_set_aside_once),
                cmocka_unit_test(test_each_comes_back_in_its_time),
                cmocka_unit_test(test_missing_one_keeps_its_number),
                cmocka_unit_test(test_no_more_than_so_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
