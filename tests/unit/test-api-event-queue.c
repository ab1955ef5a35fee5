/* Events on their way to a client that reads as it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "event-queue.h"

static ImageStream *event(const char *text) {
        ImageStream *stream;

        assert_int_equal(image_stream_new(&stream), 0);
        assert_int_equal(image_stream_add_text(stream, strdup(text)), 0);
        return stream;
}

static EventQueue *queue_of(const char *kinds) {
        EventQueue *queue;

        assert_int_equal(event_queue_new(&queue), 0);
        for (char text[2] = "a"; *kinds; kinds++, text[0]++)
                assert_int_equal(event_queue_push(queue, *kinds == 's' ? EVENT_STATE
                                                         : *kinds == 'p' ? EVENT_PARTIAL
                                                                         : EVENT_FINAL,
                                                  event(text)),
                                 0);
        return queue;
}

static void assert_read(EventQueue *queue, const char *expected) {
        char text[64];
        ssize_t n = event_queue_read(queue, text, sizeof(text) - 1);

        assert_true(n >= 0);
        text[n] = 0;
        assert_string_equal(text, expected);
}

static void test_events_are_read_in_their_order(_unused_ void **state) {
        _cleanup_(event_queue_freep) EventQueue *queue = queue_of("spspf");

        assert_false(event_queue_ended(queue));
        assert_read(queue, "abcde");
        assert_true(event_queue_ended(queue));
        assert_read(queue, "");
}

static void test_an_empty_queue_has_not_ended(_unused_ void **state) {
        _cleanup_(event_queue_freep) EventQueue *queue = queue_of("s");

        assert_read(queue, "a");
        assert_read(queue, "");
        assert_false(event_queue_ended(queue));
        assert_int_equal(event_queue_push(queue, EVENT_FINAL, event("the end")), 0);
        assert_false(event_queue_ended(queue));
        assert_read(queue, "the end");
        assert_true(event_queue_ended(queue));
}

static void test_older_events_give_way_to_newer_ones_of_their_kind(_unused_ void **state) {
        _cleanup_(event_queue_freep) EventQueue *full = queue_of("psppp"), *over = queue_of("pspppp"),
                                                *states = queue_of("pssssss");

        assert_read(full, "abcde");
        assert_read(over, "bcdef");
        assert_read(states, "adefg");
}

static void test_the_final_event_is_always_there(_unused_ void **state) {
        _cleanup_(event_queue_freep) EventQueue *queue = queue_of("ppppppppssssssssf");

        assert_read(queue, "efghmnopq");
        assert_true(event_queue_ended(queue));
}

static void test_an_event_that_has_begun_is_sent_to_its_end(_unused_ void **state) {
        _cleanup_(event_queue_freep) EventQueue *queue = NULL;
        char begin[2];

        assert_int_equal(event_queue_new(&queue), 0);
        assert_int_equal(event_queue_push(queue, EVENT_PARTIAL, event("first")), 0);
        assert_int_equal(event_queue_read(queue, begin, sizeof(begin)), 2);
        for (char text[2] = "a"; *text <= 'f'; text[0]++)
                assert_int_equal(event_queue_push(queue, EVENT_PARTIAL, event(text)), 0);
        assert_read(queue, "rstcdef");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_events_are_read_in_their_order),
                cmocka_unit_test(test_an_empty_queue_has_not_ended),
                cmocka_unit_test(test_older_events_give_way_to_newer_ones_of_their_kind),
                cmocka_unit_test(test_the_final_event_is_always_there),
                cmocka_unit_test(test_an_event_that_has_begun_is_sent_to_its_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
