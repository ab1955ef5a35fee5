/* Whole files. */
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"

typedef struct Folder {
        char path[64];
        int fd;
} Folder;

static int setup(void **state) {
        Folder *folder = calloc(1, sizeof(*folder));

        if (!folder)
                return -1;
        (void) snprintf(folder->path, sizeof(folder->path), "/tmp/atelier-test-file-XXXXXX");
        if (!mkdtemp(folder->path))
                return -1;
        folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = folder;
        return folder->fd < 0 ? -1 : 0;
}

static int teardown(void **state) {
        Folder *folder = *state;
        DIR *dir = fdopendir(folder->fd);

        for (struct dirent *entry; dir && (entry = readdir(dir));)
                if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
                        (void) unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
        if (dir)
                (void) closedir(dir);
        (void) rmdir(folder->path);
        free(folder);
        return 0;
}

static int folder_fd(void **state) {
        return ((Folder *) *state)->fd;
}

static size_t count_entries(void **state) {
        DIR *dir = opendir(((Folder *) *state)->path);
        size_t count = 0;

        assert_non_null(dir);
        while (readdir(dir))
                count++;
        (void) closedir(dir);
        return count - 2;  /* . and .. */
}

static void assert_content(void **state, const char *name, const char *expected) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        assert_int_equal(file_read(folder_fd(state), name, 1000, &data, &size), 0);
        assert_int_equal(size, strlen(expected));
        assert_string_equal(data, expected);
}

static void test_replace_and_read(void **state) {
        assert_int_equal(file_replace(folder_fd(state), "a", "one", 3, 0600), 0);
        assert_content(state, "a", "one");
        assert_int_equal(file_replace(folder_fd(state), "a", "", 0, 0600), 0);
        assert_content(state, "a", "");
        assert_int_equal(count_entries(state), 1);
}

static void test_replace_sets_the_mode(void **state) {
        struct stat st;

        assert_int_equal(file_replace(folder_fd(state), "a", "one", 3, 0640), 0);
        assert_int_equal(fstatat(folder_fd(state), "a", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_reader_of_the_old_file_keeps_it(void **state) {
        _cleanup_close_ int fd = -1;
        char data[4] = "";

        assert_int_equal(file_replace(folder_fd(state), "a", "old", 3, 0600), 0);
        fd = openat(folder_fd(state), "a", O_RDONLY | O_CLOEXEC);
        assert_int_equal(file_replace(folder_fd(state), "a", "new", 3, 0600), 0);
        assert_int_equal(fd_read_all(fd, data, 3), 3);
        assert_string_equal(data, "old");
}

static void test_failed_replace_leaves_nothing_behind(void **state) {
        assert_int_equal(mkdirat(folder_fd(state), "a", 0700), 0);
        assert_int_equal(file_replace(folder_fd(state), "a", "new", 3, 0600), -EISDIR);
        assert_int_equal(count_entries(state), 1);
}

/* A limit on the size of files stands for a full disk: the write comes up short, then fails. */
static void test_failed_write_leaves_the_old_content(void **state) {
        struct rlimit before, tight;

        assert_int_equal(file_replace(folder_fd(state), "a", "old", 3, 0600), 0);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        tight = before;
        tight.rlim_cur = 2;
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        assert_int_equal(file_replace(folder_fd(state), "a", "newer", 5, 0600), -EFBIG);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

        assert_content(state, "a", "old");
        assert_int_equal(count_entries(state), 1);
}

static void test_read_limit(void **state) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        assert_int_equal(file_replace(folder_fd(state), "a", "12345", 5, 0600), 0);
        assert_int_equal(file_read(folder_fd(state), "a", 5, &data, &size), 0);
        assert_int_equal(size, 5);
        assert_int_equal(file_read(folder_fd(state), "a", 4, &data, &size), -EFBIG);
}

static void test_read_keeps_nul_bytes(void **state) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        assert_int_equal(file_replace(folder_fd(state), "a", "1\0" "2", 3, 0600), 0);
        assert_int_equal(file_read(folder_fd(state), "a", 5, &data, &size), 0);
        assert_int_equal(size, 3);
        assert_memory_equal(data, "1\0" "2\0", 4);
}

static void test_read_of_what_is_no_file(void **state) {
        char *data = NULL;

        assert_int_equal(file_read(folder_fd(state), "missing", 5, &data, NULL), -ENOENT);
        assert_int_equal(file_read(folder_fd(state), ".", 5, &data, NULL), -EISDIR);
        assert_int_equal(file_read(AT_FDCWD, "/dev/null", 5, &data, NULL), -EBADF);
        assert_null(data);
}

static void test_read_of_a_fifo_does_not_block(void **state) {
        char *data = NULL;

        assert_int_equal(mkfifoat(folder_fd(state), "fifo", 0600), 0);
        assert_int_equal(file_read(folder_fd(state), "fifo", 5, &data, NULL), -EBADF);
}

static void test_sync_folder(void **state) {
        assert_int_equal(file_sync_folder(folder_fd(state)), 0);
        assert_int_equal(file_sync_folder(-1), -EBADF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_replace_and_read),
                TEST(test_replace_sets_the_mode),
                TEST(test_reader_of_the_old_file_keeps_it),
                TEST(test_failed_replace_leaves_nothing_behind),
                TEST(test_failed_write_leaves_the_old_content),
                TEST(test_read_limit),
                TEST(test_read_keeps_nul_bytes),
                TEST(test_read_of_what_is_no_file),
                TEST(test_read_of_a_fifo_does_not_block),
                TEST(test_sync_folder),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
