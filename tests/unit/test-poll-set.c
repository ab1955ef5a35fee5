#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "io/poll-set.h"

#define MANY 300  /* more than one batch */

typedef struct Fixture {
        sd_event *event;
        PollSet *set;
        int fds[MANY];
        PollSource *sources[MANY];
        unsigned calls[MANY];
} Fixture;

typedef struct Victim {
        Fixture *fixture;
        size_t self, other;
} Victim;

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        assert_true(sd_event_new(&f->event) >= 0);
        assert_int_equal(poll_set_new(&f->set, f->event, "test", 0), 0);
        for (size_t i = 0; i < MANY; i++) {
                f->fds[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
                assert_true(f->fds[i] >= 0);
        }
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        for (size_t i = 0; i < MANY; i++) {
                poll_source_free(f->sources[i]);
                fd_close(f->fds[i]);
        }
        poll_set_free(f->set);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static int count(_unused_ PollSource *source, _unused_ int fd, uint32_t revents, void *userdata) {
        assert_int_equal(revents, EPOLLIN);
        (*(unsigned *) userdata)++;
        return 0;
}

static void add(Fixture *f, size_t i) {
        assert_int_equal(poll_set_add(f->set, f->fds[i], EPOLLIN, count, &f->calls[i], &f->sources[i]), 0);
}

static void run_once(Fixture *f) {
        assert_true(sd_event_run(f->event, 0) >= 0);
}

static void test_a_ready_descriptor_reaches_its_handler(void **state) {
        Fixture *f = *state;

        add(f, 0);
        run_once(f);
        assert_int_equal(f->calls[0], 1);
}

static void test_more_descriptors_than_a_batch_are_all_served_in_turns(void **state) {
        Fixture *f = *state;

        for (size_t i = 0; i < MANY; i++)
                add(f, i);
        for (size_t i = 0; i < 4; i++)
                run_once(f);
        for (size_t i = 0; i < MANY; i++)
                assert_true(f->calls[i] > 0);
}

static void test_events_that_are_not_asked_for_do_not_come(void **state) {
        Fixture *f = *state;

        add(f, 0);
        assert_int_equal(poll_source_set_events(f->sources[0], 0), 0);
        run_once(f);
        assert_int_equal(f->calls[0], 0);

        assert_int_equal(poll_source_set_events(f->sources[0], EPOLLIN), 0);
        run_once(f);
        assert_int_equal(f->calls[0], 1);
}

static void test_ready_says_whether_an_event_waits(void **state) {
        Fixture *f = *state;
        eventfd_t value;

        assert_false(poll_set_ready(f->set));
        add(f, 0);
        assert_true(poll_set_ready(f->set));
        assert_int_equal(eventfd_read(f->fds[0], &value), 0);
        assert_false(poll_set_ready(f->set));
}

static int free_self(PollSource *source, _unused_ int fd, _unused_ uint32_t revents, void *userdata) {
        Victim *victim = userdata;

        assert_ptr_equal(source, victim->fixture->sources[victim->self]);
        victim->fixture->sources[victim->self] = poll_source_free(source);
        victim->fixture->calls[victim->self]++;
        return 0;
}

static void test_a_handler_may_free_its_own_source(void **state) {
        Fixture *f = *state;
        Victim victim = { .fixture = f, .self = 0 };

        assert_int_equal(poll_set_add(f->set, f->fds[0], EPOLLIN, free_self, &victim, &f->sources[0]), 0);
        run_once(f);
        run_once(f);
        assert_int_equal(f->calls[0], 1);
}

static int free_other(_unused_ PollSource *source, _unused_ int fd, _unused_ uint32_t revents, void *userdata) {
        Victim *victim = userdata;
        Fixture *f = victim->fixture;

        f->calls[victim->self]++;
        f->sources[victim->other] = poll_source_free(f->sources[victim->other]);
        return 0;
}

static void test_a_source_freed_by_another_handler_of_the_batch_gets_no_event(void **state) {
        Fixture *f = *state;
        Victim victims[] = { { f, 0, 1 }, { f, 1, 0 } };

        /* Both are ready; whichever comes first frees the other. */
        for (size_t i = 0; i < 2; i++)
                assert_int_equal(poll_set_add(f->set, f->fds[i], EPOLLIN, free_other, &victims[i], &f->sources[i]),
                                 0);
        run_once(f);
        assert_int_equal(f->calls[0] + f->calls[1], 1);
}

static int return_error(_unused_ PollSource *source, _unused_ int fd, _unused_ uint32_t revents,
                        _unused_ void *userdata) {
        return -EXDEV;
}

static void test_a_negative_return_ends_the_loop_with_it(void **state) {
        Fixture *f = *state;

        assert_int_equal(poll_set_add(f->set, f->fds[0], EPOLLIN, return_error, NULL, &f->sources[0]), 0);
        assert_int_equal(sd_event_loop(f->event), -EXDEV);
}

static void test_a_descriptor_that_can_not_be_polled_is_refused(void **state) {
        Fixture *f = *state;
        FILE *file = tmpfile();

        assert_non_null(file);
        assert_int_equal(poll_set_add(f->set, fileno(file), EPOLLIN, count, &f->calls[0], &f->sources[0]), -EPERM);
        assert_null(f->sources[0]);
        (void) fclose(file);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_ready_descriptor_reaches_its_handler, setup, teardown),
                cmocka_unit_test_setup_teardown(test_more_descriptors_than_a_batch_are_all_served_in_turns, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_events_that_are_not_asked_for_do_not_come, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ready_says_whether_an_event_waits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_handler_may_free_its_own_source, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_source_freed_by_another_handler_of_the_batch_gets_no_event,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_negative_return_ends_the_loop_with_it, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_descriptor_that_can_not_be_polled_is_refused, setup, teardown),
        };

        return cmocka_run_group_tests_name("poll-set", tests, NULL, NULL);
}
