/* The content store: what is kept, under which name, and what a failing disk leaves behind.
 *
 * fsync(), syncfs(), renameat2() and write() are defined here, in front of the C library's, so that a test can make
 * the next one fail as a disk does, and see the order in which they are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"
#include "images/image-store.h"
#include "sample-images.h"

static struct {
        int fail_fsync, fail_syncfs, fail_rename, fail_write; /* errno for the next call; 0: none */
        char calls[64]; /* F fsync of a file, D of a folder, S syncfs, R rename */
        char synced_file[128]; /* through which the file system was synced */
} disk;

/* Only the tests with one thread look at the calls. */
static void note(char call) {
        size_t n = strlen(disk.calls);

        if (n + 1 < sizeof(disk.calls))
                disk.calls[n] = call;
}

static int take_error(int *error) {
        errno = *error;
        *error = 0;
        return errno ? -1 : 0;
}

int fsync(int fd) {
        struct stat st;

        note(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 'D' : 'F');
        if (take_error(&disk.fail_fsync) < 0)
                return -1;
        return (int) syscall(SYS_fsync, fd);
}

int syncfs(int fd) {
        char link[64];
        ssize_t n;

        note('S');
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, disk.synced_file, sizeof(disk.synced_file) - 1);
        disk.synced_file[MAX(n, 0)] = 0;
        if (take_error(&disk.fail_syncfs) < 0)
                return -1;
        return (int) syscall(SYS_syncfs, fd);
}

int renameat2(int old_fd, const char *old_path, int new_fd, const char *new_path, unsigned flags) {
        note('R');
        if (take_error(&disk.fail_rename) < 0)
                return -1;
        return (int) syscall(SYS_renameat2, old_fd, old_path, new_fd, new_path, flags);
}

ssize_t write(int fd, const void *data, size_t size) {
        if (fd > 2 && take_error(&disk.fail_write) < 0)
                return -1;
        return syscall(SYS_write, fd, data, size);
}

typedef struct Fixture {
        char path[64];
        int state_fd;
        ImageStore *store;
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        (void) strcpy(fixture->path, "/tmp/test-image-store-XXXXXX");
        assert_non_null(mkdtemp(fixture->path));
        fixture->state_fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fixture->state_fd >= 0);
        assert_int_equal(image_store_new(&fixture->store, fixture->state_fd), 0);
        memset(&disk, 0, sizeof(disk));
        *state = fixture;
        return 0;
}

static void remove_tree(int parent, const char *name) {
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *folder = fdopendir(fd);
        struct dirent *entry;

        assert_non_null(folder);
        while ((entry = readdir(folder)))
                if (entry->d_name[0] != '.' && unlinkat(fd, entry->d_name, 0) < 0)
                        remove_tree(fd, entry->d_name);
        (void) closedir(folder);
        (void) unlinkat(parent, name, AT_REMOVEDIR);
}

static int tear_down(void **state) {
        Fixture *fixture = *state;

        (void) image_store_free(fixture->store);
        (void) close(fixture->state_fd);
        remove_tree(AT_FDCWD, fixture->path);
        free(fixture);
        return 0;
}

static size_t count_files(const Fixture *fixture, const char *folder) {
        char path[128];
        struct dirent *entry;
        size_t n = 0;
        DIR *opened;

        (void) snprintf(path, sizeof(path), "%s/%s", fixture->path, folder);
        opened = opendir(path);
        if (!opened)
                return 0;
        while ((entry = readdir(opened)))
                n += entry->d_name[0] != '.';
        (void) closedir(opened);
        return n;
}

static TemporaryImage *write_image(Fixture *fixture, const void *data, size_t size) {
        TemporaryImage *image = NULL;

        assert_int_equal(temporary_image_new(&image, fixture->store), 0);
        assert_int_equal(temporary_image_write(image, data, size / 2), 0);
        assert_int_equal(temporary_image_write(image, (const char *) data + size / 2, size - size / 2), 0);
        assert_int_equal(temporary_image_finish(image, NULL), 0);
        return image;
}

static TemporaryImage *write_png(Fixture *fixture) {
        return write_image(fixture, sample_png, sizeof(sample_png));
}

static void assert_stored(Fixture *fixture, const ImageFacts *facts, const void *data, size_t size) {
        _cleanup_close_ int fd = image_store_open(fixture->store, facts->sha256, facts->format);
        uint8_t read[4096];

        assert_true(fd >= 0);
        assert_int_equal(fd_read_all(fd, read, sizeof(read)), size);
        assert_memory_equal(read, data, size);
}

static void test_facts(void **state) {
        _cleanup_(temporary_image_freep) TemporaryImage *image = write_png(*state);
        const ImageFacts *facts = temporary_image_facts(image);
        char expected[SHA256_TEXT_MAX];

        assert_int_equal(sha256_text(sample_png, sizeof(sample_png), expected), 0);
        assert_string_equal(facts->sha256, expected);
        assert_int_equal(facts->format, IMAGE_PNG);
        assert_int_equal(facts->width, SAMPLE_WIDTH);
        assert_int_equal(facts->height, SAMPLE_HEIGHT);
        assert_int_equal(facts->size_bytes, sizeof(sample_png));
}

static void test_kept_by_its_hash(void **state) {
        Fixture *fixture = *state;
        _cleanup_(temporary_image_freep) TemporaryImage *image = write_png(fixture);
        const ImageFacts *facts = temporary_image_facts(image);
        char path[256];
        struct stat st;

        assert_int_equal(image_store_open(fixture->store, facts->sha256, facts->format), -ENOENT);
        assert_int_equal(temporary_image_keep(image), 0);
        assert_stored(fixture, facts, sample_png, sizeof(sample_png));
        assert_int_equal(count_files(fixture, "images/tmp"), 0);

        (void) snprintf(path, sizeof(path), "%s/images/%.2s/%s.png", fixture->path, facts->sha256, facts->sha256);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_kept_outlives_the_object_unkept_does_not(void **state) {
        Fixture *fixture = *state;
        TemporaryImage *kept = write_png(fixture), *dropped = write_image(fixture, sample_jpeg, sizeof(sample_jpeg));
        ImageFacts facts = *temporary_image_facts(kept);

        assert_int_equal(count_files(fixture, "images/tmp"), 2);
        assert_int_equal(temporary_image_keep(kept), 0);
        (void) temporary_image_free(kept);
        (void) temporary_image_free(dropped);
        assert_stored(fixture, &facts, sample_png, sizeof(sample_png));
        assert_int_equal(count_files(fixture, "images/tmp"), 0);
}

/* File before its name, name before its folder, and a new folder in its own. */
static void test_order_of_syncs(void **state) {
        Fixture *fixture = *state;
        _cleanup_(temporary_image_freep) TemporaryImage *first = write_png(fixture), *second = write_png(fixture);

        assert_int_equal(temporary_image_keep(first), 0);
        assert_string_equal(disk.calls, "FRDD");
        memset(&disk, 0, sizeof(disk));
        assert_int_equal(temporary_image_keep(second), 0);
        assert_string_equal(disk.calls, "FRD");
}

static void test_folders_of_an_earlier_run_are_synced_once(void **state) {
        Fixture *fixture = *state;
        TemporaryImage *image = write_png(fixture);

        assert_int_equal(temporary_image_keep(image), 0);
        (void) temporary_image_free(image);
        fixture->store = image_store_free(fixture->store);

        memset(&disk, 0, sizeof(disk));
        assert_int_equal(image_store_new(&fixture->store, fixture->state_fd), 0);
        assert_string_equal(disk.calls, "DD");
        image = write_png(fixture);
        assert_int_equal(temporary_image_keep(image), 0);
        assert_string_equal(disk.calls, "DDFRD");
        (void) temporary_image_free(image);
}

static void test_equal_bytes_share_a_file(void **state) {
        Fixture *fixture = *state;
        _cleanup_(temporary_image_freep) TemporaryImage *first = write_png(fixture), *second = write_png(fixture);
        const ImageFacts *facts = temporary_image_facts(first);
        _cleanup_close_ int reader = -1;
        uint8_t data[4096];
        char folder[16];

        assert_int_equal(temporary_image_keep(first), 0);
        reader = image_store_open(fixture->store, facts->sha256, facts->format);
        assert_int_equal(temporary_image_keep(second), 0);
        (void) snprintf(folder, sizeof(folder), "images/%.2s", facts->sha256);
        assert_int_equal(count_files(fixture, folder), 1);
        assert_stored(fixture, facts, sample_png, sizeof(sample_png));
        assert_int_equal(fd_read_all(reader, data, sizeof(data)), sizeof(sample_png));
}

static void test_remove(void **state) {
        Fixture *fixture = *state;
        _cleanup_(temporary_image_freep) TemporaryImage *image = write_png(fixture);
        const ImageFacts *facts = temporary_image_facts(image);

        assert_int_equal(image_store_remove(fixture->store, facts->sha256, IMAGE_PNG), -ENOENT);
        assert_int_equal(temporary_image_keep(image), 0);
        assert_int_equal(image_store_remove(fixture->store, facts->sha256, IMAGE_JPEG), -ENOENT);
        assert_int_equal(image_store_remove(fixture->store, facts->sha256, IMAGE_PNG), 0);
        assert_int_equal(image_store_open(fixture->store, facts->sha256, IMAGE_PNG), -ENOENT);
}

static void test_names_that_are_no_hash_open_nothing(void **state) {
        static const char *const names[] = {
                "",
                "..",
                "../state.db",
                "aa",
                "AA00000000000000000000000000000000000000000000000000000000000000",
                "../../../../../../../../../../../../../../../../../../etc/passwd",
        };
        Fixture *fixture = *state;

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                assert_int_equal(image_store_open(fixture->store, names[i], IMAGE_PNG), -ENOENT);
                assert_int_equal(image_store_remove(fixture->store, names[i], IMAGE_PNG), -ENOENT);
        }
        assert_int_equal(image_store_open(fixture->store, NULL, IMAGE_PNG), -ENOENT);
}

static void test_leftovers_go_at_start_and_kept_files_stay(void **state) {
        Fixture *fixture = *state;
        TemporaryImage *kept = write_png(fixture);
        ImageFacts facts = *temporary_image_facts(kept);
        int fd;

        assert_int_equal(temporary_image_keep(kept), 0);
        (void) temporary_image_free(kept);
        fixture->store = image_store_free(fixture->store);
        fd = openat(fixture->state_fd, "images/tmp/left-by-a-crash", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void) close(fd);

        assert_int_equal(image_store_new(&fixture->store, fixture->state_fd), 0);
        assert_int_equal(count_files(fixture, "images/tmp"), 0);
        assert_stored(fixture, &facts, sample_png, sizeof(sample_png));
}

static void test_what_is_no_image(void **state) {
        Fixture *fixture = *state;
        _cleanup_(temporary_image_freep) TemporaryImage *image = NULL;
        const char *reason = NULL;

        assert_int_equal(temporary_image_new(&image, fixture->store), 0);
        assert_int_equal(temporary_image_write(image, "no image", 8), 0);
        assert_int_equal(temporary_image_finish(image, &reason), -EBADMSG);
        assert_string_equal(reason, "not a PNG, JPEG or WebP file");
}

static void test_size_limit(void **state) {
        Fixture *fixture = *state;
        _cleanup_(temporary_image_freep) TemporaryImage *image = NULL;
        _cleanup_free_ uint8_t *block = calloc(1, 1024 * 1024);

        assert_int_equal(temporary_image_new(&image, fixture->store), 0);
        for (size_t size = 0; size < IMAGE_BYTES_MAX; size += 1024 * 1024)
                assert_int_equal(temporary_image_write(image, block, 1024 * 1024), 0);
        assert_int_equal(temporary_image_write(image, block, 1), -EFBIG);
        assert_int_equal(temporary_image_finish(image, NULL), -EFBIG);
}

static void test_full_disk_while_writing(void **state) {
        Fixture *fixture = *state;
        TemporaryImage *image = NULL;

        assert_int_equal(temporary_image_new(&image, fixture->store), 0);
        disk.fail_write = ENOSPC;
        assert_int_equal(temporary_image_write(image, sample_png, sizeof(sample_png)), -ENOSPC);
        assert_int_equal(temporary_image_write(image, sample_png, sizeof(sample_png)), -ENOSPC);
        assert_int_equal(temporary_image_finish(image, NULL), -ENOSPC);
        (void) temporary_image_free(image);
        assert_int_equal(count_files(fixture, "images/tmp"), 0);
}

static void test_failed_sync_is_never_made_good(void **state) {
        Fixture *fixture = *state;
        _cleanup_(temporary_image_freep) TemporaryImage *image = write_png(fixture);
        const ImageFacts *facts = temporary_image_facts(image);

        disk.fail_fsync = EIO;
        assert_int_equal(temporary_image_keep(image), -EIO);
        assert_int_equal(image_store_open(fixture->store, facts->sha256, IMAGE_PNG), -ENOENT);
        assert_int_equal(temporary_image_keep(image), -EIO);
        assert_string_equal(disk.calls, "F");
}

static void test_failed_rename_may_be_tried_again(void **state) {
        Fixture *fixture = *state;
        _cleanup_(temporary_image_freep) TemporaryImage *image = write_png(fixture);
        const ImageFacts *facts = temporary_image_facts(image);

        disk.fail_rename = ENOSPC;
        assert_int_equal(temporary_image_keep(image), -ENOSPC);
        assert_int_equal(image_store_open(fixture->store, facts->sha256, IMAGE_PNG), -ENOENT);
        assert_int_equal(temporary_image_keep(image), 0);
        assert_stored(fixture, facts, sample_png, sizeof(sample_png));
}

/* A copy of the sample with other bytes: the text chunk says which. */
static TemporaryImage *write_variant(Fixture *fixture, uint8_t variant) {
        uint8_t data[sizeof(sample_png)];

        memcpy(data, sample_png, sizeof(data));
        data[49] = variant; /* 33: tEXt, 41: "Comment", 49: its text */
        for (unsigned i = 0; i < 4; i++)
                data[50 + i] = (uint8_t) (crc32(0, data + 37, 13) >> (24 - 8 * i));
        return write_image(fixture, data, sizeof(data));
}

#define BATCH 6

static void free_batch(TemporaryImage **images) {
        for (size_t i = 0; i < BATCH; i++)
                (void) temporary_image_free(images[i]);
}

static void test_a_batch_shares_one_sync(void **state) {
        Fixture *fixture = *state;
        TemporaryImage *images[BATCH];
        int results[BATCH];

        for (size_t i = 0; i < BATCH; i++)
                images[BATCH - 1 - i] = write_variant(fixture, (uint8_t) ('a' + i));
        image_store_keep(fixture->store, images, results, BATCH);
        assert_null(strchr(disk.calls, 'F'));
        assert_ptr_equal(strchr(disk.calls, 'S'), disk.calls + strlen(disk.calls) - 1);
        for (size_t i = 0; i < BATCH; i++) {
                const ImageFacts *facts = temporary_image_facts(images[i]);
                _cleanup_close_ int fd = image_store_open(fixture->store, facts->sha256, facts->format);

                assert_int_equal(results[i], 0);
                assert_true(fd >= 0);
        }

        /* Through the one that was begun first. */
        assert_non_null(strstr(disk.synced_file, temporary_image_facts(images[BATCH - 1])->sha256));
        free_batch(images);
        assert_int_equal(count_files(fixture, "images/tmp"), 0);
}

/* Another job may have had the name for long: its bytes must not be lost with ours. */
static void test_a_batch_fsyncs_what_replaces(void **state) {
        Fixture *fixture = *state;
        TemporaryImage *images[BATCH], *before = write_variant(fixture, 'a');
        int results[BATCH];

        assert_int_equal(temporary_image_keep(before), 0);
        (void) temporary_image_free(before);
        for (size_t i = 0; i < BATCH; i++)
                images[i] = write_variant(fixture, 'a');
        memset(&disk, 0, sizeof(disk));
        image_store_keep(fixture->store, images, results, BATCH);
        assert_string_equal(disk.calls, "RFRDRFRDRFRDRFRDRFRDRFRDS");
        for (size_t i = 0; i < BATCH; i++)
                assert_int_equal(results[i], 0);
        free_batch(images);
}

static void test_a_failed_batch_keeps_nothing(void **state) {
        Fixture *fixture = *state;
        TemporaryImage *images[BATCH];
        int results[BATCH];

        for (size_t i = 0; i < BATCH; i++)
                images[i] = write_variant(fixture, (uint8_t) ('a' + i));
        disk.fail_syncfs = EIO;
        image_store_keep(fixture->store, images, results, BATCH);
        for (size_t i = 0; i < BATCH; i++) {
                assert_int_equal(results[i], -EIO);
                assert_int_equal(temporary_image_keep(images[i]), -EIO);
        }
        free_batch(images);
}

static void test_one_bad_rename_fails_alone(void **state) {
        Fixture *fixture = *state;
        TemporaryImage *images[BATCH];
        int results[BATCH];

        for (size_t i = 0; i < BATCH; i++)
                images[i] = write_variant(fixture, (uint8_t) ('a' + i));
        disk.fail_rename = ENOSPC;
        image_store_keep(fixture->store, images, results, BATCH);
        assert_int_equal(results[0], -ENOSPC);
        for (size_t i = 1; i < BATCH; i++)
                assert_int_equal(results[i], 0);
        assert_int_equal(temporary_image_keep(images[0]), 0);
        free_batch(images);
}

#define THREADS 8

static void *keep_many(void *userdata) {
        Fixture *fixture = userdata;

        for (unsigned i = 0; i < 20; i++) {
                TemporaryImage *image = NULL;
                bool good;

                if (temporary_image_new(&image, fixture->store) < 0)
                        return (void *) "new";
                good = temporary_image_write(image, sample_png, sizeof(sample_png)) == 0 &&
                       temporary_image_finish(image, NULL) == 0 && temporary_image_keep(image) == 0;
                (void) temporary_image_free(image);
                if (!good)
                        return (void *) "keep";
        }
        return NULL;
}

static void test_many_threads_keep_equal_bytes(void **state) {
        Fixture *fixture = *state;
        pthread_t threads[THREADS];
        ImageFacts facts = { .format = IMAGE_PNG };

        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, keep_many, fixture), 0);
        for (size_t i = 0; i < THREADS; i++) {
                void *failed;

                assert_int_equal(pthread_join(threads[i], &failed), 0);
                assert_null(failed);
        }
        assert_int_equal(sha256_text(sample_png, sizeof(sample_png), facts.sha256), 0);
        assert_stored(fixture, &facts, sample_png, sizeof(sample_png));
        assert_int_equal(count_files(fixture, "images/tmp"), 0);
}

/* ------------------------------------------------------------------ another state */

/* A folder beside the state's own. */
static int make_other(Fixture *fixture) {
        int fd;

        assert_int_equal(mkdirat(fixture->state_fd, "other", 0700), 0);
        fd = openat(fixture->state_fd, "other", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static ImageFacts keep_png(Fixture *fixture) {
        _cleanup_(temporary_image_freep) TemporaryImage *image = write_png(fixture);

        assert_int_equal(temporary_image_keep(image), 0);
        return *temporary_image_facts(image);
}

static void test_moved_store_has_the_other_folders_images(void **state) {
        Fixture *fixture = *state;
        _cleanup_close_ int other = make_other(fixture);
        ImageFacts facts = keep_png(fixture);

        assert_int_equal(image_store_move(fixture->store, other), 0);
        assert_int_equal(image_store_open(fixture->store, facts.sha256, facts.format), -ENOENT);
        assert_int_equal(image_store_remove(fixture->store, facts.sha256, facts.format), -ENOENT);
        (void) keep_png(fixture);
        assert_stored(fixture, &facts, sample_png, sizeof(sample_png));
        assert_int_equal(count_files(fixture, "other/images"), 2);
        assert_int_equal(image_store_remove(fixture->store, facts.sha256, facts.format), 0);

        assert_int_equal(image_store_move(fixture->store, fixture->state_fd), 0);
        assert_stored(fixture, &facts, sample_png, sizeof(sample_png));
}

/* A folder that is known to be durable in one state is not so in another. */
static void test_moved_store_makes_its_folders_durable_anew(void **state) {
        Fixture *fixture = *state;
        _cleanup_close_ int other = make_other(fixture);

        (void) keep_png(fixture);
        assert_int_equal(image_store_move(fixture->store, other), 0);
        memset(&disk, 0, sizeof(disk));
        (void) keep_png(fixture);
        assert_string_equal(disk.calls, "FRDD");

        assert_int_equal(image_store_move(fixture->store, fixture->state_fd), 0);
        memset(&disk, 0, sizeof(disk));
        (void) keep_png(fixture);
        assert_string_equal(disk.calls, "FRD");
}

static void test_move_that_fails_leaves_the_store(void **state) {
        Fixture *fixture = *state;
        _cleanup_close_ int other = make_other(fixture), file = -1;
        ImageFacts facts = keep_png(fixture);

        file = openat(other, "images", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        assert_true(image_store_move(fixture->store, other) < 0);
        assert_int_equal(unlinkat(other, "images", 0), 0);
        disk.fail_fsync = EIO;
        assert_int_equal(image_store_move(fixture->store, other), -EIO);

        assert_stored(fixture, &facts, sample_png, sizeof(sample_png));
        memset(&disk, 0, sizeof(disk));
        (void) keep_png(fixture);
        assert_string_equal(disk.calls, "FRD");
        assert_int_equal(count_files(fixture, "images/tmp"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_facts),
                TEST(test_kept_by_its_hash),
                TEST(test_kept_outlives_the_object_unkept_does_not),
                TEST(test_order_of_syncs),
                TEST(test_folders_of_an_earlier_run_are_synced_once),
                TEST(test_equal_bytes_share_a_file),
                TEST(test_remove),
                TEST(test_names_that_are_no_hash_open_nothing),
                TEST(test_leftovers_go_at_start_and_kept_files_stay),
                TEST(test_what_is_no_image),
                TEST(test_size_limit),
                TEST(test_full_disk_while_writing),
                TEST(test_failed_sync_is_never_made_good),
                TEST(test_failed_rename_may_be_tried_again),
                TEST(test_a_batch_shares_one_sync),
                TEST(test_a_batch_fsyncs_what_replaces),
                TEST(test_a_failed_batch_keeps_nothing),
                TEST(test_one_bad_rename_fails_alone),
                TEST(test_many_threads_keep_equal_bytes),
                TEST(test_moved_store_has_the_other_folders_images),
                TEST(test_moved_store_makes_its_folders_durable_anew),
                TEST(test_move_that_fails_leaves_the_store),
        };

        return cmocka_run_group_tests_name("image-store", tests, NULL, NULL);
}
