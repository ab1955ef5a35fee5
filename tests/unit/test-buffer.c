/* The growing buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"

static void assert_content(const Buffer *buffer, const char *expected) {
        assert_int_equal(buffer->size, strlen(expected));
        assert_memory_equal(buffer->data, expected, buffer->size);
}

static void test_append(void **state) {
        _cleanup_(buffer_done) Buffer buffer = BUFFER_INIT(0);

        (void) state;
        assert_int_equal(buffer_append(&buffer, "ab", 2), 0);
        assert_int_equal(buffer_append_text(&buffer, "cd"), 0);
        assert_int_equal(buffer_printf(&buffer, "%d", 56), 0);
        assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
        assert_content(&buffer, "abcd56");
}

static void test_growth_keeps_the_content(void **state) {
        _cleanup_(buffer_done) Buffer buffer = BUFFER_INIT(0);

        (void) state;
        for (unsigned i = 0; i < 10000; i++)
                assert_int_equal(buffer_append(&buffer, &(uint8_t) { (uint8_t) i }, 1), 0);
        for (unsigned i = 0; i < 10000; i++)
                assert_int_equal(buffer.data[i], (uint8_t) i);
}

static void test_limit(void **state) {
        _cleanup_(buffer_done) Buffer buffer = BUFFER_INIT(4);

        (void) state;
        assert_int_equal(buffer_append_text(&buffer, "abcd"), 0);
        assert_int_equal(buffer_append_text(&buffer, "e"), -EMSGSIZE);
        assert_int_equal(buffer_printf(&buffer, "e"), -EMSGSIZE);
        assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), -ENOMEM);
        assert_content(&buffer, "abcd");
}

static void test_consumed_bytes_make_room_under_the_limit(void **state) {
        _cleanup_(buffer_done) Buffer buffer = BUFFER_INIT(4);

        (void) state;
        assert_int_equal(buffer_append_text(&buffer, "abcd"), 0);
        buffer_consume(&buffer, 3);
        assert_content(&buffer, "d");
        assert_int_equal(buffer_append_text(&buffer, "efg"), 0);
        assert_content(&buffer, "defg");
        buffer_consume(&buffer, 4);
        assert_content(&buffer, "");
}

static void test_reserve_does_not_fill(void **state) {
        _cleanup_(buffer_done) Buffer buffer = BUFFER_INIT(0);

        (void) state;
        assert_int_equal(buffer_reserve(&buffer, 1000), 0);
        assert_int_equal(buffer.size, 0);
        assert_true(buffer.allocated >= 1000);
        memset(buffer.data, 'x', 1000);
}

static void test_take_text(void **state) {
        Buffer buffer = BUFFER_INIT(4);
        _cleanup_free_ char *text = NULL, *empty = NULL;

        (void) state;
        assert_int_equal(buffer_append_text(&buffer, "abcd"), 0);
        text = buffer_take_text(&buffer);  /* the NUL counts against no limit */
        empty = buffer_take_text(&buffer);
        assert_string_equal(text, "abcd");
        assert_string_equal(empty, "");
        assert_null(buffer.data);
        assert_int_equal(buffer.size_max, 4);
}

static void test_done_leaves_a_usable_buffer(void **state) {
        _cleanup_(buffer_done) Buffer buffer = BUFFER_INIT(4);

        (void) state;
        assert_int_equal(buffer_append_text(&buffer, "abcd"), 0);
        buffer_done(&buffer);
        assert_int_equal(buffer_append_text(&buffer, "ef"), 0);
        assert_content(&buffer, "ef");
        assert_int_equal(buffer_append_text(&buffer, "ghi"), -EMSGSIZE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_append),
                cmocka_unit_test(test_growth_keeps_the_content),
                cmocka_unit_test(test_limit),
                cmocka_unit_test(test_consumed_bytes_make_room_under_the_limit),
                cmocka_unit_test(test_reserve_does_not_fill),
                cmocka_unit_test(test_take_text),
                cmocka_unit_test(test_done_leaves_a_usable_buffer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
