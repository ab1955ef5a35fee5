/* Identifiers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/id.h"
#include "base/time.h"

#define IDS 1000  /* several of the pools that one system call fills */

static int compare(const void *a, const void *b) {
        return memcmp(a, b, ID_TEXT_MAX);
}

static void assert_all_different(char ids[][ID_TEXT_MAX], size_t count) {
        qsort(ids, count, ID_TEXT_MAX, compare);
        for (size_t i = 1; i < count; i++)
                assert_string_not_equal(ids[i - 1], ids[i]);
}

static void test_new_identifiers_are_valid_and_differ(void **state) {
        static char ids[IDS][ID_TEXT_MAX];

        (void) state;
        for (size_t i = 0; i < IDS; i++)
                assert_true(id_valid(id_new(ids[i])));
        assert_all_different(ids, IDS);
}

static usec_t time_of(const char *id) {
        char digits[13] = "";

        memcpy(digits, id, 12);
        return strtoull(digits, NULL, 16) * USEC_PER_MSEC;
}

static void test_later_identifiers_sort_later(void **state) {
        usec_t before = time_now_realtime() / USEC_PER_MSEC * USEC_PER_MSEC, between;
        char first[ID_TEXT_MAX], second[ID_TEXT_MAX];

        (void) state;
        id_new(first);
        between = time_now_realtime();
        while (time_now_realtime() / USEC_PER_MSEC == between / USEC_PER_MSEC)
                ;  /* at most one millisecond */
        id_new(second);

        assert_true(strcmp(first, second) < 0);
        assert_true(time_of(first) >= before && time_of(first) <= between);
}

static void *fill(void *ids) {
        for (size_t i = 0; i < IDS; i++)
                id_new(((char (*)[ID_TEXT_MAX]) ids)[i]);
        return NULL;
}

static void test_threads_draw_different_ones(void **state) {
        static char ids[2 * IDS][ID_TEXT_MAX];
        pthread_t thread;

        (void) state;
        assert_int_equal(pthread_create(&thread, NULL, fill, ids), 0);
        fill(ids + IDS);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_all_different(ids, 2 * IDS);
}

static void test_valid(void **state) {
        (void) state;
        assert_true(id_valid("0123456789abcdef0123456789abcdef"));
        assert_false(id_valid("0123456789abcdef0123456789abcde"));
        assert_false(id_valid("0123456789abcdef0123456789abcdef0"));
        assert_false(id_valid("0123456789abcdef0123456789ABCDEF"));
        assert_false(id_valid("0123456789abcdef0123456789abcde/"));
        assert_false(id_valid(""));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_new_identifiers_are_valid_and_differ),
                cmocka_unit_test(test_later_identifiers_sort_later),
                cmocka_unit_test(test_threads_draw_different_ones),
                cmocka_unit_test(test_valid),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
