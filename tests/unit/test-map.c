/* The hash table: what is put is found until it is removed, through growth and removals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/map.h"

#define ENTRIES 1000

typedef struct Entry {
        char key[16];
        unsigned walks;
} Entry;

static Entry entries[ENTRIES];

static int set_up(void **state) {
        Map *map = NULL;

        for (unsigned i = 0; i < ENTRIES; i++) {
                (void) snprintf(entries[i].key, sizeof(entries[i].key), "key-%u", i);
                entries[i].walks = 0;
        }
        assert_int_equal(map_new(&map), 0);
        *state = map;
        return 0;
}

static int tear_down(void **state) {
        (void) map_free(*state);
        return 0;
}

static void put_all(Map *map) {
        for (unsigned i = 0; i < ENTRIES; i++)
                assert_int_equal(map_put(map, entries[i].key, &entries[i]), 0);
}

static void test_empty_map_has_nothing(void **state) {
        size_t slot = 0;

        assert_null(map_get(*state, "a"));
        assert_null(map_get(*state, ""));
        assert_null(map_remove(*state, "a"));
        assert_null(map_first(*state));
        assert_null(map_next(*state, &slot));
        assert_int_equal(map_size(*state), 0);
}

static void test_all_that_is_put_is_found(void **state) {
        put_all(*state);
        assert_int_equal(map_size(*state), ENTRIES);
        for (unsigned i = 0; i < ENTRIES; i++) {
                char copy[16];

                (void) snprintf(copy, sizeof(copy), "key-%u", i);  /* by its text, not by where it lies */
                assert_ptr_equal(map_get(*state, copy), &entries[i]);
        }
        assert_null(map_get(*state, "key-1000"));
        assert_null(map_get(*state, "key"));
}

static void test_key_is_put_once(void **state) {
        assert_int_equal(map_put(*state, entries[0].key, &entries[0]), 0);
        assert_int_equal(map_put(*state, "key-0", &entries[1]), -EEXIST);
        assert_ptr_equal(map_get(*state, "key-0"), &entries[0]);
        assert_int_equal(map_size(*state), 1);
}

/* Gaps are closed so that the others stay within reach. */
static void test_removing_leaves_the_others_in_reach(void **state) {
        put_all(*state);
        for (unsigned i = 0; i < ENTRIES; i += 3) {
                assert_ptr_equal(map_remove(*state, entries[i].key), &entries[i]);
                assert_null(map_remove(*state, entries[i].key));
        }
        for (unsigned i = 0; i < ENTRIES; i++)
                assert_ptr_equal(map_get(*state, entries[i].key), i % 3 == 0 ? NULL : &entries[i]);
        for (unsigned i = 0; i < ENTRIES; i += 3)
                assert_int_equal(map_put(*state, entries[i].key, &entries[i]), 0);
        assert_int_equal(map_size(*state), ENTRIES);
}

static void test_walk_meets_each_once(void **state) {
        size_t slot = 0;
        Entry *entry;

        put_all(*state);
        while ((entry = map_next(*state, &slot)))
                entry->walks++;
        for (unsigned i = 0; i < ENTRIES; i++)
                assert_int_equal(entries[i].walks, 1);
}

static void test_first_empties_the_map(void **state) {
        unsigned count = 0;
        Entry *entry;

        put_all(*state);
        while ((entry = map_first(*state))) {
                assert_ptr_equal(map_remove(*state, entry->key), entry);
                count++;
        }
        assert_int_equal(count, ENTRIES);
        assert_int_equal(map_size(*state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(empty_map_has_nothing),
                TEST(all_that_is_put_is_found),
                TEST(key_is_put_once),
                TEST(removing_leaves_the_others_in_reach),
                TEST(walk_meets_each_once),
                TEST(first_empties_the_map),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
