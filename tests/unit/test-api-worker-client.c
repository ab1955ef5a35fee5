/* The pool of connections to the worker, against a Varlink server that comes and goes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "io/varlink-server.h"
#include "worker-client.h"

#define CONNECTIONS_MAX 8
#define PATIENCE_USEC (10 * USEC_PER_SEC)
#define KEPT_MAX 16

static const char interface_text[] =
        "interface t.t\nmethod Ask(n: int) -> (n: int)\nmethod Keep(n: int) -> (n: int)\n";

static const WorkerMethod ask = { "t.t.Ask", .deadline = PATIENCE_USEC };
static const WorkerMethod keep = { "t.t.Keep", .deadline = PATIENCE_USEC };
static const WorkerMethod keep_once = { "t.t.Keep", .once = true, .deadline = PATIENCE_USEC };
static const WorkerMethod keep_briefly = { "t.t.Keep", .deadline = USEC_PER_MSEC };
static const WorkerMethod keep_more = { "t.t.Keep", .more = true, .deadline = PATIENCE_USEC };

typedef struct Fixture {
        char path[64];
        sd_event *event;
        VarlinkServer *server;
        int fd;
        VarlinkCall *kept[KEPT_MAX];
        size_t n_kept;
        WorkerClient *client;
        int built; /* how often parameters were made */
        int replies;
        int status; /* of the last reply */
        int64_t n;
} Fixture;

static int on_ask(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        JsonValue *reply = json_new_object();

        (void) userdata;
        (void) json_add_integer(reply, "n", json_get_integer(parameters, "n", 0));
        return varlink_call_reply(call, reply);
}

static void on_kept_closed(VarlinkCall *call, void *userdata) {
        Fixture *fixture = userdata;

        for (size_t i = 0; i < fixture->n_kept; i++)
                if (fixture->kept[i] == call)
                        fixture->kept[i] = NULL;
}

static int on_keep(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Fixture *fixture = userdata;

        (void) parameters;
        assert_true(fixture->n_kept < KEPT_MAX);
        fixture->kept[fixture->n_kept++] = call;
        varlink_call_set_closed_handler(call, on_kept_closed, fixture);
        return 0;
}

static const VarlinkMethod methods[] = { { "Ask", on_ask, false }, { "Keep", on_keep, false }, {} };

static int listening_socket(const Fixture *fixture) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd;

        (void) strcpy(address.sun_path, fixture->path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 64), 0);
        return fd;
}

static void server_start(Fixture *fixture) {
        static const VarlinkProduct product = { "t", "t", "1", "" };

        fixture->fd = listening_socket(fixture);
        assert_int_equal(varlink_server_new(&fixture->server, fixture->event, &product, fixture), 0);
        assert_int_equal(varlink_server_add_interface(fixture->server, interface_text, methods, fixture), 0);
        varlink_server_accept_fds(fixture->server, NULL, NULL);
        assert_int_equal(varlink_server_listen(fixture->server, fixture->fd), 0);
}

/* As when the worker dies: its connections close, calls that it keeps are never answered. */
static void server_stop(Fixture *fixture) {
        fixture->server = varlink_server_free(fixture->server);
        fixture->fd = fd_close(fixture->fd);
        fixture->n_kept = 0;
        (void) unlink(fixture->path);
}

static int setup(void **state) {
        static unsigned number;
        Fixture *fixture = calloc(1, sizeof(*fixture));

        (void) snprintf(fixture->path, sizeof(fixture->path), "/tmp/atelier-test-worker-%d-%u", (int) getpid(),
                        number++);
        assert_int_equal(sd_event_new(&fixture->event), 0);
        assert_int_equal(worker_client_new(&fixture->client, fixture->event, fixture->path, CONNECTIONS_MAX), 0);
        server_start(fixture);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        Fixture *fixture = *state;

        (void) worker_client_free(fixture->client);
        server_stop(fixture);
        (void) sd_event_unref(fixture->event);
        free(fixture);
        return 0;
}

static JsonValue *build(void *userdata) {
        Fixture *fixture = userdata;
        JsonValue *parameters = json_new_object();

        (void) json_add_integer(parameters, "n", ++fixture->built);
        return parameters;
}

static void on_reply(const VarlinkReply *reply, void *userdata) {
        Fixture *fixture = userdata;

        fixture->replies++;
        fixture->status = reply->status;
        fixture->n = json_get_integer(reply->parameters, "n", -1);
}

static WorkerCall *call(Fixture *fixture, const WorkerMethod *method) {
        WorkerCall *worker_call = NULL;

        assert_int_equal(worker_client_call(fixture->client, &worker_call, method, build, on_reply, fixture), 0);
        return worker_call;
}

static void turn(Fixture *fixture) {
        assert_true(sd_event_run(fixture->event, 20 * USEC_PER_MSEC) >= 0);
}

#define RUN_UNTIL(fixture, condition)                                                                                 \
        do {                                                                                                          \
                usec_t _end = time_now_monotonic() + PATIENCE_USEC;                                                   \
                while (!(condition)) {                                                                                \
                        assert_true(time_now_monotonic() < _end);                                                     \
                        turn(fixture);                                                                                \
                }                                                                                                     \
        } while (false)

static void test_call_is_answered(void **state) {
        Fixture *fixture = *state;

        (void) call(fixture, &ask);
        assert_int_equal(fixture->replies, 0); /* never from inside worker_client_call() */
        RUN_UNTIL(fixture, fixture->replies == 1);
        assert_int_equal(fixture->status, 0);
        assert_int_equal(fixture->n, 1);
        assert_int_equal(worker_client_calls(fixture->client), 0);
}

static void test_connection_is_used_again(void **state) {
        Fixture *fixture = *state;

        for (int i = 1; i <= 5; i++) {
                (void) call(fixture, &ask);
                RUN_UNTIL(fixture, fixture->replies == i);
        }
        assert_int_equal(worker_client_connections(fixture->client), 1);
}

static void test_call_waits_for_a_worker_that_is_not_there(void **state) {
        Fixture *fixture = *state;

        server_stop(fixture);
        (void) call(fixture, &ask);
        for (int i = 0; i < 10; i++)
                turn(fixture);
        assert_int_equal(fixture->replies, 0);

        server_start(fixture);
        RUN_UNTIL(fixture, fixture->replies == 1);
        assert_int_equal(fixture->status, 0);
}

static void test_lost_call_is_made_again_with_parameters_made_anew(void **state) {
        Fixture *fixture = *state;

        (void) call(fixture, &keep);
        RUN_UNTIL(fixture, fixture->n_kept == 1);
        server_stop(fixture);
        server_start(fixture);
        RUN_UNTIL(fixture, fixture->n_kept == 1);
        assert_int_equal(fixture->replies, 0);
        assert_int_equal(fixture->built, 2);

        assert_true(on_ask(TAKE_PTR(fixture->kept[0]), NULL, NULL) >= 0);
        RUN_UNTIL(fixture, fixture->replies == 1);
        assert_int_equal(fixture->status, 0);
}

static ino_t kept_inode(Fixture *fixture) {
        _cleanup_close_ int fd = varlink_call_take_fd(fixture->kept[0], 0);
        struct stat st;

        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        return st.st_ino;
}

static void test_descriptor_travels_with_each_try(void **state) {
        _cleanup_close_ int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        Fixture *fixture = *state;
        WorkerCall *with_fd;
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(worker_client_call_with_fd(fixture->client, &with_fd, &keep, build, on_reply, fixture, fd), 0);
        RUN_UNTIL(fixture, fixture->n_kept == 1);
        assert_int_equal(kept_inode(fixture), st.st_ino);
        server_stop(fixture);
        server_start(fixture);
        RUN_UNTIL(fixture, fixture->n_kept == 1);
        assert_int_equal(kept_inode(fixture), st.st_ino);

        assert_true(on_ask(TAKE_PTR(fixture->kept[0]), NULL, NULL) >= 0);
        RUN_UNTIL(fixture, fixture->replies == 1);
}

static void test_pooled_connection_that_was_closed_is_replaced(void **state) {
        Fixture *fixture = *state;

        (void) call(fixture, &ask);
        RUN_UNTIL(fixture, fixture->replies == 1);
        server_stop(fixture);
        server_start(fixture);
        (void) call(fixture, &ask);
        RUN_UNTIL(fixture, fixture->replies == 2);
        assert_int_equal(fixture->status, 0);
}

static void test_unused_connection_that_was_closed_is_forgotten(void **state) {
        Fixture *fixture = *state;

        (void) call(fixture, &ask);
        RUN_UNTIL(fixture, fixture->replies == 1);
        server_stop(fixture);
        RUN_UNTIL(fixture, worker_client_connections(fixture->client) == 0);
        server_start(fixture);
}

static void test_call_that_is_made_once_fails_with_its_connection(void **state) {
        Fixture *fixture = *state;

        (void) call(fixture, &keep_once);
        RUN_UNTIL(fixture, fixture->n_kept == 1);
        server_stop(fixture);
        RUN_UNTIL(fixture, fixture->replies == 1);
        assert_true(fixture->status < 0);
        assert_int_equal(fixture->built, 1);
        server_start(fixture);
}

static int close_at_once(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) source;
        (void) revents;
        (*(int *) userdata)++;
        (void) fd_close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
        return 0;
}

/* Three pauses alone take 10 + 20 + 40 ms. */
static void test_worker_that_hangs_up_is_not_hammered(void **state) {
        Fixture *fixture = *state;
        sd_event_source *source = NULL;
        usec_t start, end;
        int accepted = 0;

        server_stop(fixture);
        fixture->fd = listening_socket(fixture);
        assert_int_equal(sd_event_add_io(fixture->event, &source, fixture->fd, EPOLLIN, close_at_once, &accepted), 0);
        start = time_now_monotonic();
        (void) call(fixture, &ask);
        RUN_UNTIL(fixture, accepted == 4);
        end = time_now_monotonic();
        assert_true(end - start >= 70 * USEC_PER_MSEC);
        assert_int_equal(fixture->replies, 0);

        (void) sd_event_source_disable_unref(source);
        fixture->fd = fd_close(fixture->fd);
        (void) unlink(fixture->path);
        server_start(fixture);
        RUN_UNTIL(fixture, fixture->replies == 1);
}

static void test_deadline_ends_a_call(void **state) {
        Fixture *fixture = *state;

        (void) call(fixture, &keep_briefly);
        RUN_UNTIL(fixture, fixture->replies == 1);
        assert_int_equal(fixture->status, -ETIMEDOUT);
        assert_int_equal(worker_client_calls(fixture->client), 0);
}

static void test_deadline_ends_a_call_without_a_worker(void **state) {
        Fixture *fixture = *state;

        server_stop(fixture);
        (void) call(fixture, &keep_briefly);
        RUN_UNTIL(fixture, fixture->replies == 1);
        assert_int_equal(fixture->status, -ETIMEDOUT);
        server_start(fixture);
}

static void test_call_given_up_is_not_answered_and_its_connection_closed(void **state) {
        Fixture *fixture = *state;
        WorkerCall *worker_call = call(fixture, &keep);

        RUN_UNTIL(fixture, fixture->n_kept == 1);
        worker_call = worker_call_free(worker_call);
        RUN_UNTIL(fixture, !fixture->kept[0]);
        assert_int_equal(fixture->replies, 0);
        assert_int_equal(worker_client_calls(fixture->client), 0);
}

static void test_connections_are_bounded_and_calls_wait(void **state) {
        Fixture *fixture = *state;

        for (int i = 0; i < 10 * CONNECTIONS_MAX; i++)
                (void) call(fixture, &ask);
        assert_int_equal(worker_client_connections(fixture->client), CONNECTIONS_MAX);
        RUN_UNTIL(fixture, fixture->replies == 10 * CONNECTIONS_MAX);
}

static void test_long_calls_leave_a_share_to_short_ones(void **state) {
        Fixture *fixture = *state;
        WorkerCall *calls[2 * CONNECTIONS_MAX];

        for (size_t i = 0; i < ELEMENTS(calls); i++)
                calls[i] = call(fixture, &keep_more);
        (void) call(fixture, &ask);
        RUN_UNTIL(fixture, fixture->replies == 1);
        assert_true(fixture->n_kept < CONNECTIONS_MAX);
        for (size_t i = ELEMENTS(calls); i-- > 0;)
                calls[i] = worker_call_free(calls[i]);
}

static void test_calls_at_the_limit_and_one_past_it(void **state) {
        Fixture *fixture = *state;
        WorkerCall **calls = calloc(WORKER_CALLS_MAX, sizeof(*calls)), *one_more = NULL;

        server_stop(fixture);
        for (size_t i = 0; i < WORKER_CALLS_MAX; i++)
                calls[i] = call(fixture, &ask);
        assert_int_equal(worker_client_call(fixture->client, &one_more, &ask, build, on_reply, fixture), -EBUSY);
        for (size_t i = 0; i < WORKER_CALLS_MAX; i++)
                calls[i] = worker_call_free(calls[i]);
        free(calls);
        server_start(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_call_is_answered),
                TEST(test_connection_is_used_again),
                TEST(test_call_waits_for_a_worker_that_is_not_there),
                TEST(test_lost_call_is_made_again_with_parameters_made_anew),
                TEST(test_descriptor_travels_with_each_try),
                TEST(test_pooled_connection_that_was_closed_is_replaced),
                TEST(test_unused_connection_that_was_closed_is_forgotten),
                TEST(test_call_that_is_made_once_fails_with_its_connection),
                TEST(test_worker_that_hangs_up_is_not_hammered),
                TEST(test_deadline_ends_a_call),
                TEST(test_deadline_ends_a_call_without_a_worker),
                TEST(test_call_given_up_is_not_answered_and_its_connection_closed),
                TEST(test_connections_are_bounded_and_calls_wait),
                TEST(test_long_calls_leave_a_share_to_short_ones),
                TEST(test_calls_at_the_limit_and_one_past_it),
        };

        return cmocka_run_group_tests_name("api-worker-client", tests, NULL, NULL);
}
