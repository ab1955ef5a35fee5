/* A Varlink server with an interface for tests, and one raw peer connected to it. */
#pragma once

#include "varlink-fixture.h"

#include "io/varlink-server.h"

#define KEPT_MAX 64

typedef struct ServerFixture {
        sd_event *event;
        VarlinkServer *server;
        int peer;
        Inbox inbox;

        VarlinkCall *kept[KEPT_MAX];  /* calls of Keep, to be answered by the test */
        size_t n_kept;
        unsigned n_closed;            /* closed handlers that were told */
        unsigned n_calls;             /* handlers that were run */
        unsigned n_busy, n_quiet;     /* what the busy handler was told */
        bool busy;
        VarlinkPeer seen;             /* by the authorizer; groups not copied */
        bool seen_own_group;
} ServerFixture;

static const char test_interface[] =
        "interface io.example.Test\n"
        "method Echo(text: string, number: ?int) -> (text: string)\n"
        "method Keep() -> ()\n"
        "method Count(to: int) -> (number: int)\n"
        "method TakeFd(index: int) -> (text: string)\n"
        "method GiveFd(text: string) -> ()\n"
        "method Fail(errno: int) -> ()\n"
        "method Forbidden() -> ()\n"
        "method Absent() -> ()\n"
        "error Odd (reason: string)\n";

static inline int answer_text(VarlinkCall *call, const char *text) {
        JsonValue *reply = json_new_object();

        assert_int_equal(json_add_string(reply, "text", text), 0);
        return varlink_call_reply(call, reply);
}

static inline int on_echo(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        ServerFixture *f = userdata;

        f->n_calls++;
        return answer_text(call, json_get_string(parameters, "text"));
}

static inline void on_kept_closed(VarlinkCall *call, void *userdata) {
        ServerFixture *f = userdata;

        f->n_closed++;
        for (size_t i = 0; i < f->n_kept; i++)
                if (f->kept[i] == call) {
                        f->kept[i] = f->kept[--f->n_kept];
                        return;
                }
        fail_msg("a call that was not kept");
}

static inline int on_keep(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        ServerFixture *f = userdata;

        f->n_calls++;
        assert_true(f->n_kept < KEPT_MAX);
        f->kept[f->n_kept++] = call;
        varlink_call_set_closed_handler(call, on_kept_closed, f);
        return 0;
}

static inline VarlinkCall *take_kept(ServerFixture *f) {
        assert_true(f->n_kept > 0);
        return f->kept[--f->n_kept];
}

static inline JsonValue *count_reply(int64_t number) {
        JsonValue *reply = json_new_object();

        assert_int_equal(json_add_integer(reply, "number", number), 0);
        return reply;
}

static inline int on_count(VarlinkCall *call, const JsonValue *parameters, _unused_ void *userdata) {
        int64_t to = json_get_integer(parameters, "to", 0);

        for (int64_t i = 1; i < to; i++)
                assert_int_equal(varlink_call_notify(call, count_reply(i)), 0);
        return varlink_call_reply(call, count_reply(to));
}

static inline int on_take_fd(VarlinkCall *call, const JsonValue *parameters, _unused_ void *userdata) {
        _cleanup_close_ int fd = varlink_call_take_fd(call, (size_t) json_get_integer(parameters, "index", 0));
        char text[64] = {};

        if (fd < 0)
                return fd;
        assert_true(fd_pread_all(fd, text, sizeof(text) - 1, 0) >= 0);
        return answer_text(call, text);
}

static inline int on_give_fd(VarlinkCall *call, const JsonValue *parameters, _unused_ void *userdata) {
        _cleanup_close_ int fd = file_with_text(json_get_string(parameters, "text"));

        assert_int_equal(varlink_call_push_fd(call, fd), 0);
        return varlink_call_reply(call, NULL);
}

static inline int on_fail(_unused_ VarlinkCall *call, const JsonValue *parameters, _unused_ void *userdata) {
        return -(int) json_get_integer(parameters, "errno", 0);
}

static inline int on_forbidden(_unused_ VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        ServerFixture *f = userdata;

        f->n_calls++;
        return varlink_call_reply(call, NULL);
}

static const VarlinkMethod test_methods[] = {
        { "Echo", on_echo, false },
        { "Keep", on_keep, false },
        { "Count", on_count, true },
        { "TakeFd", on_take_fd, false },
        { "GiveFd", on_give_fd, false },
        { "Fail", on_fail, false },
        { "Forbidden", on_forbidden, false },
        {},
};

static inline void on_server_busy(bool busy, void *userdata) {
        ServerFixture *f = userdata;

        assert_true(f->busy != busy);
        f->busy = busy;
        if (busy)
                f->n_busy++;
        else
                f->n_quiet++;
}

/* A further peer. */
static inline int connect_peer(ServerFixture *f) {
        int pair[2];

        socket_pair(pair);
        assert_int_equal(varlink_server_adopt(f->server, pair[0]), 0);
        return pair[1];
}

static inline int server_setup(void **state) {
        static const VarlinkProduct product = { "Example", "Test", "1", "https://example.com/" };
        ServerFixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        assert_true(sd_event_new(&f->event) >= 0);
        assert_int_equal(varlink_server_new(&f->server, f->event, &product, f), 0);
        assert_int_equal(varlink_server_add_interface(f->server, test_interface, test_methods, f), 0);
        varlink_server_accept_fds(f->server, NULL, NULL);
        varlink_server_set_busy_handler(f->server, on_server_busy);
        f->peer = connect_peer(f);
        *state = f;
        return 0;
}

static inline int server_teardown(void **state) {
        ServerFixture *f = *state;

        varlink_server_free(f->server);
        sd_event_unref(f->event);
        inbox_done(&f->inbox);
        fd_close(f->peer);
        free(f);
        return 0;
}

static inline bool inbox_filled(ServerFixture *f, size_t size) {
        inbox_read(&f->inbox, f->peer);
        return f->inbox.size >= size;
}

/* The peer receives this message next. */
static inline void assert_reply(ServerFixture *f, const char *text) {
        run_until(f->event, inbox_filled(f, 1) && inbox_has_message(&f->inbox));
        assert_message(&f->inbox, text);
}

static inline bool peer_sees_end(ServerFixture *f) {
        inbox_read(&f->inbox, f->peer);
        return f->inbox.ended;
}

#define CALL(method, parameters) "{\"method\":\"io.example.Test." method "\",\"parameters\":" parameters "}"
#define CALL_MORE(method, parameters) \
        "{\"method\":\"io.example.Test." method "\",\"parameters\":" parameters ",\"more\":true}"
#define CALL_ONEWAY(method, parameters) \
        "{\"method\":\"io.example.Test." method "\",\"parameters\":" parameters ",\"oneway\":true}"
#define ECHO(text) CALL("Echo", "{\"text\":\"" text "\"}")
#define ECHOED(text) "{\"parameters\":{\"text\":\"" text "\"}}"
#define REPLY_EMPTY "{\"parameters\":{}}"

#define server_test(function) cmocka_unit_test_setup_teardown(function, server_setup, server_teardown)
