/* The dialog, against a child that plays the server: raw bytes, or a server of our own. */
#include "varlink-server-fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/text.h"
#include "io/varlink-dialog.h"

#define METHOD "io.example.Test.Method"
#define TIMEOUT (5 * USEC_PER_SEC)

typedef struct Fixture {
        char folder[32], path[64];
        int listener;
        pid_t child;

        VarlinkDialog *dialog;
        VarlinkAnswer answer;
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
        varlink_answer_done(&f->answer);
        f->dialog = varlink_dialog_free(f->dialog);
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

static void open_dialog(Fixture *f) {
        assert_int_equal(varlink_dialog_open(&f->dialog, f->path, TIMEOUT), 0);
}

static int send_call(Fixture *f, bool more) {
        if (!f->dialog)
                open_dialog(f);
        return varlink_dialog_send(f->dialog, METHOD, NULL, more, TIMEOUT);
}

static int receive(Fixture *f) {
        varlink_answer_done(&f->answer);
        return varlink_dialog_receive(f->dialog, TIMEOUT, &f->answer);
}

static int call(Fixture *f) {
        if (!f->dialog)
                open_dialog(f);
        varlink_answer_done(&f->answer);
        return varlink_dialog_call(f->dialog, METHOD, NULL, TIMEOUT, &f->answer);
}

/* ---------------------------------------------------------------- replies */

static void test_the_reply_is_returned(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"parameters\":{\"n\":7}}");
        assert_int_equal(call(f), 0);
        assert_null(f->answer.error);
        assert_false(f->answer.continues);
        assert_int_equal(json_get_integer(f->answer.parameters, "n", 0), 7);
}

static void test_a_reply_without_parameters_is_an_empty_object(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"parameters\":null}");
        assert_int_equal(call(f), 0);
        assert_true(cJSON_IsObject(f->answer.parameters));
}

static void test_an_error_is_returned_with_its_parameters(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"error\":\"io.example.Test.Odd\",\"parameters\":{\"n\":1}}");
        assert_int_equal(call(f), 0);
        assert_string_equal(f->answer.error, "io.example.Test.Odd");
        assert_int_equal(json_get_integer(f->answer.parameters, "n", 0), 1);
}

static void test_each_reply_of_a_call_with_more_is_received(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"parameters\":{\"n\":1},\"continues\":true}\0{\"parameters\":{\"n\":2},\"continues\":true}\0"
                      "{\"parameters\":{\"n\":4}}");
        assert_int_equal(send_call(f, true), 0);
        for (int64_t n = 1; n <= 4; n *= 2) {
                assert_int_equal(receive(f), 0);
                assert_int_equal(json_get_integer(f->answer.parameters, "n", 0), n);
                assert_int_equal(f->answer.continues, n < 4);
        }
        assert_int_equal(receive(f), -EBADMSG);
}

static void test_no_call_is_sent_while_replies_are_outstanding(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"continues\":true}\0{}");
        assert_int_equal(send_call(f, true), 0);
        assert_int_equal(send_call(f, true), -EBUSY);
        assert_int_equal(receive(f), 0);
        assert_int_equal(send_call(f, true), -EBUSY);
        assert_int_equal(receive(f), 0);
        assert_int_equal(send_call(f, true), 0);
}

/* ---------------------------------------------------------------- what goes wrong */

static void test_a_reply_that_continues_unasked_is_a_violation(void **state) {
        Fixture *f = *state;

        serve_text(f, "{\"continues\":true}\0{}");
        assert_int_equal(call(f), -EBADMSG);
}

static void test_a_reply_too_many_is_a_violation(void **state) {
        Fixture *f = *state;

        serve_text(f, "{}\0{}");
        assert_int_equal(call(f), 0);
        assert_int_equal(send_call(f, false), -EBADMSG);
}

static void test_what_is_no_reply_is_a_violation_that_stays(void **state) {
        Fixture *f = *state;

        serve_text(f, "[]\0{}");
        assert_int_equal(call(f), -EBADMSG);
        assert_int_equal(receive(f), -EBADMSG);
        assert_int_equal(send_call(f, false), -EBADMSG);
}

static void test_a_peer_that_closes_is_told(void **state) {
        Fixture *f = *state;

        serve(f, "{\"para", 6, true);
        assert_int_equal(call(f), -ECONNRESET);
        assert_int_equal(send_call(f, false), -ECONNRESET);
}

static void test_a_peer_that_does_not_answer_is_given_up(void **state) {
        Fixture *f = *state;
        usec_t begin = time_now_monotonic();

        serve(f, NULL, 0, false);
        open_dialog(f);
        assert_int_equal(varlink_dialog_call(f->dialog, METHOD, NULL, 50 * USEC_PER_MSEC, &f->answer), -ETIMEDOUT);
        assert_true(time_now_monotonic() - begin >= 50 * USEC_PER_MSEC);
}

static void test_after_a_timeout_the_reply_may_still_be_waited_for(void **state) {
        Fixture *f = *state;

        open_dialog(f);
        assert_int_equal(send_call(f, false), 0);
        assert_int_equal(varlink_dialog_receive(f->dialog, 10 * USEC_PER_MSEC, &f->answer), -ETIMEDOUT);
        serve_text(f, "{\"parameters\":{\"n\":7}}");
        assert_int_equal(receive(f), 0);
        assert_int_equal(json_get_integer(f->answer.parameters, "n", 0), 7);
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

        assert_int_equal(varlink_dialog_open(&f->dialog, f->path, 30 * USEC_PER_MSEC), -ETIMEDOUT);
        assert_null(f->dialog);
        while (n > 0)
                fd_close(fds[--n]);
}

static void test_a_socket_that_is_missing_is_told(void **state) {
        Fixture *f = *state;

        assert_int_equal(varlink_dialog_open(&f->dialog, "/tmp/varlink-no-such-socket", TIMEOUT), -ENOENT);
}

/* ---------------------------------------------------------------- interrupting */

static void *receive_in_a_thread(void *userdata) {
        Fixture *f = userdata;

        return (void *) (intptr_t) varlink_dialog_receive(f->dialog, USEC_INFINITY, &f->answer);
}

/* Another thread of this process than the first sleeps. */
static bool other_thread_sleeps(void) {
        struct dirent *entry;
        bool sleeps = false;
        DIR *tasks = opendir("/proc/self/task");

        assert_non_null(tasks);
        while ((entry = readdir(tasks))) {
                _cleanup_free_ char *path = text_format("%s/stat", entry->d_name);
                _cleanup_close_ int fd = openat(dirfd(tasks), path, O_RDONLY | O_CLOEXEC);
                char text[256] = {};

                if (atoi(entry->d_name) != getpid() && fd >= 0 && fd_read_all(fd, text, sizeof(text) - 1) > 0)
                        sleeps |= strstr(text, ") S ") != NULL;
        }
        (void) closedir(tasks);
        return sleeps;
}

static void test_who_waits_is_interrupted_from_another_thread(void **state) {
        usec_t deadline = time_now_monotonic() + TEST_DEADLINE_USEC;
        Fixture *f = *state;
        pthread_t thread;
        void *result;

        serve(f, NULL, 0, false);
        assert_int_equal(send_call(f, true), 0);
        assert_int_equal(pthread_create(&thread, NULL, receive_in_a_thread, f), 0);
        while (!other_thread_sleeps())
                assert_true(time_now_monotonic() < deadline);
        varlink_dialog_interrupt(f->dialog);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_int_equal((intptr_t) result, -ECANCELED);
}

static void test_an_interrupt_lasts(void **state) {
        Fixture *f = *state;

        serve_text(f, "{}");
        open_dialog(f);
        varlink_dialog_interrupt(f->dialog);
        assert_int_equal(send_call(f, false), -ECANCELED);
        assert_int_equal(send_call(f, false), -ECANCELED);
        assert_int_equal(receive(f), -ECANCELED);
}

/* ---------------------------------------------------------------- against our own server */

static void run_server(int listener) {
        static const VarlinkProduct product = { "Example", "Test", "1", "https://example.com/" };
        static ServerFixture fixture;

        if (sd_event_new(&fixture.event) >= 0 &&
            varlink_server_new(&fixture.server, fixture.event, &product, &fixture) >= 0 &&
            varlink_server_add_interface(fixture.server, test_interface, test_methods, &fixture) >= 0) {
                varlink_server_accept_fds(fixture.server, NULL, NULL);
                if (varlink_server_listen(fixture.server, listener) >= 0)
                        (void) sd_event_loop(fixture.event);
        }
        _exit(EXIT_FAILURE);
}

static void serve_for_real(Fixture *f) {
        f->child = fork();
        assert_true(f->child >= 0);
        if (f->child == 0)
                run_server(f->listener);
        open_dialog(f);
}

static int call_method(Fixture *f, const char *method, JsonValue *parameters) {
        varlink_answer_done(&f->answer);
        return varlink_dialog_call(f->dialog, method, parameters, TIMEOUT, &f->answer);
}

static JsonValue *with_integer(const char *name, int64_t number) {
        JsonValue *parameters = json_new_object();

        assert_int_equal(json_add_integer(parameters, name, number), 0);
        return parameters;
}

static void test_calls_follow_one_another_on_one_connection(void **state) {
        Fixture *f = *state;

        serve_for_real(f);
        for (unsigned i = 0; i < 3; i++) {
                JsonValue *parameters = json_new_object();

                assert_int_equal(json_add_string(parameters, "text", "hello"), 0);
                assert_int_equal(call_method(f, "io.example.Test.Echo", parameters), 0);
                assert_string_equal(json_get_string(f->answer.parameters, "text"), "hello");
        }
}

static void test_a_descriptor_travels_with_the_call(void **state) {
        Fixture *f = *state;
        int fd = file_with_text("first"), other = file_with_text("second");

        serve_for_real(f);
        assert_int_equal(varlink_dialog_push_fd(f->dialog, fd), 0);
        assert_int_equal(varlink_dialog_push_fd(f->dialog, other), 0);
        fd_close(fd);
        fd_close(other);
        assert_int_equal(call_method(f, "io.example.Test.TakeFd", with_integer("index", 1)), 0);
        assert_string_equal(json_get_string(f->answer.parameters, "text"), "second");

        /* It went with that call alone. */
        assert_int_equal(call_method(f, "io.example.Test.TakeFd", with_integer("index", 0)), 0);
        assert_string_equal(f->answer.error, VARLINK_ERROR_SYSTEM);
}

static void test_no_more_descriptors_than_a_message_has(void **state) {
        Fixture *f = *state;

        open_dialog(f);
        for (unsigned i = 0; i < VARLINK_FDS_MAX; i++)
                assert_int_equal(varlink_dialog_push_fd(f->dialog, STDIN_FILENO), 0);
        assert_int_equal(varlink_dialog_push_fd(f->dialog, STDIN_FILENO), -E2BIG);
}

static void test_a_descriptor_comes_with_the_reply_and_is_closed_unless_taken(void **state) {
        Fixture *f = *state;
        JsonValue *parameters = json_new_object();
        size_t before;

        serve_for_real(f);
        before = count_open_fds();
        assert_int_equal(json_add_string(parameters, "text", "given"), 0);
        assert_int_equal(call_method(f, "io.example.Test.GiveFd", parameters), 0);
        assert_int_equal(f->answer.n_fds, 1);
        assert_int_equal(count_open_fds(), before + 1);
        assert_file_text(f->answer.fds[0], "given");
        varlink_answer_done(&f->answer);
        assert_int_equal(count_open_fds(), before);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                test(test_the_reply_is_returned),
                test(test_a_reply_without_parameters_is_an_empty_object),
                test(test_an_error_is_returned_with_its_parameters),
                test(test_each_reply_of_a_call_with_more_is_received),
                test(test_no_call_is_sent_while_replies_are_outstanding),
                test(test_a_reply_that_continues_unasked_is_a_violation),
                test(test_a_reply_too_many_is_a_violation),
                test(test_what_is_no_reply_is_a_violation_that_stays),
                test(test_a_peer_that_closes_is_told),
                test(test_a_peer_that_does_not_answer_is_given_up),
                test(test_after_a_timeout_the_reply_may_still_be_waited_for),
                test(test_a_backlog_that_stays_full_ends_in_the_timeout),
                test(test_a_socket_that_is_missing_is_told),
                test(test_who_waits_is_interrupted_from_another_thread),
                test(test_an_interrupt_lasts),
                test(test_calls_follow_one_another_on_one_connection),
                test(test_a_descriptor_travels_with_the_call),
                test(test_no_more_descriptors_than_a_message_has),
                test(test_a_descriptor_comes_with_the_reply_and_is_closed_unless_taken),
        };

        return cmocka_run_group_tests_name("varlink-dialog", tests, NULL, NULL);
}
