/* Event streams, cut into pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "providers/sse-parser.h"

/* What was told, as text: data as it came, and "<NAME>" behind each event. */
typedef struct Told {
        char text[1024];
        size_t size;
        unsigned pieces;
        int data_error, event_error;
} Told;

static int on_data(const char *data, size_t size, void *userdata) {
        Told *told = userdata;

        assert_true(told->size + size < sizeof(told->text));
        memcpy(told->text + told->size, data, size);
        told->size += size;
        told->pieces++;
        return told->data_error;
}

static int on_event(const char *name, void *userdata) {
        Told *told = userdata;

        told->size += (size_t) snprintf(told->text + told->size, sizeof(told->text) - told->size, "<%s>", name);
        return told->event_error;
}

static const SseHandlers handlers = { .data = on_data, .event = on_event };

static int parse(const char *text, size_t size, size_t piece, Told *told) {
        _cleanup_(sse_parser_freep) SseParser *parser = NULL;
        int r = 0;

        assert_int_equal(sse_parser_new(&parser, &handlers, told), 0);
        for (size_t i = 0; i < size && r >= 0; i += piece)
                r = sse_parser_write(parser, text + i, MIN(piece, size - i));
        told->text[told->size] = 0;
        return r;
}

#define assert_told(text, expected) assert_bytes_told(text, strlen(text), expected)

static void assert_bytes_told(const char *text, size_t size, const char *expected) {
        for (size_t piece = 1; piece <= size; piece++) {
                Told told = {};

                assert_int_equal(parse(text, size, piece, &told), 0);
                assert_string_equal(told.text, expected);
        }
}

static void test_named_events(_unused_ void **state) {
        assert_told("event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", "1<a>2<b>");
}

static void test_data_alone_has_no_name(_unused_ void **state) {
        assert_told("data: {\"type\":\"x\"}\n\ndata: [DONE]\n\n", "{\"type\":\"x\"}<>[DONE]<>");
}

static void test_name_may_follow_data(_unused_ void **state) {
        assert_told("data: 1\nevent: late\n\n", "1<late>");
        assert_told("event: first\ndata: 1\nevent: last\n\n", "1<last>");
}

static void test_name_does_not_last(_unused_ void **state) {
        assert_told("event: a\ndata: 1\n\ndata: 2\n\n", "1<a>2<>");
        assert_told("event: a\n\ndata: 2\n\n", "2<>"); /* an event without data is none, its name is forgotten */
}

static void test_every_end_of_line(_unused_ void **state) {
        assert_told("event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", "1<a>2<>");
        assert_told("event: a\rdata: 1\r\rdata: 2\r\r", "1<a>2<>");
        assert_told("event: a\rdata: 1\n\r\ndata: 2\r\n\n", "1<a>2<>");
        assert_told("data: 1\n\r\n\rdata: 2\n\n", "1<>2<>");
}

static void test_lines_of_data_are_joined(_unused_ void **state) {
        assert_told("data: {\ndata:  \"a\"\ndata: }\n\n", "{\n \"a\"\n}<>");
        assert_told("data\n\n", "<>");
        assert_told("data:\ndata\ndata:x\n\n", "\n\nx<>");
}

static void test_one_space_is_removed(_unused_ void **state) {
        assert_told("data:x\n\n", "x<>");
        assert_told("data:  x\n\n", " x<>");
        assert_told("data: \n\n", "<>");
        assert_told("data:x: y\n\n", "x: y<>");
}

static void test_comments_and_other_fields_are_skipped(_unused_ void **state) {
        assert_told(": OPENROUTER PROCESSING\n\n:\n\n:data: 0\ndata: 1\nid: 7\nretry: 100\n: between\n\n", "1<>");
        assert_told("dat: 0\ndatas: 0\nDATA: 0\n data: 0\nunheard-of-field: 0\ndatadata: 0\ndata: 1\n\n", "1<>");
}

static void test_byte_order_mark(_unused_ void **state) {
        assert_told("\xef\xbb\xbf" "data: 1\n\n", "1<>");
        assert_told("\xef\xbb" "data: 0\n\ndata: 1\n\n", "1<>");         /* half of one is the name of a field */
        assert_told("\xef\xbb\xbf\xef\xbb\xbf" "data: 0\n\ndata: 1\n\n", "1<>");
        assert_told("data: 1\n\n\xef\xbb\xbf" "data: 2\n\n", "1<>");     /* not at the beginning */
        assert_told("\xef\n\ndata: 1\n\n", "1<>");
}

static void test_end_of_stream_ends_no_event(_unused_ void **state) {
        assert_told("data: 1\n\ndata: 2\n", "1<>2");
        assert_told("data: 1\n\ndata: 2", "1<>2");
        assert_told("data: 1\n\nevent: b", "1<>");
}

static void test_any_bytes_are_data(_unused_ void **state) {
        static const char text[] = "data: a\xff\x80" "b\n\n";

        assert_bytes_told(text, sizeof(text) - 1, "a\xff\x80" "b<>");
}

/* A value in one piece is handed out in one run, however long. */
static void test_data_is_not_cut_further(_unused_ void **state) {
        _cleanup_(sse_parser_freep) SseParser *parser = NULL;
        Told told = {};

        assert_int_equal(sse_parser_new(&parser, &handlers, &told), 0);
        assert_int_equal(sse_parser_write(parser, "data: ", 6), 0);
        assert_int_equal(told.pieces, 0);
        assert_int_equal(sse_parser_write(parser, "xabcdefghijklmnop", 17), 0);
        assert_int_equal(told.pieces, 1);
        assert_int_equal(sse_parser_write(parser, "qrstuvwxyz\n", 11), 0);
        assert_int_equal(told.pieces, 2);
        assert_int_equal(sse_parser_write(parser, "\n", 1), 0);
        assert_string_equal(told.text, "xabcdefghijklmnopqrstuvwxyz<>");
}

static void test_limit_of_names(_unused_ void **state) {
        char text[SSE_EVENT_NAME_BYTES_MAX + 32], expected[SSE_EVENT_NAME_BYTES_MAX + 8];
        Told told = {};
        int size;

        size = snprintf(text, sizeof(text), "data: 1\nevent: %0*d\n\n", SSE_EVENT_NAME_BYTES_MAX, 7);
        (void) snprintf(expected, sizeof(expected), "1<%0*d>", SSE_EVENT_NAME_BYTES_MAX, 7);
        assert_bytes_told(text, (size_t) size, expected);

        size = snprintf(text, sizeof(text), "data: 1\nevent: %0*d\n\n", SSE_EVENT_NAME_BYTES_MAX + 1, 7);
        assert_int_equal(parse(text, (size_t) size, 1, &told), -EMSGSIZE);
        assert_int_equal(parse(text, (size_t) size, (size_t) size, &(Told) {}), -EMSGSIZE);
}

static void test_errors_of_handlers_end_the_reading(_unused_ void **state) {
        Told data = { .data_error = -EBADMSG }, event = { .event_error = -ENOSPC };
        static const char text[] = "data: 1\n\ndata: 2\n\n";

        assert_int_equal(parse(text, sizeof(text) - 1, sizeof(text), &data), -EBADMSG);
        assert_string_equal(data.text, "1");
        assert_int_equal(parse(text, sizeof(text) - 1, sizeof(text), &event), -ENOSPC);
        assert_string_equal(event.text, "1<>");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_named_events),
                cmocka_unit_test(test_data_alone_has_no_name),
                cmocka_unit_test(test_name_may_follow_data),
                cmocka_unit_test(test_name_does_not_last),
                cmocka_unit_test(test_every_end_of_line),
                cmocka_unit_test(test_lines_of_data_are_joined),
                cmocka_unit_test(test_one_space_is_removed),
                cmocka_unit_test(test_comments_and_other_fields_are_skipped),
                cmocka_unit_test(test_byte_order_mark),
                cmocka_unit_test(test_end_of_stream_ends_no_event),
                cmocka_unit_test(test_any_bytes_are_data),
                cmocka_unit_test(test_data_is_not_cut_further),
                cmocka_unit_test(test_limit_of_names),
                cmocka_unit_test(test_errors_of_handlers_end_the_reading),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
