/* Archives as they are read: ours come back byte for byte; whatever else somebody makes of one is refused, with a
 * reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>

#include "archive-fixture.h"

#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

#define FLIPS 1000
#define SMALL_ARCHIVE_IMAGES 3
#define SMALL_ARCHIVE_IMAGE_BYTES 65000  /* 200 KB in all: two blocks of zstd */

/* ------------------------------------------------------------------ what is whole */

static void test_round_trip(void **state) {
        ArchiveName name;

        write_archive(state, 400, 3000, &name);
        assert_reads(state, &name, 402);
        assert_int_equal(folder_entries(state), 1);
}

static void test_sizes_round_trip(void **state) {
        static const size_t sizes[] = { 0, 1, 511, 512, 513, 131071, 131072, 131073, 262144, 1048576, 5000001 };
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        char image[ARCHIVE_MEMBER_NAME_MAX];
        ArchiveName name;

        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        write_member(writer, ARCHIVE_DATABASE, 0, 1);
        for (unsigned i = 0; i < ELEMENTS(sizes); i++)
                write_member(writer, image_name(image, i), sizes[i], i);
        assert_int_equal(archive_writer_finish(writer, &name), 0);
        assert_reads(state, &name, 1 + ELEMENTS(sizes));
}

static void test_largest_image(void **state) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        char image[ARCHIVE_MEMBER_NAME_MAX];
        ArchiveName name;

        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        write_member(writer, ARCHIVE_DATABASE, 10, 1);
        write_member(writer, image_name(image, 1), ARCHIVE_IMAGE_BYTES_MAX, 2);
        assert_int_equal(archive_writer_finish(writer, &name), 0);
        assert_reads(state, &name, 2);
}

static void test_nothing_is_asked_of_the_caller(void **state) {
        ArchiveHandlers none = {};
        Buffer reason = BUFFER_INIT(0);
        ArchiveName name;

        write_archive(state, 2, 100, &name);
        assert_int_equal(archive_read(folder_fd(state), &name, NULL, NULL, NULL, NULL, &reason), 0);
        assert_int_equal(archive_read(folder_fd(state), &name, &none, NULL, NULL, NULL, &reason), 0);
        assert_int_equal(reason.size, 0);
}

static void test_progress_and_totals(void **state) {
        _cleanup_free_ char *reason = NULL;
        ArchiveProgress progress = {};
        ArchiveTotals totals;
        ArchiveName name;
        Seen seen = {};
        struct stat st;

        write_archive(state, 5, 700000, &name);
        assert_int_equal(read_archive(state, &name, &seen, &progress, &totals, &reason), 0);
        assert_int_equal(fstatat(folder_fd(state), name.text, &st, 0), 0);
        assert_int_equal(totals.file_bytes, st.st_size);
        assert_int_equal(atomic_load(&progress.done), st.st_size);
        assert_int_equal(totals.members, 7);
        assert_int_equal(totals.bytes, 5 * 700000 + 5000 + 100);
}

static unsigned count_open_files(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned count = 0;

        assert_non_null(dir);
        while (readdir(dir))
                count++;
        (void) closedir(dir);
        return count;
}

static void test_files_are_closed(void **state) {
        unsigned before = count_open_files();
        ArchiveName name;

        write_archive(state, 2, 100, &name);
        assert_reads(state, &name, 4);
        assert_int_equal(count_open_files(), before);
}

/* ------------------------------------------------------------------ what ends it early */

static void test_cancel_before(void **state) {
        _cleanup_free_ char *reason = NULL;
        ArchiveProgress progress = {};
        ArchiveTotals totals;
        ArchiveName name;
        Seen seen = {};

        write_archive(state, 2, 100, &name);
        atomic_store(&progress.cancel, true);
        assert_int_equal(read_archive(state, &name, &seen, &progress, &totals, &reason), -ECANCELED);
        assert_int_equal(seen.bytes, 0);
}

static void test_cancel_is_prompt(void **state) {
        _cleanup_free_ char *reason = NULL;
        ArchiveProgress progress = {};
        Seen seen = { .cancel_at_first = &progress };
        ArchiveTotals totals;
        ArchiveName name;

        write_archive(state, 20, 1000000, &name);
        assert_int_equal(read_archive(state, &name, &seen, &progress, &totals, &reason), -ECANCELED);
        assert_in_range(seen.after_cancel, 0, 128 * 1024);
        assert_true(seen.bytes < 256 * 1024);
        assert_true(atomic_load(&progress.done) < 16 * 1000000);
}

static void test_errors_of_handlers_are_handed_up(void **state) {
        _cleanup_free_ char *reason = NULL;
        Seen seen = { .fail_with = -EDQUOT };
        ArchiveTotals totals;
        ArchiveName name;

        write_archive(state, 20, 1000000, &name);
        assert_int_equal(read_archive(state, &name, &seen, NULL, &totals, &reason), -EDQUOT);
        assert_int_equal(seen.begun, 1);
        assert_int_equal(seen.ended, 0);
}

static void test_missing_file(void **state) {
        Buffer reason = BUFFER_INIT(0);
        ArchiveName name;

        archive_name_format(&name, FIXTURE_TIME, HASH);
        assert_int_equal(archive_read(folder_fd(state), &name, NULL, NULL, NULL, NULL, &reason), -ENOENT);
}

static void test_links_and_devices_in_place_of_the_archive(void **state) {
        ArchiveName name, other;

        write_archive(state, 1, 10, &name);
        archive_name_format(&other, FIXTURE_TIME, HASH);
        assert_int_equal(symlinkat(name.text, folder_fd(state), other.text), 0);
        assert_refused(state, &other, "symbolic link");
        assert_int_equal(unlinkat(folder_fd(state), other.text, 0), 0);
        assert_int_equal(mkfifoat(folder_fd(state), other.text, 0600), 0);
        assert_refused(state, &other, "not a regular file");
        assert_int_equal(unlinkat(folder_fd(state), other.text, 0), 0);
        assert_int_equal(mkdirat(folder_fd(state), other.text, 0700), 0);
        assert_refused(state, &other, "not a regular file");
}

/* ------------------------------------------------------------------ the file */

static void test_hash_in_the_name(void **state) {
        ArchiveName name, other;

        write_archive(state, 1, 10, &name);
        archive_name_format(&other, FIXTURE_TIME, HASH);
        assert_int_equal(renameat(folder_fd(state), name.text, folder_fd(state), other.text), 0);
        assert_refused(state, &other, "SHA-256 is ");
}

static void read_small_archive(void **state, char **ret, size_t *ret_size, ArchiveName *ret_name) {
        write_archive(state, SMALL_ARCHIVE_IMAGES, SMALL_ARCHIVE_IMAGE_BYTES, ret_name);
        assert_int_equal(file_read(folder_fd(state), ret_name->text, 1 << 20, ret, ret_size), 0);
        assert_true(*ret_size > 190000);
}

static void put_file(void **state, const ArchiveName *name, const void *data, size_t size) {
        _cleanup_close_ int fd = openat(folder_fd(state), name->text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, size), 0);
}

static void test_any_flipped_bit(void **state) {
        _cleanup_free_ char *data = NULL;
        ArchiveName name;
        size_t size;

        read_small_archive(state, &data, &size, &name);
        srandom(20261123);
        for (unsigned i = 0; i < FLIPS; i++) {
                size_t offset = i < 20 ? i : i < 40 ? size - 1 - (i - 20) : (size_t) random() % size;
                char bit = (char) (1 << random() % 8);

                data[offset] ^= bit;
                put_file(state, &name, data, size);
                assert_refused(state, &name, "");
                data[offset] ^= bit;
        }
        put_file(state, &name, data, size);
        assert_reads(state, &name, SMALL_ARCHIVE_IMAGES + 2);
}

/* Under a name that fits the cut file: only what is inside tells. */
static void test_cut_files(void **state) {
        _cleanup_free_ char *data = NULL;
        ArchiveName name, cut;
        size_t size;

        read_small_archive(state, &data, &size, &name);
        for (size_t length = 0; length < size; length += length < 64 || length + 64 > size ? 1 : 1237) {
                store_file(state, data, length, &cut);
                assert_refused(state, &cut, "cut short");
                assert_int_equal(unlinkat(folder_fd(state), cut.text, 0), 0);
        }
}

static void test_more_behind_the_frame(void **state) {
        static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'm', 'o', 'r', 'e' };
        _cleanup_free_ char *data = NULL;
        Buffer file = BUFFER_INIT(0);
        ArchiveName name;
        size_t size;

        read_small_archive(state, &data, &size, &name);
        assert_int_equal(buffer_append(&file, data, size), 0);
        assert_int_equal(buffer_append(&file, "x", 1), 0);
        store_file(state, file.data, file.size, &name);
        assert_refused(state, &name, "more behind the end of the zstd frame");

        file.size = size;
        assert_int_equal(buffer_append(&file, skippable, sizeof(skippable)), 0);
        store_file(state, file.data, file.size, &name);
        assert_refused(state, &name, "more behind the end of the zstd frame");

        file.size = size;
        pack_frame(&file, "more", 4, 0);
        store_file(state, file.data, file.size, &name);
        assert_refused(state, &name, "more behind the end of the zstd frame");

        file.size = 0;
        assert_int_equal(buffer_append(&file, skippable, sizeof(skippable)), 0);
        assert_int_equal(buffer_append(&file, data, size), 0);
        store_file(state, file.data, file.size, &name);
        assert_refused(state, &name, "more behind the end of the zstd frame");
        buffer_done(&file);
}

static void test_what_is_not_zstd(void **state) {
        static const char *const wrong[] = { "\x1f\x8b\x08 gzip", "plain text", "BZh9 bzip2", "\xfd\x37zXZ" };
        ArchiveName name;

        for (size_t i = 0; i < ELEMENTS(wrong); i++) {
                store_file(state, wrong[i], strlen(wrong[i]), &name);
                assert_refused(state, &name, "not compressed by zstd");
        }
}

static void test_window_at_the_limit(void **state) {
        Buffer tar = BUFFER_INIT(0), manifest = BUFFER_INIT(0), file = BUFFER_INIT(0);
        static const uint8_t window_2_31[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00 };
        ArchiveName name;

        tar_members(&tar, &manifest);
        tar_manifest(&tar, &manifest);
        tar_end(&tar);
        pack_frame(&file, tar.data, tar.size, 23);
        store_file(state, file.data, file.size, &name);
        assert_reads(state, &name, 4);

        file.size = 0;
        pack_frame(&file, tar.data, tar.size, 24);
        store_file(state, file.data, file.size, &name);
        assert_refused(state, &name, "window of at most 8 MiB");
        store_file(state, window_2_31, sizeof(window_2_31), &name);
        assert_refused(state, &name, "window of at most 8 MiB");
        buffer_done(&tar);
        buffer_done(&manifest);
        buffer_done(&file);
}

/* A frame of `blocks` blocks that each repeat one byte 128 Ki times, behind the header of a large database. */
static void test_ratio_bomb(void **state) {
        static const uint8_t start[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, (20 - 10) << 3 };
        const unsigned blocks = 12000;  /* 1.5 GiB */
        Buffer tar = BUFFER_INIT(0), file = BUFFER_INIT(0);
        ArchiveName name;

        tar_header(&tar, ARCHIVE_DATABASE, '0', (uint64_t) blocks << 17, "");
        assert_int_equal(buffer_append(&file, start, sizeof(start)), 0);
        assert_int_equal(buffer_append(&file, (uint8_t[]) { TAR_BLOCK << 3 & 0xff, TAR_BLOCK >> 5, 0 }, 3), 0);
        assert_int_equal(buffer_append(&file, tar.data, tar.size), 0);
        for (unsigned i = 0; i < blocks; i++) {
                uint32_t header = (uint32_t) 1 << 20 | 1 << 1 | (i == blocks - 1);  /* 128 KiB, RLE */

                assert_int_equal(buffer_append(&file, &header, 3), 0);
                assert_int_equal(buffer_append(&file, "x", 1), 0);
        }
        store_file(state, file.data, file.size, &name);
        assert_refused(state, &name, "far more bytes");
        buffer_done(&tar);
        buffer_done(&file);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, archive_folder_setup, archive_folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_FOLDER(test_round_trip),
                IN_FOLDER(test_sizes_round_trip),
                IN_FOLDER(test_largest_image),
                IN_FOLDER(test_nothing_is_asked_of_the_caller),
                IN_FOLDER(test_progress_and_totals),
                IN_FOLDER(test_files_are_closed),
                IN_FOLDER(test_cancel_before),
                IN_FOLDER(test_cancel_is_prompt),
                IN_FOLDER(test_errors_of_handlers_are_handed_up),
                IN_FOLDER(test_missing_file),
                IN_FOLDER(test_links_and_devices_in_place_of_the_archive),
                IN_FOLDER(test_hash_in_the_name),
                IN_FOLDER(test_any_flipped_bit),
                IN_FOLDER(test_cut_files),
                IN_FOLDER(test_more_behind_the_frame),
                IN_FOLDER(test_what_is_not_zstd),
                IN_FOLDER(test_window_at_the_limit),
                IN_FOLDER(test_ratio_bomb),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
