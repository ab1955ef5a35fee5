/* The client on the loop, against a raw listener that plays the server. */
#include "varlink-fixture.h"

#include <sys/un.h>

#include "io/varlink-client.h"

#define METHOD "io.example.Test.Method"
#define REQUEST "{\"method\":\"" METHOD "\",\"parameters\":{}}"
#define REQUEST_MORE "{\"method\":\"" METHOD "\",\"parameters\":{},\"more\":true}"
#define TIMEOUT (5 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        PollSet *set;
        VarlinkClient *client;
        char folder[32], path[64];
        int listener, server;  /* the server's end */
        Inbox inbox;

        unsigned n_replies, n_closed;
        int status;
        char error[64], text[64];
        bool continues, had_parameters;
        int fds[VARLINK_FDS_MAX];
        size_t n_fds;
        bool take_fds;
        enum { NOTHING, FREE, CALL_AGAIN } at_reply, at_closed;
        int call_again;  /* what calling from the handler gave */
} Fixture;

static int listen_at(const char *path, int backlog) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strcpy(address.sun_path, path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(fd, backlog), 0);
        return fd;
}

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        f->server = -1;
        strcpy(f->folder, "/tmp/varlink-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        strcpy(stpcpy(f->path, f->folder), "/socket");
        f->listener = listen_at(f->path, 8);
        assert_true(sd_event_new(&f->event) >= 0);
        assert_int_equal(poll_set_new(&f->set, f->event, "clients", 0), 0);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        varlink_client_free(f->client);
        poll_set_free(f->set);
        sd_event_unref(f->event);
        inbox_done(&f->inbox);
        for (size_t i = 0; i < f->n_fds; i++)
                fd_close(f->fds[i]);
        fd_close(f->server);
        fd_close(f->listener);
        assert_int_equal(unlink(f->path), 0);
        assert_int_equal(rmdir(f->folder), 0);
        free(f);
        return 0;
}

static void on_reply(VarlinkClient *client, const VarlinkReply *reply, void *userdata) {
        Fixture *f = userdata;

        f->n_replies++;
        f->status = reply->status;
        f->continues = reply->continues;
        f->had_parameters = reply->parameters;
        strcpy(f->error, reply->error ?: "");
        strcpy(f->text, json_get_string(reply->parameters, "text") ?: "");
        for (size_t i = 0; f->take_fds && i < reply->n_fds; i++)
                f->fds[f->n_fds++] = TAKE_FD(reply->fds[i]);

        if (f->at_reply == FREE)
                f->client = varlink_client_free(client);
        else if (f->at_reply == CALL_AGAIN) {
                f->at_reply = NOTHING;
                f->call_again = varlink_client_call(client, METHOD, NULL, false, TIMEOUT, on_reply, f);
        }
}

static void on_closed(VarlinkClient *client, void *userdata) {
        Fixture *f = userdata;

        f->n_closed++;
        assert_false(varlink_client_usable(client));
        if (f->at_closed == FREE)
                f->client = varlink_client_free(client);
}

static void connect_client(Fixture *f) {
        assert_int_equal(varlink_client_connect(&f->client, f->event, f->set, f->path), 0);
        varlink_client_set_closed_handler(f->client, on_closed, f);
}

static void accept_client(Fixture *f) {
        f->server = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(f->server >= 0);
}

static void call(Fixture *f, bool more) {
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, more, TIMEOUT, on_reply, f), 0);
}

static void assert_request(Fixture *f, const char *text) {
        run_until(f->event, (inbox_read(&f->inbox, f->server), inbox_has_message(&f->inbox)));
        assert_message(&f->inbox, text);
}

/* Connected, with a call that the server has seen. */
static void begin_call(Fixture *f, bool more) {
        connect_client(f);
        call(f, more);
        accept_client(f);
        assert_request(f, more ? REQUEST_MORE : REQUEST);
}

/* ---------------------------------------------------------------- replies */

static void test_a_reply_reaches_the_handler(void **state) {
        Fixture *f = *state;

        begin_call(f, false);
        assert_false(varlink_client_usable(f->client));
        send_message(f->server, "{\"parameters\":{\"text\":\"hi\"}}");
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->status, 0);
        assert_string_equal(f->error, "");
        assert_string_equal(f->text, "hi");
        assert_false(f->continues);
        assert_true(varlink_client_usable(f->client));
}

static void test_a_reply_that_comes_byte_by_byte_reaches_the_handler_once(void **state) {
        Fixture *f = *state;
        const char text[] = "{\"parameters\":{\"text\":\"slow\"}}";

        begin_call(f, false);
        for (size_t i = 0; i < sizeof(text); i++) {
                assert_int_equal(f->n_replies, 0);
                send_bytes(f->server, text + i, 1);
                run_until_quiet(f->event);
        }
        assert_int_equal(f->n_replies, 1);
        assert_string_equal(f->text, "slow");
}

static void test_an_error_reaches_the_handler_with_its_parameters(void **state) {
        Fixture *f = *state;

        begin_call(f, false);
        send_message(f->server, "{\"error\":\"io.example.Test.Odd\",\"parameters\":{\"text\":\"why\"}}");
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->status, 0);
        assert_string_equal(f->error, "io.example.Test.Odd");
        assert_string_equal(f->text, "why");
}

static void test_a_reply_without_parameters_has_an_empty_object(void **state) {
        Fixture *f = *state;

        begin_call(f, false);
        send_message(f->server, "{}");
        run_until(f->event, f->n_replies == 1);
        assert_true(f->had_parameters);
}

static void test_several_replies_come_in_order(void **state) {
        Fixture *f = *state;

        begin_call(f, true);
        send_message(f->server, "{\"parameters\":{\"text\":\"1\"},\"continues\":true}");
        run_until(f->event, f->n_replies == 1);
        assert_true(f->continues);
        assert_false(varlink_client_usable(f->client));
        send_message(f->server, "{\"parameters\":{\"text\":\"2\"},\"continues\":true}");
        send_message(f->server, "{\"parameters\":{\"text\":\"3\"}}");
        run_until(f->event, f->n_replies == 3);
        assert_string_equal(f->text, "3");
        assert_true(varlink_client_usable(f->client));
}

static void test_the_next_call_may_be_made_from_the_handler(void **state) {
        Fixture *f = *state;

        f->at_reply = CALL_AGAIN;
        begin_call(f, false);
        send_message(f->server, "{\"parameters\":{\"text\":\"1\"}}");
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->call_again, 0);
        assert_request(f, REQUEST);
        send_message(f->server, "{\"parameters\":{\"text\":\"2\"}}");
        run_until(f->event, f->n_replies == 2);
        assert_string_equal(f->text, "2");
}

static void test_the_client_may_be_freed_from_the_handler(void **state) {
        Fixture *f = *state;

        f->at_reply = FREE;
        begin_call(f, true);
        send_message(f->server, "{\"parameters\":{\"text\":\"1\"},\"continues\":true}");
        send_message(f->server, "{\"parameters\":{\"text\":\"2\"}}");
        run_until(f->event, f->n_replies == 1);
        run_until_quiet(f->event);
        assert_int_equal(f->n_replies, 1);
}

static void test_a_client_that_is_freed_tells_nobody(void **state) {
        Fixture *f = *state;

        begin_call(f, false);
        f->client = varlink_client_free(f->client);
        run_until_quiet(f->event);
        assert_int_equal(f->n_replies, 0);
        assert_int_equal(f->n_closed, 0);
        run_until(f->event, (inbox_read(&f->inbox, f->server), f->inbox.ended));
}

static void test_one_call_at_a_time(void **state) {
        Fixture *f = *state;

        begin_call(f, false);
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, false, TIMEOUT, on_reply, f), -EBUSY);
        assert_int_equal(varlink_client_push_fd(f->client, 0), -EBUSY);
}

static void test_a_call_that_can_not_be_written_leaves_the_client_usable(void **state) {
        Fixture *f = *state;

        connect_client(f);
        assert_int_equal(varlink_client_call(f->client, "bad name", NULL, false, TIMEOUT, on_reply, f), -EINVAL);
        assert_true(varlink_client_usable(f->client));
        call(f, false);
        accept_client(f);
        assert_request(f, REQUEST);
}

static void test_a_large_call_is_sent_as_the_peer_reads(void **state) {
        Fixture *f = *state;
        static char text[400 * 1024];
        JsonValue *parameters = json_new_object();
        char *end;

        memset(text, 'x', sizeof(text) - 1);
        assert_int_equal(json_add_string(parameters, "text", text), 0);
        connect_client(f);
        assert_int_equal(varlink_client_call(f->client, METHOD, parameters, false, TIMEOUT, on_reply, f), 0);
        accept_client(f);
        run_until(f->event, (inbox_read(&f->inbox, f->server), inbox_has_message(&f->inbox)));
        end = memchr(f->inbox.data, 0, f->inbox.size);
        assert_true((size_t) (end - f->inbox.data) > sizeof(text));

        send_message(f->server, "{}");
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->status, 0);
}

/* ---------------------------------------------------------------- descriptors */

static void test_a_descriptor_travels_with_the_call(void **state) {
        Fixture *f = *state;
        int fd = file_with_text("upload");

        connect_client(f);
        assert_int_equal(varlink_client_push_fd(f->client, fd), 0);
        fd_close(fd);
        call(f, false);
        accept_client(f);
        assert_request(f, REQUEST);
        assert_int_equal(f->inbox.n_fds, 1);
        assert_file_text(f->inbox.fds[0], "upload");
}

static void test_no_more_descriptors_than_allowed_travel_with_a_call(void **state) {
        Fixture *f = *state;

        connect_client(f);
        for (size_t i = 0; i < VARLINK_FDS_MAX; i++)
                assert_int_equal(varlink_client_push_fd(f->client, f->listener), 0);
        assert_int_equal(varlink_client_push_fd(f->client, f->listener), -E2BIG);
}

static void test_descriptors_come_with_the_reply_they_were_sent_with(void **state) {
        Fixture *f = *state;
        int fd = file_with_text("image");
        const char last[] = "{\"parameters\":{\"text\":\"last\"}}";

        f->take_fds = true;
        begin_call(f, true);
        /* Both are there when the client reads. */
        send_message(f->server, "{\"parameters\":{},\"continues\":true}");
        send_with_fds(f->server, last, sizeof(last), &fd, 1);
        fd_close(fd);
        run_until(f->event, f->n_replies == 2);
        assert_string_equal(f->text, "last");
        assert_int_equal(f->n_fds, 1);
        assert_file_text(f->fds[0], "image");
}

static void test_descriptors_that_the_handler_leaves_are_closed(void **state) {
        Fixture *f = *state;
        const char reply[] = "{}";
        size_t before;

        begin_call(f, false);
        before = count_open_fds();
        send_with_fds(f->server, reply, sizeof(reply), (int[]) { f->listener, f->listener }, 2);
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(count_open_fds(), before);
}

/* ---------------------------------------------------------------- connecting */

static void test_a_socket_that_is_missing_is_known_at_once(void **state) {
        Fixture *f = *state;

        assert_int_equal(varlink_client_connect(&f->client, f->event, f->set, "/tmp/varlink-no-such-socket"), -ENOENT);
        assert_null(f->client);
}

static void test_a_socket_that_nobody_listens_at_is_known_at_once(void **state) {
        Fixture *f = *state;

        f->listener = fd_close(f->listener);
        assert_int_equal(varlink_client_connect(&f->client, f->event, f->set, f->path), -ECONNREFUSED);
}

static void test_a_path_that_fits_no_address_is_refused(void **state) {
        Fixture *f = *state;
        char path[200];

        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = 0;
        assert_int_equal(varlink_client_connect(&f->client, f->event, f->set, path), -ENAMETOOLONG);
        path[108] = 0;
        assert_int_equal(varlink_client_connect(&f->client, f->event, f->set, path), -ENAMETOOLONG);
        path[107] = 0;
        assert_int_equal(varlink_client_connect(&f->client, f->event, f->set, path), -ENOENT);
        assert_int_equal(varlink_client_connect(&f->client, f->event, f->set, ""), -ENAMETOOLONG);
}

/* Fills the backlog with connections that nobody accepts. */
static size_t fill_backlog(Fixture *f, int *fds, size_t n) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        strcpy(address.sun_path, f->path);
        for (size_t i = 0; i < n; i++) {
                fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (connect(fds[i], (struct sockaddr *) &address, sizeof(address)) < 0) {
                        assert_int_equal(errno, EAGAIN);
                        fd_close(fds[i]);
                        return i;
                }
        }
        fail_msg("the backlog has no end");
        return 0;
}

static void drain_backlog(Fixture *f, int *fds, size_t n) {
        for (size_t i = 0; i < n; i++) {
                fd_close(accept4(f->listener, NULL, NULL, SOCK_CLOEXEC));
                fd_close(fds[i]);
        }
}

static void test_a_full_backlog_is_tried_again_until_there_is_room(void **state) {
        Fixture *f = *state;
        const char request[] = REQUEST;
        int fds[64], fd = file_with_text("kept");
        size_t n = fill_backlog(f, fds, ELEMENTS(fds));
        usec_t begin;

        connect_client(f);
        assert_true(varlink_client_usable(f->client));
        assert_int_equal(varlink_client_push_fd(f->client, fd), 0);
        fd_close(fd);
        call(f, false);
        begin = time_now_monotonic();
        run_until(f->event, time_now_monotonic() - begin > 50 * USEC_PER_MSEC);
        assert_int_equal(f->n_replies, 0);

        drain_backlog(f, fds, n);
        run_until(f->event, (f->server = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
        assert_request(f, request);
        assert_int_equal(f->inbox.n_fds, 1);
        assert_file_text(f->inbox.fds[0], "kept");
        send_message(f->server, "{}");
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->status, 0);
}

static void test_a_backlog_that_stays_full_ends_in_the_timeout(void **state) {
        Fixture *f = *state;
        int fds[64];
        size_t n = fill_backlog(f, fds, ELEMENTS(fds));

        connect_client(f);
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, false, 50 * USEC_PER_MSEC, on_reply, f), 0);
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->status, -ETIMEDOUT);
        assert_false(varlink_client_usable(f->client));
        drain_backlog(f, fds, n);
}

static void test_a_listener_that_goes_while_it_is_tried_is_told_to_the_handler(void **state) {
        Fixture *f = *state;
        int fds[64];
        size_t n = fill_backlog(f, fds, ELEMENTS(fds));

        connect_client(f);
        call(f, false);
        f->listener = fd_close(f->listener);
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->status, -ECONNREFUSED);
        for (size_t i = 0; i < n; i++)
                fd_close(fds[i]);
}

/* ---------------------------------------------------------------- the end */

static void test_a_peer_that_does_not_answer_in_time_is_given_up(void **state) {
        Fixture *f = *state;
        usec_t begin = time_now_monotonic();

        connect_client(f);
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, false, 50 * USEC_PER_MSEC, on_reply, f), 0);
        run_until(f->event, f->n_replies == 1);
        assert_true(time_now_monotonic() - begin >= 50 * USEC_PER_MSEC);
        assert_int_equal(f->status, -ETIMEDOUT);
        assert_false(f->had_parameters);
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, false, TIMEOUT, on_reply, f), -ENOTCONN);
}

static void test_the_time_counts_anew_with_each_reply(void **state) {
        Fixture *f = *state;
        usec_t begin, sent;

        connect_client(f);
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, true, 600 * USEC_PER_MSEC, on_reply, f), 0);
        accept_client(f);
        begin = time_now_monotonic();
        run_until(f->event, time_now_monotonic() - begin > 300 * USEC_PER_MSEC);
        send_message(f->server, "{\"continues\":true}");
        run_until(f->event, f->n_replies == 1);
        sent = time_now_monotonic();
        run_until(f->event, f->n_replies == 2);
        assert_int_equal(f->status, -ETIMEDOUT);
        assert_true(time_now_monotonic() - sent >= 590 * USEC_PER_MSEC);
}

static void test_a_short_timeout_after_a_long_one_is_kept(void **state) {
        Fixture *f = *state;
        usec_t begin;

        begin_call(f, false);
        send_message(f->server, "{}");
        run_until(f->event, f->n_replies == 1);
        begin = time_now_monotonic();
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, false, 30 * USEC_PER_MSEC, on_reply, f), 0);
        run_until(f->event, f->n_replies == 2);
        assert_int_equal(f->status, -ETIMEDOUT);
        assert_true(time_now_monotonic() - begin < TIMEOUT);
}

static void test_a_call_without_timeout_waits(void **state) {
        Fixture *f = *state;

        connect_client(f);
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, false, 20 * USEC_PER_MSEC, on_reply, f), 0);
        accept_client(f);
        send_message(f->server, "{}");
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, false, USEC_INFINITY, on_reply, f), 0);

        usec_t begin = time_now_monotonic();
        run_until(f->event, time_now_monotonic() - begin > 60 * USEC_PER_MSEC);
        assert_int_equal(f->n_replies, 1);
}

static void test_a_peer_that_closes_in_the_midst_of_a_call_is_told_to_the_handler(void **state) {
        Fixture *f = *state;

        f->at_reply = FREE;
        begin_call(f, false);
        f->server = fd_close(f->server);
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->status, -ECONNRESET);
        assert_int_equal(f->n_closed, 0);
}

static void test_a_reply_that_was_sent_before_the_peer_closed_is_delivered(void **state) {
        Fixture *f = *state;

        begin_call(f, false);
        send_message(f->server, "{\"parameters\":{\"text\":\"bye\"}}");
        f->server = fd_close(f->server);
        run_until(f->event, f->n_replies == 1);
        assert_int_equal(f->status, 0);
        assert_string_equal(f->text, "bye");
        run_until(f->event, f->n_closed == 1);
        assert_int_equal(f->n_replies, 1);
}

static void test_a_peer_that_closes_an_idle_connection_is_told_to_the_closed_handler(void **state) {
        Fixture *f = *state;

        f->at_closed = FREE;
        connect_client(f);
        accept_client(f);
        run_until_quiet(f->event);
        assert_int_equal(f->n_closed, 0);
        f->server = fd_close(f->server);
        run_until(f->event, f->n_closed == 1);
}

static void test_calling_a_peer_that_has_just_gone_fails_at_once(void **state) {
        Fixture *f = *state;

        connect_client(f);
        accept_client(f);
        f->server = fd_close(f->server);
        assert_int_equal(varlink_client_call(f->client, METHOD, NULL, false, TIMEOUT, on_reply, f), -ECONNRESET);
        assert_false(varlink_client_usable(f->client));
        run_until_quiet(f->event);
        assert_int_equal(f->n_replies, 0);
        assert_int_equal(f->n_closed, 0);
}

static void test_what_is_no_reply_closes_the_client(void **state) {
        static const char *const table[] = {
                "",
                "x",
                "[]",
                "{\"parameters\":1}",
                "{\"continues\":1}",
                "{\"error\":1}",
                "{\"extra\":1}",
                "{\"continues\":true}",
                "{\"error\":\"a.b.C\",\"continues\":true}",
                "{\"method\":\"a.b.C\"}",
        };
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTS(table); i++) {
                f->n_replies = 0;
                begin_call(f, false);
                send_message(f->server, table[i]);
                run_until(f->event, f->n_replies == 1);
                if (f->status != -EBADMSG)
                        fail_msg("%d for %s", f->status, table[i]);
                assert_false(varlink_client_usable(f->client));
                f->client = varlink_client_free(f->client);
                f->server = fd_close(f->server);
        }
}

static void test_a_reply_that_nobody_asked_for_closes_the_client(void **state) {
        Fixture *f = *state;

        connect_client(f);
        accept_client(f);
        send_message(f->server, "{}");
        run_until(f->event, f->n_closed == 1);
        assert_int_equal(f->n_replies, 0);
}

static void test_a_reply_too_many_closes_the_client_but_the_first_counts(void **state) {
        Fixture *f = *state;

        begin_call(f, false);
        send_bytes(f->server, "{\"parameters\":{\"text\":\"1\"}}\0{}", 30);
        run_until(f->event, f->n_replies == 1);
        run_until_quiet(f->event);
        assert_int_equal(f->status, 0);
        assert_string_equal(f->text, "1");
        assert_false(varlink_client_usable(f->client));
        assert_int_equal(f->n_replies, 1);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                test(test_a_reply_reaches_the_handler),
                test(test_a_reply_that_comes_byte_by_byte_reaches_the_handler_once),
                test(test_an_error_reaches_the_handler_with_its_parameters),
                test(test_a_reply_without_parameters_has_an_empty_object),
                test(test_several_replies_come_in_order),
                test(test_the_next_call_may_be_made_from_the_handler),
                test(test_the_client_may_be_freed_from_the_handler),
                test(test_a_client_that_is_freed_tells_nobody),
                test(test_one_call_at_a_time),
                test(test_a_call_that_can_not_be_written_leaves_the_client_usable),
                test(test_a_large_call_is_sent_as_the_peer_reads),
                test(test_a_descriptor_travels_with_the_call),
                test(test_no_more_descriptors_than_allowed_travel_with_a_call),
                test(test_descriptors_come_with_the_reply_they_were_sent_with),
                test(test_descriptors_that_the_handler_leaves_are_closed),
                test(test_a_socket_that_is_missing_is_known_at_once),
                test(test_a_socket_that_nobody_listens_at_is_known_at_once),
                test(test_a_path_that_fits_no_address_is_refused),
                test(test_a_full_backlog_is_tried_again_until_there_is_room),
                test(test_a_backlog_that_stays_full_ends_in_the_timeout),
                test(test_a_listener_that_goes_while_it_is_tried_is_told_to_the_handler),
                test(test_a_peer_that_does_not_answer_in_time_is_given_up),
                test(test_the_time_counts_anew_with_each_reply),
                test(test_a_short_timeout_after_a_long_one_is_kept),
                test(test_a_call_without_timeout_waits),
                test(test_a_peer_that_closes_in_the_midst_of_a_call_is_told_to_the_handler),
                test(test_a_reply_that_was_sent_before_the_peer_closed_is_delivered),
                test(test_a_peer_that_closes_an_idle_connection_is_told_to_the_closed_handler),
                test(test_calling_a_peer_that_has_just_gone_fails_at_once),
                test(test_what_is_no_reply_closes_the_client),
                test(test_a_reply_that_nobody_asked_for_closes_the_client),
                test(test_a_reply_too_many_closes_the_client_but_the_first_counts),
        };

        return cmocka_run_group_tests_name("varlink-client", tests, NULL, NULL);
}
