/* Archives as they are written: for tar, zstd and sha256sum to read, durable and whole or not there at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "archive-fixture.h"

extern char **environ;

/* Runs a command in the folder, $1 being the archive; its exit status. What it prints goes to `output`, a file
 * there. */
static int run(void **state, const char *output, const char *command, const ArchiveName *name) {
        char *const argv[] = {
                (char *) "sh", (char *) "-c", (char *) command, (char *) "sh", (char *) name->text, NULL,
        };
        posix_spawn_file_actions_t actions;
        pid_t pid;
        int status;

        assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
        assert_int_equal(posix_spawn_file_actions_addchdir_np(&actions, ((ArchiveFolder *) *state)->path), 0);
        assert_int_equal(posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output,
                                                          O_WRONLY | O_CREAT | O_TRUNC, 0600), 0);
        assert_int_equal(posix_spawnp(&pid, "sh", &actions, NULL, argv, environ), 0);
        assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_tar_and_sha256sum_read_it(void **state) {
        _cleanup_free_ char *hash = NULL, *sums = NULL;
        ArchiveName name;

        write_archive(state, 300, 2000, &name);
        assert_int_equal(run(state, "hash", "sha256sum \"$1\"", &name), 0);
        assert_int_equal(run(state, "zstd", "zstd -tq \"$1\"", &name), 0);
        assert_int_equal(run(state, "tar", "tar --zstd -xf \"$1\"", &name), 0);
        assert_int_equal(run(state, "sums", "sha256sum --strict -c SHA256SUMS", &name), 0);
        assert_int_equal(file_read(folder_fd(state), "hash", 1000, &hash, NULL), 0);
        assert_memory_equal(hash, name.sha256, SHA256_TEXT_MAX - 1);
        assert_int_equal(file_read(folder_fd(state), "sums", 1000000, &sums, NULL), 0);
        assert_non_null(strstr(sums, "atelier.db: OK"));
        assert_non_null(strstr(sums, "config/atelier.conf: OK"));
}

static void test_headers_tell_nothing_of_this_machine(void **state) {
        _cleanup_free_ char *list = NULL;
        ArchiveName name;

        write_archive(state, 0, 0, &name);
        assert_int_equal(run(state, "list", "tar --zstd --utc --full-time -tvf \"$1\"", &name), 0);
        assert_int_equal(file_read(folder_fd(state), "list", 1000, &list, NULL), 0);
        assert_string_equal(list, "-rw------- root/root      5000 2024-11-23 02:00:00 atelier.db\n"
                                  "-rw------- root/root       100 2024-11-23 02:00:00 config/atelier.conf\n"
                                  "-rw------- root/root       163 2024-11-23 02:00:00 SHA256SUMS\n");
}

static void test_name_and_mode(void **state) {
        mode_t mask = umask(0777);
        ArchiveName name, parsed;
        struct stat st;

        write_archive(state, 1, 10, &name);
        (void) umask(mask);
        assert_int_equal(archive_name_parse(&parsed, name.text), 0);
        assert_int_equal(name.created_at, FIXTURE_TIME);
        assert_int_equal(fstatat(folder_fd(state), name.text, &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(folder_entries(state), 1);
}

static void test_equal_content_makes_equal_archives(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        ArchiveName first, again;

        write_archive(state, 0, 0, &first);
        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME + 1), 0);
        write_member(writer, ARCHIVE_DATABASE, 5000, 1);
        write_member(writer, "config/atelier.conf", 100, 3);
        assert_int_equal(archive_writer_finish(writer, &again), -EEXIST);  /* the name says so */
        assert_string_equal(again.text, first.text);
        writer = archive_writer_free(writer);
        assert_int_equal(folder_entries(state), 1);
        assert_reads(state, &first, 2);
}

static void test_totals(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        ArchiveTotals totals;
        ArchiveName name;
        struct stat st;

        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        write_member(writer, ARCHIVE_DATABASE, 700000, 1);
        write_member(writer, "config/a.conf", 0, 1);
        archive_writer_totals(writer, &totals);
        assert_int_equal(totals.members, 2);
        assert_int_equal(totals.bytes, 700000);
        assert_int_equal(archive_writer_finish(writer, &name), 0);
        archive_writer_totals(writer, &totals);
        assert_int_equal(totals.members, 2);
        assert_int_equal(totals.bytes, 700000);
        assert_int_equal(fstatat(folder_fd(state), name.text, &st, 0), 0);
        assert_int_equal(totals.file_bytes, st.st_size);
}

static void test_file_is_read_from_its_start(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        _cleanup_close_ int fd = noise_file(1000, 1);
        ArchiveName name;

        assert_int_equal(lseek(fd, 900, SEEK_SET), 900);
        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        assert_int_equal(archive_writer_add(writer, ARCHIVE_DATABASE, fd, 990), 0);  /* it has grown since */
        assert_int_equal(archive_writer_finish(writer, &name), 0);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 900);
        assert_reads(state, &name, 1);
}

static void test_what_the_reader_would_refuse(void **state) {
        static const char *const wrong[] = {
                "", "/etc/passwd", "../x", "atelier.db", "images/x", "SHA256SUMS", "config/a+b.conf",
        };
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        _cleanup_close_ int fd = noise_file(10, 1);
        char image[ARCHIVE_MEMBER_NAME_MAX];
        ArchiveName name;

        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        assert_int_equal(archive_writer_add(writer, image_name(image, 1), fd, 10), -EINVAL);  /* no database yet */
        assert_int_equal(archive_writer_finish(writer, &name), -EINVAL);
        write_member(writer, ARCHIVE_DATABASE, 10, 1);
        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                assert_int_equal(archive_writer_add(writer, wrong[i], fd, 10), -EINVAL);

        write_member(writer, image_name(image, 2), 10, 1);
        assert_int_equal(archive_writer_add(writer, image_name(image, 2), fd, 10), -EINVAL);
        assert_int_equal(archive_writer_add(writer, image_name(image, 1), fd, 10), -EINVAL);
        write_member(writer, "config/a.conf", 10, 1);
        assert_int_equal(archive_writer_add(writer, image_name(image, 3), fd, 10), -EINVAL);

        /* None of that does harm. */
        assert_int_equal(archive_writer_finish(writer, &name), 0);
        assert_reads(state, &name, 3);
}

static void test_limits_of_size(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        _cleanup_close_ int fd = memory_file("", 0);
        char image[ARCHIVE_MEMBER_NAME_MAX];
        ArchiveName name;

        assert_int_equal(ftruncate(fd, ARCHIVE_IMAGE_BYTES_MAX + 1), 0);
        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        write_member(writer, ARCHIVE_DATABASE, 0, 1);
        assert_int_equal(archive_writer_add(writer, image_name(image, 1), fd, ARCHIVE_IMAGE_BYTES_MAX + 1), -EFBIG);
        assert_int_equal(archive_writer_add(writer, image_name(image, 1), fd, ARCHIVE_IMAGE_BYTES_MAX), 0);
        assert_int_equal(archive_writer_add(writer, "config/a.conf", fd, ARCHIVE_CONFIG_BYTES_MAX + 1), -EFBIG);
        assert_int_equal(archive_writer_add(writer, "config/a.conf", fd, ARCHIVE_CONFIG_BYTES_MAX), 0);
        assert_int_equal(archive_writer_finish(writer, &name), 0);
        assert_reads(state, &name, 3);
}

/* A sparse file as the database: its zeros pack ten thousand times. */
static int write_zeros(void **state, uint64_t size, ArchiveName *ret_name) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        _cleanup_close_ int fd = memfd_create("zeros", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t) size), 0);
        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        assert_int_equal(archive_writer_add(writer, ARCHIVE_DATABASE, fd, size), 0);
        return archive_writer_finish(writer, ret_name);
}

static void test_what_unpacks_to_too_much(void **state) {
        ArchiveName name;

        assert_int_equal(write_zeros(state, ARCHIVE_RATIO_FREE_BYTES + (64 << 20), &name), -ENOTSUP);
        assert_int_equal(folder_entries(state), 0);
        assert_int_equal(write_zeros(state, ARCHIVE_RATIO_FREE_BYTES, &name), 0);
        assert_reads(state, &name, 1);
}

static void test_short_file_leaves_nothing(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        _cleanup_close_ int fd = noise_file(300000, 1);
        ArchiveName name;

        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        assert_int_equal(archive_writer_add(writer, ARCHIVE_DATABASE, fd, 300001), -EPIPE);
        assert_int_equal(archive_writer_add(writer, ARCHIVE_DATABASE, fd, 300000), -EPIPE);  /* for ever */
        assert_int_equal(archive_writer_finish(writer, &name), -EPIPE);
        writer = archive_writer_free(writer);
        assert_int_equal(folder_entries(state), 0);
}

static void test_free_without_finish_leaves_nothing(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        char image[ARCHIVE_MEMBER_NAME_MAX];

        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        assert_int_equal(folder_entries(state), 1);
        write_member(writer, ARCHIVE_DATABASE, 1000, 1);
        for (unsigned i = 0; i < 10; i++)
                write_member(writer, image_name(image, i), 1000000, i);
        writer = archive_writer_free(writer);
        assert_int_equal(folder_entries(state), 0);
}

static void test_finished_writer_takes_no_more(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        _cleanup_close_ int fd = noise_file(10, 1);
        ArchiveName name;

        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        write_member(writer, ARCHIVE_DATABASE, 10, 1);
        assert_int_equal(archive_writer_finish(writer, &name), 0);
        assert_int_equal(archive_writer_add(writer, "config/a.conf", fd, 10), -ESHUTDOWN);
        assert_int_equal(archive_writer_finish(writer, &name), -ESHUTDOWN);
        writer = archive_writer_free(writer);
        assert_int_equal(folder_entries(state), 1);
}

/* Adds a megabyte at a time until it fails, as it must before `megabytes`; then finishing fails alike. */
static int add_until_error(ArchiveWriter *writer, unsigned megabytes) {
        char image[ARCHIVE_MEMBER_NAME_MAX];
        ArchiveName name;
        int r = 0;

        write_member(writer, ARCHIVE_DATABASE, 10, 1);
        for (unsigned i = 0; i < megabytes && r == 0; i++) {
                _cleanup_close_ int fd = noise_file(1000000, i);

                r = archive_writer_add(writer, image_name(image, i), fd, 1000000);
        }
        if (r < 0)
                assert_int_equal(archive_writer_finish(writer, &name), r);
        return r;
}

/* A limit on the size of files: the write comes up short, then fails. */
static void test_short_write(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        struct rlimit before, tight;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        tight = before;
        tight.rlim_cur = 4 * 1000 * 1000 + 1;
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        /* The members' own files are smaller than that. */
        assert_int_equal(add_until_error(writer, 60), -EFBIG);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        writer = archive_writer_free(writer);
        assert_int_equal(folder_entries(state), 0);
}

/* In a process of its own, which mounts a small file system over the folder: 0, or 77 where it may not. */
static int fill_small_disk(void **state) {
        ArchiveFolder *folder = *state;
        ArchiveWriter *writer;
        int fd;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", folder->path, "tmpfs", 0, "size=8m") < 0)
                return 77;
        fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || archive_writer_new(&writer, fd, FIXTURE_TIME) < 0)
                return 1;
        if (add_until_error(writer, 60) != -ENOSPC)
                return 2;
        (void) archive_writer_free(writer);
        folder->fd = fd;
        return folder_entries(state) == 0 ? 0 : 3;
}

static void test_full_disk(void **state) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(fill_small_disk(state));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip();  /* mounting is not allowed here */
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_folder_that_cannot_be_written(void **state) {
        ArchiveWriter *writer = NULL;

        (void) state;
        assert_int_equal(archive_writer_new(&writer, -1, FIXTURE_TIME), -EBADF);
        assert_null(writer);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, archive_folder_setup, archive_folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_FOLDER(test_tar_and_sha256sum_read_it),
                IN_FOLDER(test_headers_tell_nothing_of_this_machine),
                IN_FOLDER(test_name_and_mode),
                IN_FOLDER(test_equal_content_makes_equal_archives),
                IN_FOLDER(test_totals),
                IN_FOLDER(test_file_is_read_from_its_start),
                IN_FOLDER(test_what_the_reader_would_refuse),
                IN_FOLDER(test_limits_of_size),
                IN_FOLDER(test_what_unpacks_to_too_much),
                IN_FOLDER(test_short_file_leaves_nothing),
                IN_FOLDER(test_free_without_finish_leaves_nothing),
                IN_FOLDER(test_finished_writer_takes_no_more),
                IN_FOLDER(test_short_write),
                IN_FOLDER(test_full_disk),
                cmocka_unit_test(test_folder_that_cannot_be_written),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
