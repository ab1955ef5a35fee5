/* The life of connections: who leaves when and how it is noticed, what is busy, how many there may be. */
#include "varlink-server-fixture.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/un.h>

static void keep_one(ServerFixture *f) {
        send_message(f->peer, CALL("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
}

/* ---------------------------------------------------------------- leaving */

static void test_a_client_that_vanishes_ends_the_call_that_is_kept_for_it(void **state) {
        ServerFixture *f = *state;

        keep_one(f);
        f->peer = fd_close(f->peer);
        run_until(f->event, f->n_closed == 1);
        assert_int_equal(f->n_kept, 0);
        assert_false(f->busy);
}

static void test_a_client_that_vanishes_behind_calls_that_wait_ends_all(void **state) {
        ServerFixture *f = *state;

        send_bytes(f->peer, CALL("Keep", "{}") "\0" ECHO("x"), sizeof(CALL("Keep", "{}")) + sizeof(ECHO("x")));
        run_until(f->event, f->n_kept == 1);
        send_message(f->peer, ECHO("in the socket"));
        run_until_quiet(f->event);
        f->peer = fd_close(f->peer);
        run_until(f->event, f->n_closed == 1);
        assert_int_equal(f->n_calls, 1);
        assert_false(f->busy);
}

static void test_a_client_that_has_gone_when_the_reply_comes_is_told_to_the_caller(void **state) {
        ServerFixture *f = *state;

        keep_one(f);
        f->peer = fd_close(f->peer);
        assert_int_equal(varlink_call_reply(take_kept(f), NULL), -ECONNRESET);
        assert_int_equal(f->n_closed, 0);
        assert_false(f->busy);
}

static void test_a_client_that_has_gone_when_a_notification_comes_ends_the_call(void **state) {
        ServerFixture *f = *state;

        send_message(f->peer, CALL_MORE("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        f->peer = fd_close(f->peer);
        assert_int_equal(varlink_call_notify(take_kept(f), NULL), -ECONNRESET);
        assert_int_equal(f->n_closed, 0);
        assert_false(f->busy);
}

static void test_a_client_that_only_stops_sending_gets_its_replies(void **state) {
        ServerFixture *f = *state;

        send_bytes(f->peer, CALL("Keep", "{}") "\0" ECHO("last"), sizeof(CALL("Keep", "{}")) + sizeof(ECHO("last")));
        assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
        run_until(f->event, f->n_kept == 1);
        run_until_quiet(f->event);
        assert_int_equal(f->n_closed, 0);

        assert_int_equal(varlink_call_reply(take_kept(f), NULL), 0);
        assert_reply(f, REPLY_EMPTY);
        assert_reply(f, ECHOED("last"));
        run_until(f->event, peer_sees_end(f));
        assert_false(f->busy);
}

static void test_a_client_that_stopped_sending_and_then_vanishes_is_noticed(void **state) {
        ServerFixture *f = *state;

        keep_one(f);
        assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
        run_until_quiet(f->event);
        f->peer = fd_close(f->peer);
        run_until(f->event, f->n_closed == 1);
}

static void test_a_call_that_is_abandoned_ends_the_connection_without_an_answer(void **state) {
        ServerFixture *f = *state;

        keep_one(f);
        varlink_call_abandon(take_kept(f));
        run_until(f->event, peer_sees_end(f));
        assert_int_equal(f->inbox.size, 0);
        assert_int_equal(f->n_closed, 0);
        assert_false(f->busy);
}

static void test_oneway_calls_of_a_client_that_has_gone_are_done(void **state) {
        ServerFixture *f = *state;

        for (size_t i = 0; i < 20; i++)
                send_message(f->peer, CALL_ONEWAY("Echo", "{\"text\":\"x\"}"));
        f->peer = fd_close(f->peer);
        run_until(f->event, f->n_calls == 20);
        run_until_quiet(f->event);
        assert_false(f->busy);
}

static void test_a_kept_call_costs_no_turns_while_its_client_writes_ahead(void **state) {
        ServerFixture *f = *state;

        keep_one(f);
        send_message(f->peer, ECHO("early"));
        run_until_quiet(f->event);
        assert_int_equal(sd_event_run(f->event, 0), 0);
        assert_int_equal(f->n_calls, 1);
        assert_int_equal(varlink_call_reply(take_kept(f), NULL), 0);
        assert_reply(f, REPLY_EMPTY);
        assert_reply(f, ECHOED("early"));
}

static void test_calls_that_are_kept_when_the_server_ends_are_told(void **state) {
        ServerFixture *f = *state;

        keep_one(f);
        f->server = varlink_server_free(f->server);
        assert_int_equal(f->n_closed, 1);
        assert_true(peer_sees_end(f));
}

/* Answers the calls of all other clients, which have gone too. */
static void answer_the_others(VarlinkCall *call, void *userdata) {
        ServerFixture *f = userdata;

        f->n_closed++;
        for (size_t i = 0; i < f->n_kept; i++)
                if (f->kept[i] != call)
                        assert_int_equal(varlink_call_reply(f->kept[i], NULL), -ECONNRESET);
        f->n_kept = 0;
}

static void test_a_closed_handler_may_end_other_connections_of_the_same_turn(void **state) {
        ServerFixture *f = *state;
        int others[] = { connect_peer(f), connect_peer(f), connect_peer(f) };

        keep_one(f);
        for (size_t i = 0; i < ELEMENTS(others); i++)
                send_message(others[i], CALL("Keep", "{}"));
        run_until(f->event, f->n_kept == 4);
        for (size_t i = 0; i < f->n_kept; i++)
                varlink_call_set_closed_handler(f->kept[i], answer_the_others, f);

        f->peer = fd_close(f->peer);
        for (size_t i = 0; i < ELEMENTS(others); i++)
                fd_close(others[i]);
        run_until(f->event, !f->busy);
        assert_int_equal(f->n_closed, 1);
        assert_false(varlink_server_busy(f->server));
}

/* ---------------------------------------------------------------- patience */

static void test_a_message_that_never_ends_tries_our_patience(void **state) {
        ServerFixture *f = *state;

        varlink_server_set_patience(f->server, 50 * USEC_PER_MSEC);
        send_bytes(f->peer, "{", 1);
        run_until(f->event, peer_sees_end(f));
        assert_false(f->busy);
}

/* Calls until neither side's socket takes more. */
static size_t call_until_full(ServerFixture *f) {
        size_t sent = 0;

        for (;;) {
                unsigned before = f->n_calls;
                ssize_t n;

                n = send(f->peer, ECHO("x"), sizeof(ECHO("x")), MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n == (ssize_t) sizeof(ECHO("x"))) {
                        sent++;
                        continue;
                }
                assert_true(n < 0 && errno == EAGAIN);
                run_until_quiet(f->event);
                if (f->n_calls == before)
                        return sent;
        }
}

static bool peer_hung_up(ServerFixture *f) {
        struct pollfd pollfd = { .fd = f->peer };

        return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & POLLHUP);
}

static void test_a_reply_that_is_never_read_tries_our_patience(void **state) {
        ServerFixture *f = *state;

        varlink_server_set_patience(f->server, 50 * USEC_PER_MSEC);
        call_until_full(f);
        assert_true(f->busy);
        run_until(f->event, peer_hung_up(f));
        assert_false(f->busy);
}

static void test_a_connection_at_rest_and_a_call_that_takes_long_do_not(void **state) {
        ServerFixture *f = *state;
        int idle = connect_peer(f), stalled = connect_peer(f);
        char byte;

        varlink_server_set_patience(f->server, 20 * USEC_PER_MSEC);
        keep_one(f);
        send_bytes(stalled, "{", 1);
        run_until(f->event, recv(stalled, &byte, 1, MSG_DONTWAIT) == 0);

        assert_int_equal(recv(idle, &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(f->n_closed, 0);
        assert_int_equal(varlink_call_reply(take_kept(f), NULL), 0);
        assert_reply(f, REPLY_EMPTY);
        fd_close(idle);
        fd_close(stalled);
}

/* ---------------------------------------------------------------- back-pressure */

static void test_a_client_that_does_not_read_is_not_served_further(void **state) {
        ServerFixture *f = *state;
        size_t sent = call_until_full(f);

        assert_true(f->n_calls < sent);
        assert_true(f->busy);

        while (f->n_calls < sent || f->busy) {
                run_until(f->event, inbox_filled(f, 1));
                f->inbox.size = 0;
                run_until_quiet(f->event);
        }
}

static void test_a_pipelined_call_waits_until_the_reply_before_it_is_sent(void **state) {
        ServerFixture *f = *state;
        static char text[100 * 1024];
        JsonValue *reply = json_new_object();
        int pair[2], small = 4608;

        fd_close(f->peer);
        socket_pair(pair);
        assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
        assert_int_equal(varlink_server_adopt(f->server, pair[0]), 0);
        f->peer = pair[1];
        send_bytes(f->peer, CALL("Keep", "{}") "\0" ECHO("x"), sizeof(CALL("Keep", "{}")) + sizeof(ECHO("x")));
        run_until(f->event, f->n_kept == 1);

        memset(text, 'x', sizeof(text) - 1);
        assert_int_equal(json_add_string(reply, "text", text), 0);
        assert_int_equal(varlink_call_reply(take_kept(f), reply), 0);
        run_until_quiet(f->event);
        assert_int_equal(f->n_calls, 1);
        run_until(f->event, inbox_filled(f, sizeof(text)) && f->n_calls == 2);
}

static JsonValue *large_reply(void) {
        static char text[256 * 1024];
        JsonValue *reply = json_new_object();

        memset(text, 'x', sizeof(text) - 1);
        assert_int_equal(json_add_string(reply, "text", text), 0);
        return reply;
}

static void test_a_watcher_that_does_not_read_is_closed_at_the_limit(void **state) {
        ServerFixture *f = *state;
        VarlinkCall *call;
        size_t count = 0;
        int r;

        send_message(f->peer, CALL_MORE("Keep", "{}"));
        run_until(f->event, f->n_kept == 1);
        call = take_kept(f);
        do
                r = varlink_call_notify(call, large_reply());
        while (r == 0 && ++count < 100);
        assert_int_equal(r, -ECONNRESET);
        assert_true(count >= VARLINK_OUTPUT_BYTES_MAX / (256 * 1024) - 1);
        assert_false(f->busy);
}

/* Sends all other clients more than they may leave unread, which closes them. */
static void flood_the_others(VarlinkCall *call, void *userdata) {
        ServerFixture *f = userdata;

        f->n_closed++;
        for (size_t i = 0; i < f->n_kept; i++)
                while (f->kept[i] != call && varlink_call_notify(f->kept[i], large_reply()) == 0)
                        continue;
        f->n_kept = 0;
}

static void test_a_closed_handler_may_end_others_that_try_our_patience(void **state) {
        ServerFixture *f = *state;
        int others[] = { connect_peer(f), connect_peer(f) };

        varlink_server_set_patience(f->server, 20 * USEC_PER_MSEC);
        send_message(f->peer, CALL_MORE("Keep", "{}"));
        for (size_t i = 0; i < ELEMENTS(others); i++)
                send_message(others[i], CALL_MORE("Keep", "{}"));
        run_until(f->event, f->n_kept == 3);
        for (size_t i = 0; i < f->n_kept; i++) {
                varlink_call_set_closed_handler(f->kept[i], flood_the_others, f);
                assert_int_equal(varlink_call_notify(f->kept[i], large_reply()), 0);
        }

        run_until(f->event, !f->busy);
        assert_int_equal(f->n_closed, 1);
        for (size_t i = 0; i < ELEMENTS(others); i++)
                fd_close(others[i]);
}

/* ---------------------------------------------------------------- busy */

static void test_each_call_makes_busy_and_quiet_again(void **state) {
        ServerFixture *f = *state;

        for (unsigned i = 1; i <= 3; i++) {
                send_message(f->peer, ECHO("x"));
                assert_reply(f, ECHOED("x"));
                assert_int_equal(f->n_busy, i);
                assert_int_equal(f->n_quiet, i);
        }
}

static void test_a_kept_call_is_busy_until_its_reply(void **state) {
        ServerFixture *f = *state;

        keep_one(f);
        assert_true(f->busy);
        assert_true(varlink_server_busy(f->server));
        assert_int_equal(varlink_call_reply(take_kept(f), NULL), 0);
        assert_false(f->busy);
        assert_false(varlink_server_busy(f->server));
}

static void test_half_a_message_is_busy(void **state) {
        ServerFixture *f = *state;

        send_bytes(f->peer, "{", 1);
        run_until(f->event, f->busy);
        f->peer = fd_close(f->peer);
        run_until(f->event, !f->busy);
}

static void test_a_call_that_has_not_been_read_yet_is_busy(void **state) {
        ServerFixture *f = *state;

        assert_false(varlink_server_busy(f->server));
        send_message(f->peer, ECHO("x"));
        assert_true(varlink_server_busy(f->server));
        assert_true(f->busy);
        assert_reply(f, ECHOED("x"));
        assert_false(f->busy);
        assert_false(varlink_server_busy(f->server));
}

static void test_a_peer_that_leaves_is_busy_only_until_that_is_noticed(void **state) {
        ServerFixture *f = *state;

        f->peer = fd_close(f->peer);
        assert_true(varlink_server_busy(f->server));
        run_until(f->event, !f->busy);
        assert_false(varlink_server_busy(f->server));
}

/* ---------------------------------------------------------------- listening */

static int listen_at(struct sockaddr_un *address, char folder[static 32]) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(folder, "/tmp/varlink-XXXXXX");
        assert_non_null(mkdtemp(folder));
        *address = (struct sockaddr_un) { .sun_family = AF_UNIX };
        strcpy(stpcpy(address->sun_path, folder), "/socket");
        assert_int_equal(bind(fd, (struct sockaddr *) address, sizeof(*address)), 0);
        assert_int_equal(listen(fd, 64), 0);
        return fd;
}

static int connect_to(const struct sockaddr_un *address) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_int_equal(connect(fd, (const struct sockaddr *) address, sizeof(*address)), 0);
        return fd;
}

static void unlisten(int fd, const struct sockaddr_un *address, const char *folder) {
        fd_close(fd);
        assert_int_equal(unlink(address->sun_path), 0);
        assert_int_equal(rmdir(folder), 0);
}

static void test_connections_are_accepted_until_quiesced(void **state) {
        ServerFixture *f = *state;
        struct sockaddr_un address;
        char folder[32];
        int listener = listen_at(&address, folder);

        assert_int_equal(varlink_server_listen(f->server, listener), 0);
        fd_close(f->peer);
        f->peer = connect_to(&address);
        send_message(f->peer, ECHO("x"));
        assert_reply(f, ECHOED("x"));

        varlink_server_quiesce(f->server);
        send_message(f->peer, ECHO("open ones go on"));
        assert_reply(f, ECHOED("open ones go on"));
        fd_close(f->peer);
        run_until_quiet(f->event);
        f->peer = connect_to(&address);
        send_message(f->peer, ECHO("waits for the next server"));
        run_until_quiet(f->event);
        assert_false(varlink_server_busy(f->server));
        assert_false(peer_sees_end(f));
        assert_int_equal(f->inbox.size, 0);
        unlisten(listener, &address, folder);
}

static void test_only_a_listening_unix_stream_socket_is_listened_at(void **state) {
        ServerFixture *f = *state;
        int unconnected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int inet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(varlink_server_listen(f->server, unconnected), -EINVAL);
        assert_int_equal(listen(inet, 1), 0);
        assert_int_equal(varlink_server_listen(f->server, inet), -EINVAL);
        assert_int_equal(varlink_server_listen(f->server, -1), -EBADF);
        fd_close(unconnected);
        fd_close(inet);
}

static void raise_descriptor_limit(rlim_t wanted) {
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        if (limit.rlim_cur >= wanted)
                return;
        limit.rlim_cur = wanted;
        limit.rlim_max = MAX(limit.rlim_max, wanted);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A connection whose peer has gone already, which the server learns when the loop runs. */
static int adopt_another(ServerFixture *f) {
        int pair[2];

        socket_pair(pair);
        fd_close(pair[1]);
        return varlink_server_adopt(f->server, pair[0]);
}

static void test_one_user_may_have_as_many_connections_as_the_limit_and_not_more(void **state) {
        ServerFixture *f = *state;

        raise_descriptor_limit(2 * VARLINK_CONNECTIONS_PER_UID_MAX);
        for (size_t i = 1; i < VARLINK_CONNECTIONS_PER_UID_MAX; i++)
                assert_int_equal(adopt_another(f), 0);
        assert_int_equal(adopt_another(f), -EUSERS);

        /* Those that have gone make room. */
        run_until_quiet(f->event);
        assert_int_equal(adopt_another(f), 0);
        send_message(f->peer, ECHO("x"));
        assert_reply(f, ECHOED("x"));
}

static void test_all_users_may_have_as_many_connections_as_the_limit_and_not_more(void **state) {
        ServerFixture *f = *state;

        if (geteuid() != 0)
                skip();
        raise_descriptor_limit(2 * VARLINK_CONNECTIONS_MAX);
        for (size_t i = 1; i < VARLINK_CONNECTIONS_MAX; i++) {
                assert_int_equal(seteuid((uid_t) (10000 + i % 16)), 0);
                assert_int_equal(adopt_another(f), 0);
                assert_int_equal(seteuid(0), 0);
        }
        assert_int_equal(seteuid(20000), 0);
        assert_int_equal(adopt_another(f), -EUSERS);
        assert_int_equal(seteuid(0), 0);
}

static void test_a_newcomer_past_the_limit_is_told_by_the_end(void **state) {
        ServerFixture *f = *state;
        struct sockaddr_un address;
        char folder[32];
        int listener = listen_at(&address, folder), *peers;

        raise_descriptor_limit(3 * VARLINK_CONNECTIONS_PER_UID_MAX);
        peers = calloc(VARLINK_CONNECTIONS_PER_UID_MAX, sizeof(int));
        assert_non_null(peers);
        for (size_t i = 1; i < VARLINK_CONNECTIONS_PER_UID_MAX; i++)
                peers[i] = connect_peer(f);
        assert_int_equal(varlink_server_listen(f->server, listener), 0);
        peers[0] = f->peer;
        f->peer = connect_to(&address);
        run_until(f->event, peer_sees_end(f));

        /* The others stay. */
        fd_close(f->peer);
        f->peer = peers[0];
        send_message(f->peer, ECHO("x"));
        assert_reply(f, ECHOED("x"));
        for (size_t i = 1; i < VARLINK_CONNECTIONS_PER_UID_MAX; i++)
                fd_close(peers[i]);
        free(peers);
        unlisten(listener, &address, folder);
}

static void test_without_descriptors_listening_rests_and_goes_on_later(void **state) {
        ServerFixture *f = *state;
        struct rlimit old, limit;
        struct sockaddr_un address;
        char folder[32];
        int listener = listen_at(&address, folder);
        unsigned turns = 0;

        assert_int_equal(varlink_server_listen(f->server, listener), 0);
        fd_close(f->peer);
        run_until_quiet(f->event);
        f->peer = connect_to(&address);
        send_message(f->peer, ECHO("patient"));

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        limit = (struct rlimit) { .rlim_cur = 3, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        while (sd_event_run(f->event, 0) > 0)
                assert_true(++turns < 10);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

        assert_reply(f, ECHOED("patient"));
        unlisten(listener, &address, folder);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                server_test(test_a_client_that_vanishes_ends_the_call_that_is_kept_for_it),
                server_test(test_a_client_that_vanishes_behind_calls_that_wait_ends_all),
                server_test(test_a_client_that_has_gone_when_the_reply_comes_is_told_to_the_caller),
                server_test(test_a_client_that_has_gone_when_a_notification_comes_ends_the_call),
                server_test(test_a_client_that_only_stops_sending_gets_its_replies),
                server_test(test_a_client_that_stopped_sending_and_then_vanishes_is_noticed),
                server_test(test_a_call_that_is_abandoned_ends_the_connection_without_an_answer),
                server_test(test_oneway_calls_of_a_client_that_has_gone_are_done),
                server_test(test_a_kept_call_costs_no_turns_while_its_client_writes_ahead),
                server_test(test_calls_that_are_kept_when_the_server_ends_are_told),
                server_test(test_a_closed_handler_may_end_other_connections_of_the_same_turn),
                server_test(test_a_message_that_never_ends_tries_our_patience),
                server_test(test_a_reply_that_is_never_read_tries_our_patience),
                server_test(test_a_connection_at_rest_and_a_call_that_takes_long_do_not),
                server_test(test_a_client_that_does_not_read_is_not_served_further),
                server_test(test_a_pipelined_call_waits_until_the_reply_before_it_is_sent),
                server_test(test_a_closed_handler_may_end_others_that_try_our_patience),
                server_test(test_a_watcher_that_does_not_read_is_closed_at_the_limit),
                server_test(test_each_call_makes_busy_and_quiet_again),
                server_test(test_a_kept_call_is_busy_until_its_reply),
                server_test(test_half_a_message_is_busy),
                server_test(test_a_call_that_has_not_been_read_yet_is_busy),
                server_test(test_a_peer_that_leaves_is_busy_only_until_that_is_noticed),
                server_test(test_connections_are_accepted_until_quiesced),
                server_test(test_only_a_listening_unix_stream_socket_is_listened_at),
                server_test(test_one_user_may_have_as_many_connections_as_the_limit_and_not_more),
                server_test(test_all_users_may_have_as_many_connections_as_the_limit_and_not_more),
                server_test(test_a_newcomer_past_the_limit_is_told_by_the_end),
                server_test(test_without_descriptors_listening_rests_and_goes_on_later),
        };

        return cmocka_run_group_tests_name("varlink-connection", tests, NULL, NULL);
}
