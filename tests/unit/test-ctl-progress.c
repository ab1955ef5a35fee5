/* Progress: a line on a terminal, a line now and then elsewhere, STATUS= for the service manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "progress-line.h"

#define COLUMNS 12
#define START (1000 * USEC_PER_SEC)

typedef struct Fixture {
        FILE *stream;
        char *text;
        size_t size;
        ProgressLine *line;
} Fixture;

static void begin(Fixture *f, bool terminal) {
        *f = (Fixture) {};
        f->stream = open_memstream(&f->text, &f->size);
        assert_int_equal(progress_line_new_on(&f->line, f->stream, terminal, COLUMNS), 0);
}

static void assert_written(Fixture *f, const char *expected) {
        assert_int_equal(fflush(f->stream), 0);
        assert_string_equal(f->text, expected);
}

static void end(Fixture *f) {
        f->line = progress_line_free(f->line);
        assert_int_equal(fclose(f->stream), 0);
        free(f->text);
}

static void test_a_terminal_has_one_line_that_is_written_over(void **state) {
        Fixture f;

        (void) state;
        begin(&f, true);
        progress_line_show_at(f.line, "longer", START);
        progress_line_show_at(f.line, "short", START + 1);
        assert_written(&f, "\rlonger\rshort ");
        progress_line_clear(f.line);
        assert_written(&f, "\rlonger\rshort \r     \r");
        end(&f);
}

static void test_a_line_is_cut_before_the_terminal_wraps_it(void **state) {
        Fixture f;

        (void) state;
        begin(&f, true);
        progress_line_show_at(f.line, "123456789012", START);
        assert_written(&f, "\r1234567890…");
        end(&f);
}

static void test_what_did_not_change_is_not_written_again(void **state) {
        Fixture f;

        (void) state;
        begin(&f, true);
        progress_line_show_at(f.line, "same", START);
        progress_line_show_at(f.line, "same", START + 1);
        assert_written(&f, "\rsame");
        end(&f);
}

static void test_elsewhere_there_is_a_line_every_ten_seconds(void **state) {
        Fixture f;

        (void) state;
        begin(&f, false);
        progress_line_show_at(f.line, "one, which is longer than a terminal", START);
        progress_line_show_at(f.line, "two", START + PROGRESS_PLAIN_USEC - 1);
        progress_line_show_at(f.line, "three", START + PROGRESS_PLAIN_USEC);
        progress_line_clear(f.line);
        assert_written(&f, "one, which is longer than a terminal\nthree\n");
        end(&f);
}

static void test_bytes_are_told_as_far_as_they_are_known(void **state) {
        Fixture f;

        (void) state;
        begin(&f, false);
        progress_line_show_bytes(f.line, "backup", 12300000, 27000000);
        assert_written(&f, "backup: 45 %, 12.3 MB of 27.0 MB\n");
        end(&f);

        begin(&f, false);
        progress_line_show_bytes(f.line, "backup", 12300000, 0);
        assert_written(&f, "backup: 12.3 MB\n");
        end(&f);

        begin(&f, false);
        progress_line_show_bytes(f.line, "backup", 0, 0);
        assert_written(&f, "backup\n");
        end(&f);
}

/* The name begins with a zero byte: no file is left. */
static int listen_for_status(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char name[64];
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        (void) snprintf(name, sizeof(name), "@test-ctl-progress-%d", getpid());
        (void) memcpy(address.sun_path + 1, name + 1, strlen(name + 1));
        assert_int_equal(bind(fd, (struct sockaddr *) &address,
                              (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
        assert_int_equal(setenv("NOTIFY_SOCKET", name, true), 0);
        return fd;
}

static void test_the_service_manager_is_told_each_time(void **state) {
        _cleanup_close_ int fd = listen_for_status();
        ProgressLine *line = NULL;
        char text[64] = {};

        (void) state;
        assert_int_equal(progress_line_new_on(&line, NULL, false, 0), 0);
        progress_line_show_at(line, "one", START);
        progress_line_show_at(line, "two", START + 1);
        assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), strlen("STATUS=one"));
        assert_string_equal(text, "STATUS=one");
        assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), strlen("STATUS=two"));
        assert_string_equal(text, "STATUS=two");
        assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
        line = progress_line_free(line);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_terminal_has_one_line_that_is_written_over),
                cmocka_unit_test(test_a_line_is_cut_before_the_terminal_wraps_it),
                cmocka_unit_test(test_what_did_not_change_is_not_written_again),
                cmocka_unit_test(test_elsewhere_there_is_a_line_every_ten_seconds),
                cmocka_unit_test(test_bytes_are_told_as_far_as_they_are_known),
                cmocka_unit_test(test_the_service_manager_is_told_each_time),
        };

        (void) setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
