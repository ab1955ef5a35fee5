/* Outgoing HTTP against a real socket: what arrives, how each failure is told, and that nothing is sent twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/buffer.h"
#include "io/http-client.h"
#include "loopback-server.h"

#define TEST_TIMEOUT (20 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        HttpClient *client;
        LoopbackServer *server;
} Fixture;

/* One transfer and what became of it. */
typedef struct Outcome {
        Fixture *fixture;
        HttpTransfer *transfer;
        bool done;
        HttpResult result;
        Buffer body;
        char headers[1024];
        int body_error;
} Outcome;

static void on_header(_unused_ HttpTransfer *transfer, const char *name, const char *value, void *userdata) {
        Outcome *outcome = userdata;
        size_t used = strlen(outcome->headers);

        (void) snprintf(outcome->headers + used, sizeof(outcome->headers) - used, "%s=%s;", name, value);
}

static int on_body(_unused_ HttpTransfer *transfer, const void *data, size_t size, void *userdata) {
        Outcome *outcome = userdata;

        if (outcome->body_error < 0)
                return outcome->body_error;
        return buffer_append(&outcome->body, data, size);
}

static void on_done(_unused_ HttpTransfer *transfer, const HttpResult *result, void *userdata) {
        Outcome *outcome = userdata;

        assert_false(outcome->done);
        outcome->done = true;
        outcome->result = *result;
}

static const HttpHandlers handlers = { .header = on_header, .body = on_body, .done = on_done };

static void start(Outcome *outcome, Fixture *fixture, HttpRequest request) {
        *outcome = (Outcome) { .fixture = fixture, .body_error = outcome->body_error };
        if (!request.url)
                request.url = loopback_url(fixture->server, "/");
        request.method = request.method ?: "GET";
        request.timeout = request.timeout ?: TEST_TIMEOUT;
        request.body_bytes_max = request.body_bytes_max ?: 1024 * 1024;
        if (request.body)
                request.body_size = strlen(request.body);
        assert_int_equal(http_client_start(fixture->client, &request, &handlers, outcome, &outcome->transfer), 0);
        assert_false(outcome->done);
}

static void await(Outcome *outcome) {
        usec_t deadline = time_now_monotonic() + TEST_TIMEOUT;

        while (!outcome->done) {
                assert_true(time_now_monotonic() < deadline);
                assert_true(sd_event_run(outcome->fixture->event, USEC_PER_SEC) >= 0);
        }
}

static void run(Outcome *outcome, Fixture *fixture, HttpRequest request) {
        start(outcome, fixture, request);
        await(outcome);
}

static void finish(Outcome *outcome) {
        buffer_done(&outcome->body);
}

static void serve(Fixture *fixture, LoopbackHandler handler) {
        fixture->server = loopback_server_new(handler);
}

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        assert_true(sd_event_new(&fixture->event) >= 0);
        assert_int_equal(http_client_new(&fixture->client, fixture->event, 4), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;

        (void) http_client_free(fixture->client);
        if (fixture->server)
                loopback_server_free(fixture->server);
        (void) sd_event_unref(fixture->event);
        free(fixture);
        return 0;
}

static bool answer_hello(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                         _unused_ unsigned number) {
        loopback_answer(fd, 200, "X-Request-Id:  abc \r\n", "hello");
        return true;
}

static void test_answer_arrives(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, answer_hello);
        run(&outcome, fixture, (HttpRequest) {});
        assert_int_equal(outcome.result.error, 0);
        assert_int_equal(outcome.result.status, 200);
        assert_true(outcome.result.sent);
        assert_string_equal(outcome.result.message, "");
        assert_int_equal(outcome.body.size, 5);
        assert_memory_equal(outcome.body.data, "hello", 5);
        assert_non_null(strstr(outcome.headers, "x-request-id=abc;"));
        finish(&outcome);
}

static void test_request_is_sent_as_given(void **state) {
        static const char *const headers[] = { "Authorization: Bearer key", "Content-Type: application/json", NULL };
        Fixture *fixture = *state;
        Outcome outcome = {};
        const char *sent;

        serve(fixture, answer_hello);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "{\"a\":1}", .headers = headers });
        sent = fixture->server->last_request;
        assert_memory_equal(sent, "POST / HTTP/1.1\r\n", 17);
        assert_non_null(strstr(sent, "\r\nAuthorization: Bearer key\r\n"));
        assert_non_null(strstr(sent, "\r\nContent-Type: application/json\r\n"));
        assert_non_null(strstr(sent, "\r\nContent-Length: 7\r\n"));
        assert_non_null(strstr(sent, "\r\n\r\n{\"a\":1}"));
        assert_null(strcasestr(sent, "\r\nExpect:"));
        assert_null(strcasestr(sent, "\r\nAccept-Encoding:"));
        finish(&outcome);
}

/* Large enough for libcurl to want an Expect: 100-continue of its own accord. */
static void test_large_body_is_sent_whole(void **state) {
        enum { LARGE = 3 * 1024 * 1024 };
        Fixture *fixture = *state;
        _cleanup_free_ char *body = malloc(LARGE + 1);
        Outcome outcome = {};

        memset(body, 'x', LARGE);
        body[LARGE] = 0;
        serve(fixture, answer_hello);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = body });
        assert_int_equal(outcome.result.error, 0);
        assert_int_equal(strlen(strstr(fixture->server->last_request, "\r\n\r\n") + 4), LARGE);
        assert_null(strcasestr(fixture->server->last_request, "\r\nExpect:"));
        finish(&outcome);
}

static bool answer_after_hints(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                               _unused_ unsigned number) {
        loopback_send_text(fd, "HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n");
        loopback_answer(fd, 201, "X-Late: yes\r\n", "");
        return true;
}

static void test_interim_answers_are_not_handed_on(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, answer_after_hints);
        run(&outcome, fixture, (HttpRequest) {});
        assert_int_equal(outcome.result.status, 201);
        assert_null(strstr(outcome.headers, "x-early"));
        assert_non_null(strstr(outcome.headers, "x-late=yes;"));
        finish(&outcome);
}

static void test_connection_is_used_again(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, answer_hello);
        for (unsigned i = 0; i < 3; i++) {
                run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "x" });
                assert_int_equal(outcome.result.error, 0);
                finish(&outcome);
        }
        assert_int_equal(fixture->server->requests, 3);
        assert_int_equal(fixture->server->n_connections, 1);
}

static bool answer_first_then_close(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                                    unsigned number) {
        if (number > 0)
                return false;
        loopback_answer(fd, 200, "", "first");
        return true;
}

/* The server takes the whole second request, then dies: it may have done what it was asked. */
static void test_post_on_a_used_connection_is_never_sent_twice(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, answer_first_then_close);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "one" });
        assert_int_equal(outcome.result.error, 0);
        finish(&outcome);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "two" });
        assert_int_equal(outcome.result.error, -ECONNRESET);
        assert_true(outcome.result.sent);
        assert_int_equal(outcome.result.status, 0);
        assert_int_equal(fixture->server->requests, 2);
        finish(&outcome);
}

static bool answer_first_then_die(LoopbackServer *server, int fd, _unused_ const char *request, unsigned number) {
        if (number > 0) {
                (void) shutdown(server->fd, SHUT_RDWR);
                return false;
        }
        loopback_answer(fd, 200, "", "first");
        return true;
}

/* A refused connection behind a request that was taken must not read as "never sent". */
static void test_sent_stays_sent_when_no_new_connection_is_had(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, answer_first_then_die);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "one" });
        finish(&outcome);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "two" });
        assert_true(outcome.result.error < 0);
        assert_true(outcome.result.sent);
        finish(&outcome);
}

static bool answer_and_close(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                             _unused_ unsigned number) {
        loopback_answer(fd, 200, "", "bye");
        return false;
}

static void test_a_closed_idle_connection_is_replaced(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, answer_and_close);
        for (unsigned i = 0; i < 20; i++) {
                run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "x" });
                assert_int_equal(outcome.result.error, 0);
                finish(&outcome);

                /* The server's end of the connection is closed when its thread is done. */
                (void) pthread_join(fixture->server->connections[i].thread, NULL);
                fixture->server->connections[i].thread = pthread_self();
        }
        assert_int_equal(fixture->server->requests, 20);
}

static void test_refused(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};
        char url[64];

        serve(fixture, answer_hello);
        (void) strcpy(url, loopback_url(fixture->server, "/"));
        loopback_server_free(fixture->server);
        fixture->server = NULL;

        run(&outcome, fixture, (HttpRequest) { .url = url, .method = "POST", .body = "x" });
        assert_int_equal(outcome.result.error, -ECONNREFUSED);
        assert_false(outcome.result.sent);
        assert_true(strlen(outcome.result.message) > 0);
        finish(&outcome);
}

static bool hold(_unused_ LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_await_close(fd);
        return false;
}

static void test_deadline(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};
        usec_t begin = time_now_monotonic();

        serve(fixture, hold);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "x", .timeout = 150 * USEC_PER_MSEC });
        assert_int_equal(outcome.result.error, -ETIMEDOUT);
        assert_true(outcome.result.sent);
        assert_true(time_now_monotonic() - begin >= 150 * USEC_PER_MSEC);
        finish(&outcome);
}

static bool drip(_unused_ LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        loopback_send_text(fd, "some");
        loopback_await_close(fd);
        return false;
}

static void test_deadline_within_the_body(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, drip);
        run(&outcome, fixture, (HttpRequest) { .timeout = 150 * USEC_PER_MSEC });
        assert_int_equal(outcome.result.error, -ETIMEDOUT);
        assert_int_equal(outcome.result.status, 200);
        finish(&outcome);
}

static void test_waiting_for_a_connection_counts(void **state) {
        Fixture *fixture = *state;
        Outcome holding[4] = {}, waiting = {};

        serve(fixture, hold);
        for (size_t i = 0; i < ELEMENTS(holding); i++)
                start(&holding[i], fixture, (HttpRequest) { .method = "POST", .body = "x" });
        run(&waiting, fixture, (HttpRequest) { .method = "POST", .body = "x", .timeout = 150 * USEC_PER_MSEC });
        assert_int_equal(waiting.result.error, -ETIMEDOUT);
        assert_false(waiting.result.sent);
        for (size_t i = 0; i < ELEMENTS(holding); i++)
                http_transfer_cancel(holding[i].transfer);
}

static bool cut(_unused_ LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
        return false;
}

static void test_cut_body(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, cut);
        run(&outcome, fixture, (HttpRequest) {});
        assert_int_equal(outcome.result.error, -ECONNRESET);
        assert_int_equal(outcome.result.status, 200);
        assert_true(outcome.result.sent);
        finish(&outcome);
}

static bool cut_chunks(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                       _unused_ unsigned number) {
        loopback_send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n");
        return false;
}

static void test_cut_chunks(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, cut_chunks);
        run(&outcome, fixture, (HttpRequest) {});
        assert_int_equal(outcome.result.error, -ECONNRESET);
        finish(&outcome);
}

static bool say_nothing(_unused_ LoopbackServer *server, _unused_ int fd, _unused_ const char *request,
                        _unused_ unsigned number) {
        return false;
}

static void test_closed_without_an_answer(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, say_nothing);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "x" });
        assert_int_equal(outcome.result.error, -ECONNRESET);
        assert_true(outcome.result.sent);
        assert_int_equal(fixture->server->requests, 1);
        finish(&outcome);
}

static bool answer_garbage(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                           _unused_ unsigned number) {
        loopback_send_text(fd, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
        return false;
}

static void test_what_is_not_http(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, answer_garbage);
        run(&outcome, fixture, (HttpRequest) {});
        assert_int_equal(outcome.result.error, -EPROTO);
        finish(&outcome);
}

static bool answer_long(_unused_ LoopbackServer *server, int fd, const char *request, _unused_ unsigned number) {
        char body[1001];

        memset(body, 'x', 1000);
        body[1000] = 0;
        if (strstr(request, "GET /announced"))
                loopback_answer(fd, 200, "", body);
        else {
                loopback_send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n");
                loopback_send_text(fd, body);
                loopback_send_text(fd, "\r\n0\r\n\r\n");
        }
        return true;
}

static void test_body_limit(void **state) {
        static const char *const paths[] = { "/announced", "/chunked" };
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, answer_long);
        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                const char *url = loopback_url(fixture->server, paths[i]);

                run(&outcome, fixture, (HttpRequest) { .url = url, .body_bytes_max = 1000 });
                assert_int_equal(outcome.result.error, 0);
                assert_int_equal(outcome.body.size, 1000);
                finish(&outcome);
                run(&outcome, fixture, (HttpRequest) { .url = url, .body_bytes_max = 999 });
                assert_int_equal(outcome.result.error, -EFBIG);
                finish(&outcome);
        }
}

static bool flood_headers(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                          _unused_ unsigned number) {
        loopback_send_text(fd, "HTTP/1.1 200 OK\r\n");
        for (unsigned i = 0; i < 4000; i++)
                loopback_send_text(fd, "X-Flood: 0123456789012345\r\n");
        loopback_send_text(fd, "Content-Length: 0\r\n\r\n");
        return false;
}

static void test_header_limit(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, flood_headers);
        run(&outcome, fixture, (HttpRequest) {});
        assert_int_equal(outcome.result.error, -EFBIG);
        finish(&outcome);
}

static bool redirect(_unused_ LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_answer(fd, 307, "Location: /elsewhere\r\n", "");
        return true;
}

static void test_redirects_are_not_followed(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, redirect);
        run(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "x" });
        assert_int_equal(outcome.result.error, 0);
        assert_int_equal(outcome.result.status, 307);
        assert_int_equal(fixture->server->requests, 1);
        finish(&outcome);
}

static void test_body_handler_ends_the_transfer(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = { .body_error = -ENOSPC };

        serve(fixture, answer_hello);
        run(&outcome, fixture, (HttpRequest) {});
        assert_int_equal(outcome.result.error, -ENOSPC);
        assert_true(outcome.result.sent);
        finish(&outcome);
}

static void test_cancel_tells_before_it_returns(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};
        usec_t deadline = time_now_monotonic() + TEST_TIMEOUT;

        serve(fixture, hold);
        start(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "x" });
        while (atomic_load(&fixture->server->requests) == 0) {
                assert_true(time_now_monotonic() < deadline);
                assert_true(sd_event_run(fixture->event, USEC_PER_MSEC) >= 0);
        }
        http_transfer_cancel(outcome.transfer);
        assert_true(outcome.done);
        assert_int_equal(outcome.result.error, -ECANCELED);
        assert_true(outcome.result.sent);
}

static void test_cancel_before_anything_is_sent(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        serve(fixture, hold);
        start(&outcome, fixture, (HttpRequest) { .method = "POST", .body = "x" });
        http_transfer_cancel(outcome.transfer);
        assert_int_equal(outcome.result.error, -ECANCELED);
        assert_false(outcome.result.sent);
}

static void test_free_cancels_what_runs(void **state) {
        Fixture *fixture = *state;
        Outcome outcomes[3] = {};

        serve(fixture, hold);
        for (size_t i = 0; i < ELEMENTS(outcomes); i++)
                start(&outcomes[i], fixture, (HttpRequest) {});
        assert_true(sd_event_run(fixture->event, USEC_PER_MSEC) >= 0);
        fixture->client = http_client_free(fixture->client);
        for (size_t i = 0; i < ELEMENTS(outcomes); i++)
                assert_int_equal(outcomes[i].result.error, -ECANCELED);
}

static void test_many_at_once(void **state) {
        Fixture *fixture = *state;
        Outcome outcomes[60] = {};

        serve(fixture, answer_hello);
        for (size_t i = 0; i < ELEMENTS(outcomes); i++)
                start(&outcomes[i], fixture, (HttpRequest) { .method = "POST", .body = "x" });
        for (size_t i = 0; i < ELEMENTS(outcomes); i++) {
                await(&outcomes[i]);
                assert_int_equal(outcomes[i].result.error, 0);
                assert_int_equal(outcomes[i].body.size, 5);
                finish(&outcomes[i]);
        }
        assert_int_equal(fixture->server->requests, ELEMENTS(outcomes));
        assert_in_range(fixture->server->n_connections, 1, 4);
}

static void test_proxies_of_the_environment_are_not_used(void **state) {
        Fixture *fixture = *state;
        Outcome outcome = {};

        (void) setenv("http_proxy", "http://127.0.0.1:1/", 1);
        (void) setenv("all_proxy", "http://127.0.0.1:1/", 1);
        serve(fixture, answer_hello);
        run(&outcome, fixture, (HttpRequest) {});
        assert_int_equal(outcome.result.error, 0);
        finish(&outcome);
        (void) unsetenv("http_proxy");
        (void) unsetenv("all_proxy");
}

#define LONG_ANSWER_BYTES ((size_t) 256 * 1024)
#define SHORT_TIMEOUT (200 * USEC_PER_MSEC)

static atomic_bool last_bytes_are_sent;

/* A long answer, whose last byte comes when the test says so. */
static bool answer_all_but_the_end(LoopbackServer *server, int fd, _unused_ const char *request,
                                   _unused_ unsigned number) {
        char head[64];

        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n\r\n", LONG_ANSWER_BYTES);
        loopback_send_text(fd, head);
        loopback_send(fd, server->answer, LONG_ANSWER_BYTES - 1);
        while (!atomic_load(&last_bytes_are_sent) && !atomic_load(&server->stopping))
                (void) usleep(1000);
        loopback_send(fd, server->answer, 1);
        return true;
}

static void serve_long_answers(Fixture *fixture) {
        atomic_store(&last_bytes_are_sent, false);
        serve(fixture, answer_all_but_the_end);
        fixture->server->answer = calloc(1, LONG_ANSWER_BYTES);
        assert_non_null(fixture->server->answer);
}

static void run_for(Fixture *fixture, usec_t time) {
        usec_t end = time_now_monotonic() + time, now;

        while ((now = time_now_monotonic()) < end)
                assert_true(sd_event_run(fixture->event, end - now) >= 0);
}

static void await_bytes(Fixture *fixture, uint64_t bytes) {
        usec_t deadline = time_now_monotonic() + TEST_TIMEOUT;

        while (http_client_answers_bytes(fixture->client) < bytes) {
                assert_true(time_now_monotonic() < deadline);
                assert_true(sd_event_run(fixture->event, 10 * USEC_PER_MSEC) >= 0);
        }
}

static void await_paused(Fixture *fixture, unsigned n) {
        usec_t deadline = time_now_monotonic() + TEST_TIMEOUT;

        while (http_client_paused(fixture->client) != n) {
                assert_true(time_now_monotonic() < deadline);
                assert_true(sd_event_run(fixture->event, 10 * USEC_PER_MSEC) >= 0);
        }
}

/* The first is at the bound, and the only one that goes on past it. */
static void start_at_the_bound(Fixture *fixture, Outcome *first, Outcome *second, usec_t timeout) {
        http_client_set_answers_max(fixture->client, 1024);
        start(first, fixture, (HttpRequest) {});
        await_bytes(fixture, LONG_ANSWER_BYTES - 1);
        start(second, fixture, (HttpRequest) { .timeout = timeout });
        await_paused(fixture, 1);
        assert_int_equal(http_client_answers_bytes(fixture->client), LONG_ANSWER_BYTES - 1);
}

static void test_answers_pause_at_their_bound(void **state) {
        enum { N = 4 };  /* as many connections as the client makes */
        Fixture *fixture = *state;
        Outcome outcomes[N] = {};

        serve_long_answers(fixture);
        http_client_set_answers_max(fixture->client, LONG_ANSWER_BYTES);
        for (unsigned i = 0; i < N; i++)
                start(&outcomes[i], fixture, (HttpRequest) {});
        run_for(fixture, SHORT_TIMEOUT);
        assert_true(http_client_paused(fixture->client) >= N - 2);
        assert_true(http_client_answers_bytes(fixture->client) >= LONG_ANSWER_BYTES - 1);
        assert_true(http_client_answers_bytes(fixture->client) <= 2 * LONG_ANSWER_BYTES);

        atomic_store(&last_bytes_are_sent, true);
        for (unsigned i = 0; i < N; i++) {
                await(&outcomes[i]);
                assert_int_equal(outcomes[i].result.error, 0);
                assert_int_equal(outcomes[i].body.size, LONG_ANSWER_BYTES);
                finish(&outcomes[i]);
        }
        assert_int_equal(http_client_paused(fixture->client), 0);
        assert_int_equal(http_client_answers_bytes(fixture->client), 0);
}

/* The first one goes on past any bound, so it is by the second that its edge is seen. */
static void test_the_bound_is_exact(void **state) {
        Fixture *fixture = *state;
        Outcome first = {}, second = {};

        serve_long_answers(fixture);
        start_at_the_bound(fixture, &first, &second, 0);
        http_client_set_answers_max(fixture->client, 2 * (LONG_ANSWER_BYTES - 1) - 1);
        run_for(fixture, SHORT_TIMEOUT);
        assert_int_equal(http_client_paused(fixture->client), 1);
        http_client_set_answers_max(fixture->client, 2 * (LONG_ANSWER_BYTES - 1));
        await_bytes(fixture, 2 * (LONG_ANSWER_BYTES - 1));
        assert_int_equal(http_client_paused(fixture->client), 0);
        http_transfer_cancel(second.transfer);
        http_transfer_cancel(first.transfer);
        finish(&first);
        finish(&second);
}

static void test_a_pause_takes_nothing_of_the_time(void **state) {
        Fixture *fixture = *state;
        Outcome first = {}, second = {};

        serve_long_answers(fixture);
        start_at_the_bound(fixture, &first, &second, SHORT_TIMEOUT);
        run_for(fixture, 2 * SHORT_TIMEOUT);
        assert_false(second.done);
        atomic_store(&last_bytes_are_sent, true);
        await(&first);
        await(&second);
        assert_int_equal(second.result.error, 0);
        assert_int_equal(second.body.size, LONG_ANSWER_BYTES);
        finish(&first);
        finish(&second);
}

static void test_the_time_goes_on_after_a_pause(void **state) {
        Fixture *fixture = *state;
        Outcome first = {}, second = {};

        serve_long_answers(fixture);
        start_at_the_bound(fixture, &first, &second, SHORT_TIMEOUT);
        http_client_set_answers_max(fixture->client, UINT64_MAX);
        await(&second);
        assert_int_equal(second.result.error, -ETIMEDOUT);
        assert_false(first.done);
        finish(&first);
        finish(&second);
        http_transfer_cancel(first.transfer);
}

static void test_a_cancelled_leader_makes_room(void **state) {
        Fixture *fixture = *state;
        Outcome first = {}, second = {};

        serve_long_answers(fixture);
        start_at_the_bound(fixture, &first, &second, 0);
        http_transfer_cancel(first.transfer);
        await_bytes(fixture, LONG_ANSWER_BYTES - 1);
        assert_int_equal(http_client_paused(fixture->client), 0);
        atomic_store(&last_bytes_are_sent, true);
        await(&second);
        assert_int_equal(second.result.error, 0);
        finish(&first);
        finish(&second);
}

static void test_what_pauses_can_be_cancelled(void **state) {
        Fixture *fixture = *state;
        Outcome first = {}, second = {};

        serve_long_answers(fixture);
        start_at_the_bound(fixture, &first, &second, 0);
        http_transfer_cancel(second.transfer);
        assert_int_equal(second.result.error, -ECANCELED);
        assert_int_equal(http_client_paused(fixture->client), 0);
        http_transfer_cancel(first.transfer);
        assert_int_equal(http_client_answers_bytes(fixture->client), 0);
        finish(&first);
        finish(&second);
}

static void test_what_cannot_be_asked_for(void **state) {
        static const char *const broken[] = { "X-A: b\r\nX-Injected: c", NULL };
        Fixture *fixture = *state;
        HttpRequest request = { .method = "GET", .url = "file:///etc/passwd", .timeout = USEC_PER_SEC };
        HttpTransfer *transfer = NULL;

        assert_int_equal(http_client_start(fixture->client, &request, &handlers, NULL, &transfer), -EINVAL);
        request.url = "http://127.0.0.1:1/";
        request.headers = broken;
        assert_int_equal(http_client_start(fixture->client, &request, &handlers, NULL, &transfer), -EINVAL);
        assert_null(transfer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_answer_arrives),
                TEST(test_request_is_sent_as_given),
                TEST(test_large_body_is_sent_whole),
                TEST(test_interim_answers_are_not_handed_on),
                TEST(test_connection_is_used_again),
                TEST(test_post_on_a_used_connection_is_never_sent_twice),
                TEST(test_sent_stays_sent_when_no_new_connection_is_had),
                TEST(test_a_closed_idle_connection_is_replaced),
                TEST(test_refused),
                TEST(test_deadline),
                TEST(test_deadline_within_the_body),
                TEST(test_waiting_for_a_connection_counts),
                TEST(test_cut_body),
                TEST(test_cut_chunks),
                TEST(test_closed_without_an_answer),
                TEST(test_what_is_not_http),
                TEST(test_body_limit),
                TEST(test_header_limit),
                TEST(test_redirects_are_not_followed),
                TEST(test_body_handler_ends_the_transfer),
                TEST(test_cancel_tells_before_it_returns),
                TEST(test_cancel_before_anything_is_sent),
                TEST(test_free_cancels_what_runs),
                TEST(test_many_at_once),
                TEST(test_proxies_of_the_environment_are_not_used),
                TEST(test_answers_pause_at_their_bound),
                TEST(test_the_bound_is_exact),
                TEST(test_a_pause_takes_nothing_of_the_time),
                TEST(test_the_time_goes_on_after_a_pause),
                TEST(test_a_cancelled_leader_makes_room),
                TEST(test_what_pauses_can_be_cancelled),
                TEST(test_what_cannot_be_asked_for),
        };

        return cmocka_run_group_tests_name("http-client", tests, NULL, NULL);
}
