/* What a task's thread and the loop tell each other, and amounts in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "byte-text.h"
#include "task.h"

static int setup(void **state) {
        return task_context_new((TaskContext **) state);
}

static int teardown(void **state) {
        (void) task_context_free(*state);
        return 0;
}

static void test_the_last_word_counts(void **state) {
        assert_string_equal(task_message(*state), "");
        task_say(*state, "one %d", 1);
        task_say(*state, "two");
        assert_string_equal(task_message(*state), "two");
}

/* A character of two bytes at every place around the limit is there whole or not at all. */
static void test_a_long_word_is_cut_between_characters(void **state) {
        for (size_t before = TASK_MESSAGE_BYTES_MAX - 4; before <= TASK_MESSAGE_BYTES_MAX; before++) {
                char text[2 * TASK_MESSAGE_BYTES_MAX] = {};
                const char *message;

                memset(text, 'x', before);
                (void) strcat(text, "éé");
                task_say(*state, "%s", text);
                message = task_message(*state);
                assert_true(strlen(message) < TASK_MESSAGE_BYTES_MAX);
                assert_true(strlen(message) >= TASK_MESSAGE_BYTES_MAX - 2 || text_equal(message, text));
                assert_true(utf8_valid(message, strlen(message)));
        }
}

static void test_waiting_ends_with_the_event_the_timeout_or_a_cancel(void **state) {
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(task_wait(*state, fds[0], POLLIN, USEC_PER_MSEC), -ETIMEDOUT);
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_int_equal(task_wait(*state, fds[0], POLLIN, USEC_PER_MINUTE), 0);
        task_cancel(*state);
        assert_int_equal(task_wait(*state, fds[0], POLLIN, USEC_PER_MINUTE), -ECANCELED);
        assert_int_equal(task_wait(*state, fds[0], POLLIN, USEC_PER_MINUTE), -ECANCELED);
        fd_close(fds[0]);
        fd_close(fds[1]);
}

static void test_a_cancel_is_seen_by_task_and_archive_engine(void **state) {
        assert_false(task_cancelled(*state));
        assert_false(atomic_load(&task_progress(*state)->cancel));
        task_cancel(*state);
        assert_true(task_cancelled(*state));
        assert_true(atomic_load(&task_progress(*state)->cancel));
}

static void test_bytes_and_touches_are_signs_of_life(void **state) {
        uint64_t before = task_touches(*state);

        atomic_fetch_add(&task_progress(*state)->done, 7);
        assert_int_equal(task_done(*state), 7);
        assert_int_not_equal(task_touches(*state), before);
        before = task_touches(*state);
        task_touch(*state);
        assert_int_not_equal(task_touches(*state), before);
}

static void test_tasks_are_found_by_name(_unused_ void **state) {
        assert_string_equal(task_find("backup")->name, "backup");
        assert_null(task_find("restore"));
        assert_null(task_find(""));
        assert_null(task_find(NULL));
}

static void test_amounts_in_words(_unused_ void **state) {
        char text[BYTE_TEXT_MAX];

        assert_string_equal(byte_text(0, text), "0 bytes");
        assert_string_equal(byte_text(999, text), "999 bytes");
        assert_string_equal(byte_text(1000, text), "1 kB");
        assert_string_equal(byte_text(2100000000, text), "2.1 GB");
        assert_string_equal(byte_text(UINT64_MAX, text), "18446744.1 TB");
        assert_string_equal(byte_text_of(1200000000, 2100000000, text), "1.2 of 2.1 GB");
        assert_string_equal(byte_text_of(20000000, 2100000000, text), "0.0 of 2.1 GB");
        assert_string_equal(byte_text_of(5000, 0, text), "5 kB");
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                test(test_the_last_word_counts),
                test(test_a_long_word_is_cut_between_characters),
                test(test_waiting_ends_with_the_event_the_timeout_or_a_cancel),
                test(test_a_cancel_is_seen_by_task_and_archive_engine),
                test(test_bytes_and_touches_are_signs_of_life),
                test(test_tasks_are_found_by_name),
                test(test_amounts_in_words),
        };

        return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
