/* libmicrohttpd on the loop: answers now and later, bodies, deadlines, the end. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/text.h"
#include "http-server.h"

#define BODY_BYTES_MAX 100
#define PATIENCE_USEC (10 * USEC_PER_SEC)
#define ANSWER_BYTES_MAX 8192
#define HEAD "Host: localhost\r\n"

typedef struct Fixture {
        sd_event *event;
        HttpServer *server;
        int listener;
        in_port_t port;
        bool busy;
        HttpRequest *later; /* waits for its answer */
        int cancelled, answered;
        size_t body_size; /* of the last request */
} Fixture;

static HttpReply *reply_of(const char *text) {
        HttpReply *reply = NULL;

        assert_int_equal(http_reply_new_text(&reply, 200, "text/plain", strdup(text)), 0);
        return reply;
}

static void on_begin(HttpRequest *request, void *userdata) {
        const char *length = http_request_header(request, "Content-Length");
        ApiError error;

        (void) userdata;
        http_request_set_body_max(request, BODY_BYTES_MAX);
        if (text_equal(http_request_uri(request)->path, "/refused")) {
                api_error_set(&error, 404, ERROR_TYPE_REQUEST, NULL, NULL, "refused");
                http_request_answer_error(request, &error);
        } else if (length && atoi(length) > BODY_BYTES_MAX) {
                api_error_set_body_too_large(&error, BODY_BYTES_MAX);
                http_request_answer_error(request, &error);
        }
}

static void cancel(void *work) {
        ((Fixture *) work)->cancelled++;
        ((Fixture *) work)->later = NULL;
}

static void on_handle(HttpRequest *request, void *userdata) {
        Fixture *fixture = userdata;

        fixture->body_size = http_request_body(request)->size;
        if (text_equal(http_request_uri(request)->path, "/later")) {
                fixture->later = request;
                http_request_set_work(request, fixture, cancel);
        } else
                http_request_answer(request, 0, reply_of("now"));
}

static void on_answered(HttpRequest *request, void *userdata) {
        (void) request;
        ((Fixture *) userdata)->answered++;
}

static void on_busy(bool busy, void *userdata) {
        Fixture *fixture = userdata;

        assert_true(fixture->busy != busy);
        fixture->busy = busy;
}

static const HttpHandlers handlers = { on_begin, on_handle, on_answered, on_busy };

static int setup(void **state) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        const HttpLimits limits = { .connections_max = 100,
                                    .connection_timeout = USEC_PER_SEC,
                                    .clients = { .group = CLIENT_GROUP_NONE } };
        socklen_t size = sizeof(address);
        Fixture *fixture = calloc(1, sizeof(*fixture));

        fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fixture->listener, (const struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(fixture->listener, 16), 0);
        assert_int_equal(getsockname(fixture->listener, (struct sockaddr *) &address, &size), 0);
        fixture->port = address.sin_port;
        assert_int_equal(sd_event_new(&fixture->event), 0);
        assert_int_equal(http_server_new(&fixture->server, fixture->event, &handlers, &limits, fixture), 0);
        assert_int_equal(http_server_listen(fixture->server, fixture->listener, false), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        Fixture *fixture = *state;

        (void) http_server_free(fixture->server);
        assert_false(fixture->busy);
        (void) fd_close(fixture->listener);
        (void) sd_event_unref(fixture->event);
        free(fixture);
        return 0;
}

static void turn(Fixture *fixture) {
        assert_true(sd_event_run(fixture->event, 10 * USEC_PER_MSEC) >= 0);
}

#define RUN_UNTIL(fixture, condition)                                                                                 \
        do {                                                                                                          \
                usec_t _end = time_now_monotonic() + PATIENCE_USEC;                                                   \
                while (!(condition)) {                                                                                \
                        assert_true(time_now_monotonic() < _end);                                                     \
                        turn(fixture);                                                                                \
                }                                                                                                     \
        } while (false)

static int client(const Fixture *fixture) {
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                .sin_port = fixture->port,
        };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(fd_set_nonblocking(fd), 0);
        return fd;
}

static void put(int fd, const char *text) {
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t) strlen(text));
}

/* Runs the loop until `wanted` has come (NULL: the end of the stream); returns what came. */
static char *get(Fixture *fixture, int fd, const char *wanted) {
        usec_t end = time_now_monotonic() + PATIENCE_USEC;
        char *text = calloc(1, ANSWER_BYTES_MAX);
        size_t size = 0;

        while (!wanted || !strstr(text, wanted)) {
                ssize_t r = recv(fd, text + size, ANSWER_BYTES_MAX - 1 - size, 0);

                if (r == 0 || (r < 0 && errno == ECONNRESET)) {
                        if (wanted)
                                fail_msg("'%s' did not come: %s", wanted, text);
                        break;
                }
                assert_true(r > 0 || errno == EAGAIN);
                size += r > 0 ? (size_t) r : 0;
                assert_true(time_now_monotonic() < end);
                if (r < 0)
                        turn(fixture);
        }
        return text;
}

/* Something comes to fd in a few turns that wait for nothing: no timer that fires by chance has brought it. */
static void assert_served_without_waiting(Fixture *fixture, int fd) {
        for (int i = 0; i < 5; i++)
                assert_true(sd_event_run(fixture->event, 0) >= 0);
        assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, PATIENCE_USEC / USEC_PER_MSEC), 1);
}

static void assert_answer(Fixture *fixture, int fd, const char *wanted) {
        _cleanup_free_ char *text = get(fixture, fd, wanted);

        assert_non_null(strstr(text, "x-request-id: "));
}

static void test_answer_at_once_and_connection_kept(void **state) {
        _cleanup_close_ int fd = client(*state);

        put(fd, "GET /now HTTP/1.1\r\n" HEAD "\r\n");
        assert_answer(*state, fd, "now");
        put(fd, "GET /now HTTP/1.1\r\n" HEAD "\r\n");
        assert_answer(*state, fd, "now");
        assert_int_equal(((Fixture *) *state)->answered, 2);
        assert_int_equal(http_server_connections(((Fixture *) *state)->server), 1);
}

static void test_answer_later_wakes_the_connection(void **state) {
        _cleanup_close_ int fd = client(*state);
        Fixture *fixture = *state;

        put(fd, "GET /later HTTP/1.1\r\n" HEAD "\r\n");
        RUN_UNTIL(fixture, fixture->later);
        http_request_set_work(fixture->later, NULL, NULL);
        http_request_answer(fixture->later, 0, reply_of("late"));
        assert_served_without_waiting(fixture, fd);
        assert_answer(fixture, fd, "late");
        assert_int_equal(fixture->cancelled, 0);
}

static void test_first_answer_counts(void **state) {
        _cleanup_close_ int fd = client(*state);
        Fixture *fixture = *state;

        put(fd, "GET /later HTTP/1.1\r\n" HEAD "\r\n");
        RUN_UNTIL(fixture, fixture->later);
        http_request_set_work(fixture->later, NULL, NULL);
        http_request_answer(fixture->later, 0, reply_of("first"));
        http_request_answer(fixture->later, 0, reply_of("second"));
        assert_answer(fixture, fd, "first");
}

static void test_answer_that_could_not_be_made_is_a_500(void **state) {
        _cleanup_close_ int fd = client(*state);
        Fixture *fixture = *state;

        put(fd, "GET /later HTTP/1.1\r\n" HEAD "\r\n");
        RUN_UNTIL(fixture, fixture->later);
        http_request_set_work(fixture->later, NULL, NULL);
        http_request_answer(fixture->later, -ENOMEM, NULL);
        assert_answer(fixture, fd, "\"server_error\"");
}

static void test_body_at_the_limit_arrives(void **state) {
        _cleanup_free_ char *request = NULL;
        _cleanup_close_ int fd = client(*state);

        request = text_format("POST /now HTTP/1.1\r\n" HEAD "Content-Length: %d\r\n\r\n%0*d", BODY_BYTES_MAX,
                              BODY_BYTES_MAX, 0);
        put(fd, request);
        assert_answer(*state, fd, "now");
        assert_int_equal(((Fixture *) *state)->body_size, BODY_BYTES_MAX);
}

static void test_announced_body_past_the_limit_is_not_read(void **state) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = client(*state);

        put(fd, "POST /now HTTP/1.1\r\n" HEAD "Content-Length: 101\r\n\r\n"); /* and not a byte of it */
        text = get(*state, fd, NULL);
        assert_non_null(strstr(text, " 413 "));
        assert_non_null(strstr(text, "body_too_large"));
}

static void test_chunked_body_past_the_limit_is_drained(void **state) {
        _cleanup_free_ char *request = NULL;
        _cleanup_close_ int fd = client(*state);

        request =
                text_format("POST /now HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n%x\r\n%0*d\r\n0\r\n\r\n",
                            BODY_BYTES_MAX + 1, BODY_BYTES_MAX + 1, 0);
        put(fd, request);
        assert_answer(*state, fd, "body_too_large");
        put(fd, "GET /now HTTP/1.1\r\n" HEAD "\r\n"); /* the connection is good for another request */
        assert_answer(*state, fd, "now");
}

static void test_draining_has_a_bound(void **state) {
        enum { CHUNK_BYTES = 4096 };
        static const int chunks = HTTP_DRAIN_BYTES_MAX / CHUNK_BYTES + 2;
        _cleanup_free_ char *chunk = text_format("%x\r\n%0*d\r\n", CHUNK_BYTES, CHUNK_BYTES, 0), *text = NULL;
        _cleanup_close_ int fd = client(*state);
        size_t sent = 0, size = strlen(chunk), total = size * (size_t) chunks;
        bool closed = false;

        put(fd, "POST /now HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n");
        while (sent < total && !closed) {
                ssize_t r = send(fd, chunk + sent % size, size - sent % size, MSG_NOSIGNAL);

                closed = r < 0 && errno != EAGAIN;
                sent += r > 0 ? (size_t) r : 0;
                turn(*state);
        }
        if (!closed)
                (void) send(fd, "0\r\n\r\n", strlen("0\r\n\r\n"), MSG_NOSIGNAL); /* would bring an answer */
        text = get(*state, fd, NULL);
        assert_string_equal(text, "");
}

static void test_refused_request_does_not_wait_for_its_body(void **state) {
        _cleanup_close_ int fd = client(*state);

        put(fd, "POST /refused HTTP/1.1\r\n" HEAD "Content-Length: 50\r\nExpect: 100-continue\r\n\r\n");
        assert_answer(*state, fd, " 404 ");
}

static void test_refused_request_s_small_body_is_thrown_away(void **state) {
        _cleanup_close_ int fd = client(*state);

        put(fd, "POST /refused HTTP/1.1\r\n" HEAD "Content-Length: 3\r\n\r\nabc");
        assert_answer(*state, fd, " 404 ");
        put(fd, "GET /now HTTP/1.1\r\n" HEAD "\r\n");
        assert_answer(*state, fd, "now");
}

static void test_silent_connection_is_closed(void **state) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = client(*state);

        text = get(*state, fd, NULL);
        assert_string_equal(text, "");
}

static void test_dripping_sender_is_closed(void **state) {
        static const char request[] = "GET /now HTTP/1.1\r\n" HEAD "x: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        usec_t start = time_now_monotonic(), next = start;
        _cleanup_close_ int fd = client(*state);
        const char *p = request;
        char byte;

        while (recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN) {
                if (time_now_monotonic() >= next) {
                        (void) send(fd, *p ? p++ : "a", 1, MSG_NOSIGNAL);
                        next += 100 * USEC_PER_MSEC;
                }
                assert_true(time_now_monotonic() < start + PATIENCE_USEC);
                turn(*state);
        }
        assert_true(time_now_monotonic() >=
                    start + USEC_PER_SEC); /* it was not silent: only our own deadline ends it */
}

static void test_quiescing_closes_what_is_idle_and_serves_what_is_not(void **state) {
        _cleanup_close_ int idle = client(*state), busy = client(*state);
        _cleanup_free_ char *text = NULL, *answer = NULL;
        Fixture *fixture = *state;

        put(idle, "GET /now HTTP/1.1\r\n" HEAD "\r\n");
        assert_answer(fixture, idle, "now");
        put(busy, "GET /later HTTP/1.1\r\n" HEAD "\r\n");
        RUN_UNTIL(fixture, fixture->later);

        http_server_quiesce(fixture->server);
        assert_served_without_waiting(fixture, idle);
        text = get(fixture, idle, NULL);
        assert_string_equal(text, "");
        http_request_set_work(fixture->later, NULL, NULL);
        http_request_answer(fixture->later, 0, reply_of("served"));
        answer = get(fixture, busy, NULL);
        assert_non_null(strstr(answer, "served"));
        assert_non_null(strstr(answer, "Connection: close"));
        RUN_UNTIL(fixture, !fixture->busy);
}

static void test_connection_that_was_not_accepted_stays_in_the_socket(void **state) {
        Fixture *fixture = *state;
        _cleanup_close_ int fd = -1, accepted = -1;

        http_server_quiesce(fixture->server);
        fd = client(fixture);
        for (int i = 0; i < 10; i++)
                turn(fixture);
        assert_int_equal(http_server_connections(fixture->server), 0);
        accepted = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC); /* as the next start does */
        assert_true(accepted >= 0);
}

static void test_end_answers_who_still_waits(void **state) {
        _cleanup_close_ int fd = client(*state);
        _cleanup_free_ char *text = NULL;
        Fixture *fixture = *state;

        put(fd, "GET /later HTTP/1.1\r\n" HEAD "\r\n");
        RUN_UNTIL(fixture, fixture->later);
        fixture->server = http_server_free(fixture->server);
        assert_int_equal(fixture->cancelled, 1);
        text = get(fixture, fd, NULL);
        assert_non_null(strstr(text, " 503 "));
        assert_non_null(strstr(text, "\"stopping\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        (void) signal(SIGPIPE, SIG_IGN);

        const struct CMUnitTest tests[] = {
                TEST(test_answer_at_once_and_connection_kept),
                TEST(test_answer_later_wakes_the_connection),
                TEST(test_first_answer_counts),
                TEST(test_answer_that_could_not_be_made_is_a_500),
                TEST(test_body_at_the_limit_arrives),
                TEST(test_announced_body_past_the_limit_is_not_read),
                TEST(test_chunked_body_past_the_limit_is_drained),
                TEST(test_draining_has_a_bound),
                TEST(test_refused_request_does_not_wait_for_its_body),
                TEST(test_refused_request_s_small_body_is_thrown_away),
                TEST(test_silent_connection_is_closed),
                TEST(test_dripping_sender_is_closed),
                TEST(test_quiescing_closes_what_is_idle_and_serves_what_is_not),
                TEST(test_connection_that_was_not_accepted_stays_in_the_socket),
                TEST(test_end_answers_who_still_waits),
        };

        return cmocka_run_group_tests_name("api-http-server", tests, NULL, NULL);
}
