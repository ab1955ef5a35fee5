/* Framing, descriptors and limits of the transport, without any JSON. */
#include "varlink-fixture.h"

#include "io/varlink-stream.h"

typedef struct Fixture {
        VarlinkStream *stream;
        int peer;
        Inbox inbox;
} Fixture;

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));
        int pair[2];

        assert_non_null(f);
        socket_pair(pair);
        assert_int_equal(varlink_stream_new(&f->stream, pair[0]), 0);
        f->peer = pair[1];
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        inbox_done(&f->inbox);
        varlink_stream_free(f->stream);
        fd_close(f->peer);
        free(f);
        return 0;
}

static void assert_next(Fixture *f, const char *expected, VarlinkFds *ret_fds) {
        VarlinkFds fds;
        const char *text;
        size_t size;

        assert_true(varlink_stream_next(f->stream, &text, &size, &fds));
        assert_int_equal(size, strlen(expected));
        assert_string_equal(text, expected);
        if (ret_fds)
                varlink_fds_move(ret_fds, &fds);
        assert_int_equal(fds.n, 0);
}

static void assert_no_next(Fixture *f) {
        VarlinkFds fds;
        const char *text;
        size_t size;

        assert_false(varlink_stream_next(f->stream, &text, &size, &fds));
}

static void test_a_message_that_comes_byte_by_byte_is_one_message(void **state) {
        Fixture *f = *state;
        const char text[] = "{\"a\":1}";

        for (size_t i = 0; i < sizeof(text); i++) {
                assert_no_next(f);
                send_bytes(f->peer, text + i, 1);
                assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        }
        assert_next(f, text, NULL);
        assert_no_next(f);
        assert_int_equal(varlink_stream_unparsed(f->stream), 0);
}

static void test_messages_of_one_write_come_out_one_by_one(void **state) {
        Fixture *f = *state;

        send_bytes(f->peer, "one\0two\0\0thr", 12);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_next(f, "one", NULL);
        assert_next(f, "two", NULL);
        assert_next(f, "", NULL);
        assert_no_next(f);
        assert_int_equal(varlink_stream_unparsed(f->stream), 3);

        send_bytes(f->peer, "ee\0", 3);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_next(f, "three", NULL);
        assert_int_equal(varlink_stream_unparsed(f->stream), 0);
}

static void test_nothing_to_read_is_no_error(void **state) {
        Fixture *f = *state;

        assert_int_equal(varlink_stream_read(f->stream), 0);
}

static void test_the_end_is_told_apart_from_silence(void **state) {
        Fixture *f = *state;

        send_bytes(f->peer, "last\0", 5);
        assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_next(f, "last", NULL);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_ENDED);
}

/* Feeds `size` bytes without NUL as the socket takes them; returns what the last read said. */
static int feed(Fixture *f, size_t size) {
        static char block[65536];
        int r = 0;

        memset(block, 'x', sizeof(block));
        while (size > 0 && r >= 0) {
                size_t n = MIN(size, sizeof(block));

                send_bytes(f->peer, block, n);
                size -= n;
                while ((r = varlink_stream_read(f->stream)) == VARLINK_STREAM_READ)
                        assert_no_next(f);
        }
        return r;
}

static void test_a_message_of_the_largest_size_passes(void **state) {
        Fixture *f = *state;
        VarlinkFds fds;
        const char *text;
        size_t size;

        assert_int_equal(feed(f, VARLINK_MESSAGE_BYTES_MAX), 0);
        send_bytes(f->peer, "", 1);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_true(varlink_stream_next(f->stream, &text, &size, &fds));
        assert_int_equal(size, VARLINK_MESSAGE_BYTES_MAX);
        assert_no_next(f);
}

static void test_one_byte_more_than_the_largest_size_is_refused(void **state) {
        Fixture *f = *state;

        assert_int_equal(feed(f, VARLINK_MESSAGE_BYTES_MAX + 1), -EMSGSIZE);
}

static void test_many_small_messages_behind_each_other_do_not_count_as_a_large_one(void **state) {
        Fixture *f = *state;
        char block[4096] = {};
        size_t count = 0;

        for (size_t sent = 0; sent <= VARLINK_MESSAGE_BYTES_MAX + sizeof(block); sent += sizeof(block)) {
                VarlinkFds fds;
                const char *text;
                size_t size;

                send_bytes(f->peer, block, sizeof(block));
                assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
                while (varlink_stream_next(f->stream, &text, &size, &fds))
                        count++;
        }
        assert_true(count > VARLINK_MESSAGE_BYTES_MAX);
}

/* ---------------------------------------------------------------- descriptors in */

static void test_descriptors_belong_to_the_message_they_came_with(void **state) {
        Fixture *f = *state;
        _cleanup_(varlink_fds_close) VarlinkFds fds = {};
        int file = file_with_text("second");

        /* The kernel hands out all of it in one read. */
        send_bytes(f->peer, "first\0", 6);
        send_with_fds(f->peer, "second\0", 7, &file, 1);
        send_bytes(f->peer, "third\0", 6);
        fd_close(file);

        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_next(f, "first", NULL);
        assert_next(f, "second", &fds);
        assert_int_equal(fds.n, 1);
        assert_file_text(fds.fds[0], "second");
        assert_true(fcntl(fds.fds[0], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_next(f, "third", NULL);
}

static void test_descriptors_wait_for_the_rest_of_their_message(void **state) {
        Fixture *f = *state;
        _cleanup_(varlink_fds_close) VarlinkFds one = {}, two = {};
        int files[] = { file_with_text("one"), file_with_text("two") };

        send_with_fds(f->peer, "on", 2, &files[0], 1);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_no_next(f);
        send_bytes(f->peer, "e\0", 2);
        send_with_fds(f->peer, "two\0", 4, &files[1], 1);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_next(f, "one", &one);
        assert_next(f, "two", &two);
        assert_int_equal(one.n, 1);
        assert_int_equal(two.n, 1);
        assert_file_text(one.fds[0], "one");
        assert_file_text(two.fds[0], "two");
        for (size_t i = 0; i < 2; i++)
                fd_close(files[i]);
}

static void test_descriptors_in_the_middle_of_a_message_are_refused_and_closed(void **state) {
        Fixture *f = *state;
        int file = file_with_text("x");
        size_t before = count_open_fds();

        send_bytes(f->peer, "on", 2);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        send_with_fds(f->peer, "e\0", 2, &file, 1);
        assert_int_equal(varlink_stream_read(f->stream), -EBADMSG);
        assert_int_equal(count_open_fds(), before);
        fd_close(file);
}

static void test_descriptors_that_are_refused_never_come(void **state) {
        Fixture *f = *state;
        int file = file_with_text("x");
        size_t before = count_open_fds();

        varlink_stream_refuse_fds(f->stream);
        send_with_fds(f->peer, "x", 1, &file, 1);
        assert_int_equal(varlink_stream_read(f->stream), -EBADMSG);
        assert_int_equal(count_open_fds(), before);
        fd_close(file);
}

static void test_as_many_descriptors_as_allowed_pass(void **state) {
        Fixture *f = *state;
        _cleanup_(varlink_fds_close) VarlinkFds fds = {};
        int many[VARLINK_FDS_MAX];

        for (size_t i = 0; i < ELEMENTS(many); i++)
                many[i] = f->peer;
        send_with_fds(f->peer, "many\0", 5, many, ELEMENTS(many));
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        assert_next(f, "many", &fds);
        assert_int_equal(fds.n, VARLINK_FDS_MAX);
}

static void test_one_descriptor_more_than_allowed_is_refused_and_all_are_closed(void **state) {
        Fixture *f = *state;
        int many[VARLINK_FDS_MAX + 1];
        size_t before = count_open_fds();

        for (size_t i = 0; i < ELEMENTS(many); i++)
                many[i] = f->peer;
        send_with_fds(f->peer, "many\0", 5, many, ELEMENTS(many));
        assert_int_equal(varlink_stream_read(f->stream), -EBADMSG);
        assert_int_equal(count_open_fds(), before);
}

static void test_descriptors_that_nobody_took_go_with_the_stream(void **state) {
        Fixture *f = *state;
        int file = file_with_text("x");
        size_t before = count_open_fds();

        send_with_fds(f->peer, "x\0", 2, &file, 1);
        assert_int_equal(varlink_stream_read(f->stream), VARLINK_STREAM_READ);
        f->stream = varlink_stream_free(f->stream);
        assert_int_equal(count_open_fds(), before - 1);
        fd_close(file);
}

/* ---------------------------------------------------------------- out */

static void send_stream(Fixture *f, const char *text, int fd) {
        VarlinkFds fds = {};

        if (fd >= 0)
                assert_int_equal(varlink_fds_push(&fds, fd), 0);
        assert_int_equal(varlink_stream_send(f->stream, text, strlen(text) + 1, &fds), 0);
        assert_int_equal(fds.n, 0);
}

static void test_what_the_socket_takes_is_sent_at_once(void **state) {
        Fixture *f = *state;

        send_stream(f, "hello", -1);
        assert_int_equal(varlink_stream_unsent(f->stream), 0);
        inbox_read(&f->inbox, f->peer);
        assert_message(&f->inbox, "hello");
}

static void test_what_a_slow_peer_leaves_is_sent_later_whole_and_in_order(void **state) {
        Fixture *f = *state;
        static char large[300 * 1024];
        usec_t deadline = time_now_monotonic() + TEST_DEADLINE_USEC;
        int file = file_with_text("tail"), small = 4608;

        assert_int_equal(setsockopt(varlink_stream_fd(f->stream), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
        memset(large, 'y', sizeof(large) - 1);
        send_stream(f, large, -1);
        assert_true(varlink_stream_unsent(f->stream) > 0);
        send_stream(f, "tail", file);
        send_stream(f, "end", -1);
        fd_close(file);

        while (f->inbox.size < sizeof(large) + 5 + 4) {
                assert_true(time_now_monotonic() < deadline);
                assert_int_equal(varlink_stream_flush(f->stream), 0);
                inbox_read(&f->inbox, f->peer);
        }
        assert_int_equal(varlink_stream_unsent(f->stream), 0);
        assert_message(&f->inbox, large);
        assert_message(&f->inbox, "tail");
        assert_message(&f->inbox, "end");
        assert_int_equal(f->inbox.n_fds, 1);
        assert_file_text(f->inbox.fds[0], "tail");
}

static void test_output_that_nobody_reads_is_bounded(void **state) {
        Fixture *f = *state;
        static char large[VARLINK_OUTPUT_BYTES_MAX / 8];
        VarlinkFds none = {};
        int r;

        memset(large, 'y', sizeof(large));
        for (size_t i = 0; i < 8; i++)
                assert_int_equal(varlink_stream_send(f->stream, large, sizeof(large), &none), 0);
        /* The socket has taken a part of the first, so one more may fit, a second can not. */
        r = varlink_stream_send(f->stream, large, sizeof(large), &none);
        if (r == 0)
                r = varlink_stream_send(f->stream, large, sizeof(large), &none);
        assert_int_equal(r, -ENOBUFS);
        assert_true(varlink_stream_unsent(f->stream) <= VARLINK_OUTPUT_BYTES_MAX);
}

static void test_sending_to_a_peer_that_has_gone_is_an_error_not_a_signal(void **state) {
        Fixture *f = *state;
        VarlinkFds none = {};

        f->peer = fd_close(f->peer);
        assert_int_equal(varlink_stream_send(f->stream, "x", 2, &none), -EPIPE);
}

static void test_one_descriptor_more_than_allowed_can_not_be_pushed(void **state) {
        Fixture *f = *state;
        _cleanup_(varlink_fds_close) VarlinkFds fds = {};

        for (size_t i = 0; i < VARLINK_FDS_MAX; i++)
                assert_int_equal(varlink_fds_push(&fds, f->peer), 0);
        assert_int_equal(varlink_fds_push(&fds, f->peer), -E2BIG);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                test(test_a_message_that_comes_byte_by_byte_is_one_message),
                test(test_messages_of_one_write_come_out_one_by_one),
                test(test_nothing_to_read_is_no_error),
                test(test_the_end_is_told_apart_from_silence),
                test(test_a_message_of_the_largest_size_passes),
                test(test_one_byte_more_than_the_largest_size_is_refused),
                test(test_many_small_messages_behind_each_other_do_not_count_as_a_large_one),
                test(test_descriptors_belong_to_the_message_they_came_with),
                test(test_descriptors_wait_for_the_rest_of_their_message),
                test(test_descriptors_in_the_middle_of_a_message_are_refused_and_closed),
                test(test_descriptors_that_are_refused_never_come),
                test(test_as_many_descriptors_as_allowed_pass),
                test(test_one_descriptor_more_than_allowed_is_refused_and_all_are_closed),
                test(test_descriptors_that_nobody_took_go_with_the_stream),
                test(test_what_the_socket_takes_is_sent_at_once),
                test(test_what_a_slow_peer_leaves_is_sent_later_whole_and_in_order),
                test(test_output_that_nobody_reads_is_bounded),
                test(test_sending_to_a_peer_that_has_gone_is_an_error_not_a_signal),
                test(test_one_descriptor_more_than_allowed_can_not_be_pushed),
        };

        return cmocka_run_group_tests_name("varlink-stream", tests, NULL, NULL);
}
