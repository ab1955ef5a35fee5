/* One state takes the place of another, whoever is killed and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "conf-folder.h"
#include "state/state-folder.h"

#define CONTENT_BYTES_MAX 16
#define STOPS_MAX 500

typedef struct Fixture {
        ConfFolder *folder;
        int fd;
        StateFolder *opened;  /* for a child that is cut off */
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));
        void *folder = NULL;

        assert_int_equal(folder_setup(&folder), 0);
        fixture->folder = folder;
        fixture->fd = open(fixture->folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fixture->fd >= 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        void *folder = fixture->folder;

        (void) close(fixture->fd);
        (void) folder_teardown(&folder);
        free(fixture);
        return 0;
}

/* A state is told by what is in its file; deep enough to be a tree. */
static void write_state(Fixture *fixture, const char *name, const char *content) {
        _cleanup_free_ char *images = text_format("%s/images", name), *folder = text_format("%s/images/ab", name);
        _cleanup_free_ char *file = text_format("%s/images/ab/image", name);
        _cleanup_close_ int fd = -1;

        (void) mkdirat(fixture->fd, name, 0700);
        (void) mkdirat(fixture->fd, images, 0700);
        (void) mkdirat(fixture->fd, folder, 0700);
        fd = openat(fixture->fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(fd_write_all(fd, content, strlen(content)), 0);
}

/* What the state of that name is; "" when there is none. Lives until the next call. */
static const char *read_state(Fixture *fixture, const char *name) {
        _cleanup_free_ char *file = text_format("%s/images/ab/image", name), *data = NULL;
        static char content[CONTENT_BYTES_MAX];

        if (file_read(fixture->fd, file, sizeof(content) - 1, &data, NULL) < 0)
                return "";
        (void) stpncpy(content, data, sizeof(content) - 1);
        return content;
}

static bool exists(Fixture *fixture, const char *name) {
        return faccessat(fixture->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The name of the only former state; NULL: none. Lives until the next call. */
static const char *find_former(Fixture *fixture) {
        static char name[STATE_FORMER_NAME_MAX];
        DIR *folder = fdopendir(openat(fixture->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct dirent *entry;
        unsigned found = 0;

        assert_non_null(folder);
        while ((entry = readdir(folder)))
                if (text_after(entry->d_name, "former-")) {
                        assert_true(strlen(entry->d_name) < sizeof(name));
                        (void) strcpy(name, entry->d_name);
                        found++;
                }
        (void) closedir(folder);
        assert_true(found <= 1);
        return found == 1 ? name : NULL;
}

static StateFolder *open_folder(Fixture *fixture) {
        StateFolder *folder;

        assert_int_equal(state_folder_open(&folder, fixture->folder->path), 0);
        return folder;
}

static void test_first_start_makes_a_state(void **state) {
        _cleanup_(state_folder_freep) StateFolder *folder = open_folder(*state);
        _cleanup_close_ int fd = state_folder_open_current(folder);

        assert_true(fd >= 0);
        assert_true(exists(*state, "current"));
        assert_false(exists(*state, "next"));
}

static void test_missing_folder_is_an_error(void **state _unused_) {
        StateFolder *folder;

        assert_int_equal(state_folder_open(&folder, "/nowhere/at/all"), -ENOENT);
}

static void test_next_begins_empty(void **state) {
        _cleanup_(state_folder_freep) StateFolder *folder = open_folder(*state);
        _cleanup_close_ int fd = -1;

        write_state(*state, "next", "left");
        assert_int_equal(state_folder_make_next(folder, &fd), 0);
        assert_string_equal(read_state(*state, "next"), "");
        assert_int_equal(faccessat(fd, "images", F_OK, 0), -1);
}

static void test_exchange_and_former(void **state) {
        _cleanup_(state_folder_freep) StateFolder *folder = open_folder(*state);
        char former[STATE_FORMER_NAME_MAX];

        write_state(*state, "current", "old");
        write_state(*state, "next", "new");
        assert_int_equal(state_folder_exchange(folder), 0);
        assert_string_equal(read_state(*state, "current"), "new");
        assert_string_equal(read_state(*state, "next"), "old");
        assert_int_equal(state_folder_keep_former(folder, 1764000000 * USEC_PER_SEC, former), 0);
        assert_string_equal(former, "former-20251124T160000Z");
        assert_string_equal(read_state(*state, former), "old");
        assert_false(exists(*state, "next"));
}

static void test_former_states_of_one_second_have_names_of_their_own(void **state) {
        _cleanup_(state_folder_freep) StateFolder *folder = open_folder(*state);
        char first[STATE_FORMER_NAME_MAX], second[STATE_FORMER_NAME_MAX];

        write_state(*state, "next", "1");
        assert_int_equal(state_folder_keep_former(folder, USEC_PER_SEC, first), 0);
        write_state(*state, "next", "2");
        assert_int_equal(state_folder_keep_former(folder, USEC_PER_SEC, second), 0);
        assert_string_equal(read_state(*state, first), "1");
        assert_string_equal(read_state(*state, second), "2");
}

/* Its name has failed, say: the next adoption finds it and must not take it for leftovers. */
static void test_a_state_that_was_in_use_is_never_leftovers(void **state) {
        _cleanup_(state_folder_freep) StateFolder *folder = open_folder(*state);
        _cleanup_close_ int fd = -1;

        write_state(*state, "current", "old");
        write_state(*state, "next", "new");
        assert_int_equal(state_folder_exchange(folder), 0);
        assert_int_equal(state_folder_make_next(folder, &fd), 0);
        assert_non_null(find_former(*state));
        assert_string_equal(read_state(*state, find_former(*state)), "old");
}

static void test_exchange_can_be_taken_back(void **state) {
        StateFolder *folder = open_folder(*state);

        write_state(*state, "current", "old");
        write_state(*state, "next", "new");
        assert_int_equal(state_folder_exchange(folder), 0);
        assert_int_equal(state_folder_exchange_back(folder), 0);
        (void) state_folder_free(folder);

        folder = open_folder(*state);
        assert_string_equal(read_state(*state, "current"), "old");
        assert_false(exists(*state, "next"));
        assert_null(find_former(*state));
        (void) state_folder_free(folder);
}

static void note_name(const char *name, void *userdata) {
        (void) stpncpy(userdata, name, STATE_FORMER_NAME_MAX - 1);
}

static void test_former_states_go_when_told(void **state) {
        _cleanup_(state_folder_freep) StateFolder *folder = open_folder(*state);
        char removed[STATE_FORMER_NAME_MAX] = "";

        write_state(*state, "former-20260101T000000Z", "old");
        write_state(*state, "current", "now");
        assert_int_equal(state_folder_discard_former(folder, note_name, removed), 0);
        assert_string_equal(removed, "former-20260101T000000Z");
        assert_false(exists(*state, removed));
        assert_string_equal(read_state(*state, "current"), "now");
}

static void test_links_are_removed_and_not_followed(void **state) {
        _cleanup_(state_folder_freep) StateFolder *folder = open_folder(*state);
        Fixture *fixture = *state;

        write_state(fixture, "elsewhere", "precious");
        write_state(fixture, "next", "left");
        assert_int_equal(symlinkat("../elsewhere", fixture->fd, "next/link"), 0);
        assert_int_equal(state_folder_remove_next(folder), 0);
        assert_false(exists(fixture, "next"));
        assert_string_equal(read_state(fixture, "elsewhere"), "precious");
}

/* ------------------------------------------------------------------ a power cut between any two system calls */

/* What a child does while it is traced. */
typedef void (*Act)(Fixture *fixture);

static void act_replace(Fixture *fixture) {
        char former[STATE_FORMER_NAME_MAX];

        _exit(state_folder_exchange(fixture->opened) < 0 ||
              state_folder_keep_former(fixture->opened, USEC_PER_SEC, former) < 0);
}

static void act_replace_and_take_back(Fixture *fixture) {
        _exit(state_folder_exchange(fixture->opened) < 0 || state_folder_exchange_back(fixture->opened) < 0);
}

static void act_start(Fixture *fixture) {
        StateFolder *folder = NULL;

        _exit(state_folder_open(&folder, fixture->folder->path) < 0);
}

/* Lets the child live for `stops` entries to and exits from system calls. True when it came to its end. */
static bool run_for(Fixture *fixture, Act act, unsigned stops) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
                (void) ptrace(PTRACE_TRACEME, 0, NULL, NULL);
                (void) raise(SIGSTOP);
                act(fixture);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status));
        (void) ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *) PTRACE_O_EXITKILL);
        for (unsigned i = 0; i < stops; i++) {
                assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (WIFEXITED(status)) {
                        assert_int_equal(WEXITSTATUS(status), 0);
                        return true;
                }
                assert_true(WIFSTOPPED(status));
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return false;
}

static void clear(Fixture *fixture) {
        _cleanup_(state_folder_freep) StateFolder *folder = open_folder(fixture);
        char removed[STATE_FORMER_NAME_MAX];

        assert_int_equal(state_folder_discard_former(folder, note_name, removed), 0);
        assert_int_equal(state_folder_remove_next(folder), 0);
}

/* Runs `act` cut off after one stop, two stops, … until it comes to its end; `check` looks at what the next start finds. */
static void cut_everywhere(Fixture *fixture, Act act, void (*prepare)(Fixture *), void (*check)(Fixture *, bool over)) {
        unsigned stops = 0;
        bool over;

        do {
                prepare(fixture);
                over = run_for(fixture, act, ++stops);
                fixture->opened = state_folder_free(fixture->opened);
                (void) state_folder_free(open_folder(fixture));
                check(fixture, over);
                clear(fixture);
        } while (!over && stops < STOPS_MAX);
        assert_true(over);
        assert_true(stops > 20);
}

static void prepare_replacement(Fixture *fixture) {
        write_state(fixture, "current", "old");
        fixture->opened = open_folder(fixture);
        write_state(fixture, "next", "new");
}

/* The old state in use and nothing else, or the new one and the old one kept. */
static void check_old_or_new(Fixture *fixture, bool over) {
        const char *former = find_former(fixture);

        assert_false(exists(fixture, "next"));
        assert_false(exists(fixture, "current/replaced"));
        if (text_equal(read_state(fixture, "current"), "old")) {
                assert_false(over);
                assert_null(former);
                return;
        }
        assert_string_equal(read_state(fixture, "current"), "new");
        assert_non_null(former);
        assert_string_equal(read_state(fixture, former), "old");
}

static void test_a_cut_replacement_leaves_the_old_or_the_new_state(void **state) {
        cut_everywhere(*state, act_replace, prepare_replacement, check_old_or_new);
}

/* Whichever is in use, the old one is never lost. */
static void check_old_is_there(Fixture *fixture, bool over) {
        const char *former = find_former(fixture);

        assert_false(exists(fixture, "next"));
        if (text_equal(read_state(fixture, "current"), "old"))
                return;
        assert_false(over);
        assert_string_equal(read_state(fixture, "current"), "new");
        assert_non_null(former);
        assert_string_equal(read_state(fixture, former), "old");
}

static void test_a_cut_put_back_never_loses_the_old_state(void **state) {
        cut_everywhere(*state, act_replace_and_take_back, prepare_replacement, check_old_is_there);
}

/* As a cut after the exchange leaves it: the start is cut as well. */
static void prepare_exchanged(Fixture *fixture) {
        StateFolder *folder;

        write_state(fixture, "current", "old");
        folder = open_folder(fixture);
        write_state(fixture, "next", "new");
        assert_int_equal(state_folder_exchange(folder), 0);
        (void) state_folder_free(folder);
}

static void check_new(Fixture *fixture, _unused_ bool over) {
        const char *former = find_former(fixture);

        assert_string_equal(read_state(fixture, "current"), "new");
        assert_non_null(former);
        assert_string_equal(read_state(fixture, former), "old");
}

static void test_a_cut_start_is_made_up_for_by_the_next(void **state) {
        cut_everywhere(*state, act_start, prepare_exchanged, check_new);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_first_start_makes_a_state, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_missing_folder_is_an_error, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_next_begins_empty, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_exchange_and_former, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_former_states_of_one_second_have_names_of_their_own, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_state_that_was_in_use_is_never_leftovers, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_exchange_can_be_taken_back, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_former_states_go_when_told, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_links_are_removed_and_not_followed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_cut_replacement_leaves_the_old_or_the_new_state, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_cut_put_back_never_loses_the_old_state, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_cut_start_is_made_up_for_by_the_next, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("state-folder", tests, NULL, NULL);
}
