/* The blocking call, against a child that plays the server. */
#include "varlink-fixture.h"

#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "io/varlink-client.h"
#include "io/varlink-server.h"

#define METHOD "io.example.Test.Method"
#define TIMEOUT (5 * USEC_PER_SEC)

typedef struct Fixture {
        char folder[32], path[64];
        int listener;
        pid_t child;

        JsonValue *reply;
        char *error;
        unsigned n_progress;
        int64_t progress_sum;
} Fixture;

static int setup(void **state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        strcpy(f->folder, "/tmp/varlink-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        strcpy(stpcpy(f->path, f->folder), "/socket");
        strcpy(address.sun_path, f->path);
        f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(f->listener, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(f->listener, 8), 0);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        if (f->child > 0) {
                (void) kill(f->child, SIGKILL);
                assert_int_equal(waitpid(f->child, NULL, 0), f->child);
        }
        json_free(f->reply);
        free(f->error);
        fd_close(f->listener);
        assert_int_equal(unlink(f->path), 0);
        assert_int_equal(rmdir(f->folder), 0);
        free(f);
        return 0;
}

/* A child that reads one call, writes these bytes and stays, silent or gone from the socket. */
static void serve(Fixture *f, const char *bytes, size_t size, bool close_after) {
        char c = 1;
        int fd;

        f->child = fork();
        assert_true(f->child >= 0);
        if (f->child > 0)
                return;

        fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
        while (c != 0 && read(fd, &c, 1) == 1)
                continue;
        (void) fd_write_all(fd, bytes, size);
        if (close_after)
                fd_close(fd);
        for (;;)
                (void) pause();
}

#define serve_text(f, text) serve(f, text, sizeof(text), false)

static void on_progress(const JsonValue *parameters, void *userdata) {
        Fixture *f = userdata;

        f->n_progress++;
        f->progress_sum += json_get_integer(parameters, "n", 0);
}

static int run(Fixture *f, VarlinkProgress progress, usec_t timeout) {
        return varlink_call_blocking(f->path, METHOD, NULL, timeout, progress, f, &f->reply, &f->error);
}

static void test_the_reply_is_returned(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"parameters\":{\"n\":7}}");
        assert_int_equal(run(f, NULL, TIMEOUT), 0);
        assert_null(f->error);
        assert_int_equal(json_get_integer(f->reply, "n", 0), 7);
}

static void test_a_reply_without_parameters_is_an_empty_object(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"parameters\":null}");
        assert_int_equal(run(f, NULL, TIMEOUT), 0);
        assert_true(cJSON_IsObject(f->reply));
}

static void test_an_error_is_returned_with_its_parameters(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"error\":\"io.example.Test.Odd\",\"parameters\":{\"n\":1}}");
        assert_int_equal(run(f, NULL, TIMEOUT), 0);
        assert_string_equal(f->error, "io.example.Test.Odd");
        assert_int_equal(json_get_integer(f->reply, "n", 0), 1);
}

static void test_all_replies_but_the_last_are_progress(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"parameters\":{\"n\":1},\"continues\":true}\0{\"parameters\":{\"n\":2},\"continues\":true}\0"
                      "{\"parameters\":{\"n\":4}}");
        assert_int_equal(run(f, on_progress, TIMEOUT), 0);
        assert_int_equal(f->n_progress, 2);
        assert_int_equal(f->progress_sum, 3);
        assert_int_equal(json_get_integer(f->reply, "n", 0), 4);
}

static void test_a_reply_that_continues_unasked_is_a_violation(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"continues\":true}\0{}");
        assert_int_equal(run(f, NULL, TIMEOUT), -EBADMSG);
}

static void test_what_is_no_reply_is_a_violation(void **state) {
        Fixture *f = *state;

        serve_text(f, "[]");
        assert_int_equal(run(f, NULL, TIMEOUT), -EBADMSG);
        assert_null(f->reply);
        assert_null(f->error);
}

static void test_a_peer_that_closes_is_told(void **state) {
        Fixture *f = *state;

        serve(f, "{\"para", 6, true);
        assert_int_equal(run(f, NULL, TIMEOUT), -ECONNRESET);
}

static void test_a_peer_that_does_not_answer_is_given_up(void **state) {
        Fixture *f = *state;
        usec_t begin = time_now_monotonic();

        serve(f, NULL, 0, false);
        assert_int_equal(run(f, NULL, 50 * USEC_PER_MSEC), -ETIMEDOUT);
        assert_true(time_now_monotonic() - begin >= 50 * USEC_PER_MSEC);
}

static void test_a_backlog_that_stays_full_ends_in_the_timeout(void **state) {
        Fixture *f = *state;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fds[32], n = 0;

        strcpy(address.sun_path, f->path);
        do {
                assert_true(n < (int) ELEMENTS(fds));
                fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        } while (connect(fds[n++], (struct sockaddr *) &address, sizeof(address)) >= 0);

        assert_int_equal(run(f, NULL, 30 * USEC_PER_MSEC), -ETIMEDOUT);
        while (n > 0)
                fd_close(fds[--n]);
}

static void test_a_socket_that_is_missing_is_told(void **state) {
        Fixture *f = *state;

        assert_int_equal(varlink_call_blocking("/tmp/varlink-no-such-socket", METHOD, json_new_object(), TIMEOUT, NULL,
                                               NULL, &f->reply, &f->error),
                         -ENOENT);
}

/* ---------------------------------------------------------------- against our own server */

static void run_server(int listener) {
        static const VarlinkProduct product = { "Example", "Test", "1", "https://example.com/" };
        VarlinkServer *server;
        sd_event *event;

        if (sd_event_new(&event) >= 0 && varlink_server_new(&server, event, &product, NULL) >= 0 &&
            varlink_server_listen(server, listener) >= 0)
                (void) sd_event_loop(event);
        _exit(EXIT_FAILURE);
}

static void test_our_own_server_answers(void **state) {
        Fixture *f = *state;
        JsonValue *parameters = json_new_object();

        f->child = fork();
        assert_true(f->child >= 0);
        if (f->child == 0)
                run_server(f->listener);

        assert_int_equal(json_add_string(parameters, "interface", "org.varlink.service"), 0);
        assert_int_equal(varlink_call_blocking(f->path, "org.varlink.service.GetInterfaceDescription", parameters,
                                               TIMEOUT, NULL, NULL, &f->reply, &f->error),
                         0);
        assert_null(f->error);
        assert_non_null(strstr(json_get_string(f->reply, "description"), "interface org.varlink.service\n"));
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                test(test_the_reply_is_returned),
                test(test_a_reply_without_parameters_is_an_empty_object),
                test(test_an_error_is_returned_with_its_parameters),
                test(test_all_replies_but_the_last_are_progress),
                test(test_a_reply_that_continues_unasked_is_a_violation),
                test(test_what_is_no_reply_is_a_violation),
                test(test_a_peer_that_closes_is_told),
                test(test_a_peer_that_does_not_answer_is_given_up),
                test(test_a_backlog_that_stays_full_ends_in_the_timeout),
                test(test_a_socket_that_is_missing_is_told),
                test(test_our_own_server_answers),
        };

        return cmocka_run_group_tests_name("varlink-blocking", tests, NULL, NULL);
}
