/* A folder for archives, and tar files and zstd frames made by hand: also such as the writer would never make.
 * Included by a test after cmocka. */
#pragma once

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "archive-member.h"
#include "archive-name.h"
#include "archive-reader.h"
#include "archive-writer.h"
#include "base/buffer.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

#define FIXTURE_TIME (UINT64_C(1732327200) * USEC_PER_SEC)  /* 2024-11-23T02:00:00Z */
#define TAR_BLOCK 512
#define IMAGE_A "images/aa/aa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.png"
#define IMAGE_B "images/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.png"

typedef struct ArchiveFolder {
        char path[64];
        int fd;
} ArchiveFolder;

static inline int archive_folder_setup(void **state) {
        ArchiveFolder *folder = calloc(1, sizeof(*folder));

        if (!folder)
                return -1;
        (void) snprintf(folder->path, sizeof(folder->path), "/tmp/atelier-test-archive-XXXXXX");
        if (!mkdtemp(folder->path))
                return -1;
        folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = folder;
        return folder->fd < 0 ? -1 : 0;
}

static inline int archive_folder_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
        (void) st;
        (void) kind;
        (void) ftw;
        return remove(path);
}

static inline int archive_folder_teardown(void **state) {
        ArchiveFolder *folder = *state;

        folder->fd = fd_close(folder->fd);
        (void) nftw(folder->path, archive_folder_remove, 8, FTW_DEPTH | FTW_PHYS);
        free(folder);
        return 0;
}

static inline int folder_fd(void **state) {
        return ((ArchiveFolder *) *state)->fd;
}

static inline size_t folder_entries(void **state) {
        size_t count = 0;
        int fd = openat(folder_fd(state), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char buffer[4096];
        ssize_t n;

        assert_true(fd >= 0);
        while ((n = getdents64(fd, buffer, sizeof(buffer))) > 0)
                for (ssize_t i = 0; i < n; i += ((struct dirent64 *) (buffer + i))->d_reclen)
                        count++;
        assert_int_equal(n, 0);
        (void) close(fd);
        return count - 2;  /* . and .. */
}

/* ------------------------------------------------------------------ contents */

/* Bytes that zstd cannot pack, the same each time. */
static inline void fill_noise(uint8_t *data, size_t size, uint64_t seed) {
        uint64_t x = seed * 2 + 1;

        for (size_t i = 0; i < size; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                data[i] = (uint8_t) (x >> 32);
        }
}

static inline int memory_file(const void *data, size_t size) {
        int fd = memfd_create("member", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, size), 0);
        return fd;
}

static inline int noise_file(size_t size, uint64_t seed) {
        uint8_t *data = malloc(size ?: 1);
        int fd;

        assert_non_null(data);
        fill_noise(data, size, seed);
        fd = memory_file(data, size);
        free(data);
        return fd;
}

/* Ascending with i, up to 65535. */
static inline const char *image_name(char name[static ARCHIVE_MEMBER_NAME_MAX], unsigned i) {
        (void) snprintf(name, ARCHIVE_MEMBER_NAME_MAX, "images/%02x/%04x%060x.png", i >> 8, i, 0);
        return name;
}

static inline void write_member(ArchiveWriter *writer, const char *name, size_t size, uint64_t seed) {
        _cleanup_close_ int fd = noise_file(size, seed);

        assert_int_equal(archive_writer_add(writer, name, fd, size), 0);
}

/* A database, `count` images of `size` bytes, a configuration. */
static inline void write_archive(void **state, unsigned count, size_t size, ArchiveName *ret_name) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        char name[ARCHIVE_MEMBER_NAME_MAX];

        assert_int_equal(archive_writer_new(&writer, folder_fd(state), FIXTURE_TIME), 0);
        write_member(writer, ARCHIVE_DATABASE, 5000, 1);
        for (unsigned i = 0; i < count; i++)
                write_member(writer, image_name(name, i), size, i + 2);
        write_member(writer, "config/atelier.conf", 100, 3);
        assert_int_equal(archive_writer_finish(writer, ret_name), 0);
}

/* ------------------------------------------------------------------ tar by hand */

static inline void tar_number(char *field, size_t size, uint64_t value) {
        for (size_t i = size - 1; i > 0; i--, value /= 8)
                field[i - 1] = (char) ('0' + value % 8);
}

static inline void tar_pad(Buffer *tar) {
        static const char zeros[TAR_BLOCK];

        assert_int_equal(buffer_append(tar, zeros, (TAR_BLOCK - tar->size % TAR_BLOCK) % TAR_BLOCK), 0);
}

static inline void tar_header(Buffer *tar, const char *name, char type, uint64_t size, const char *link) {
        char header[TAR_BLOCK] = "";
        unsigned sum = 0;

        memcpy(header, name, MIN(strlen(name), (size_t) 100));
        tar_number(header + 100, 8, 0600);
        tar_number(header + 108, 8, 0);
        tar_number(header + 116, 8, 0);
        tar_number(header + 124, 12, size);
        tar_number(header + 136, 12, 0);
        memset(header + 148, ' ', 8);
        header[156] = type;
        memcpy(header + 157, link, MIN(strlen(link), (size_t) 100));
        memcpy(header + 257, "ustar\0" "00", 8);
        for (size_t i = 0; i < TAR_BLOCK; i++)
                sum += (uint8_t) header[i];
        (void) snprintf(header + 148, 8, "%06o", sum);
        assert_int_equal(buffer_append(tar, header, TAR_BLOCK), 0);
}

/* A file with its line in `manifest`, which may be NULL. */
static inline void tar_file(Buffer *tar, Buffer *manifest, const char *name, const char *content) {
        char sha256[SHA256_TEXT_MAX];

        tar_header(tar, name, '0', strlen(content), "");
        assert_int_equal(buffer_append_text(tar, content), 0);
        tar_pad(tar);
        assert_int_equal(sha256_text(content, strlen(content), sha256), 0);
        if (manifest)
                assert_int_equal(buffer_printf(manifest, "%s  %s\n", sha256, name), 0);
}

static inline void tar_manifest(Buffer *tar, const Buffer *manifest) {
        tar_header(tar, ARCHIVE_MANIFEST, '0', manifest->size, "");
        assert_int_equal(buffer_append(tar, manifest->data, manifest->size), 0);
        tar_pad(tar);
}

static inline void tar_end(Buffer *tar) {
        static const char zeros[2 * TAR_BLOCK];

        assert_int_equal(buffer_append(tar, zeros, sizeof(zeros)), 0);
}

/* Members that are as they should be; `manifest` gets their lines. */
static inline void tar_members(Buffer *tar, Buffer *manifest) {
        tar_file(tar, manifest, ARCHIVE_DATABASE, "database");
        tar_file(tar, manifest, IMAGE_A, "a");
        tar_file(tar, manifest, IMAGE_B, "b");
        tar_file(tar, manifest, "config/a.conf", "");
}

/* ------------------------------------------------------------------ files by hand */

/* Adds `data` as one frame. */
static inline void pack_frame(Buffer *file, const void *data, size_t size, int window_log) {
        ZSTD_CCtx *zstd = ZSTD_createCCtx();
        ZSTD_inBuffer input = { .src = data, .size = size };
        ZSTD_outBuffer output = {};

        assert_non_null(zstd);
        if (window_log > 0)
                assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, window_log)));
        assert_int_equal(buffer_reserve(file, ZSTD_compressBound(size)), 0);
        output = (ZSTD_outBuffer) { .dst = file->data + file->size, .size = ZSTD_compressBound(size) };
        if (window_log > 0)  /* a flush first: else the frame is of a single segment, without a window */
                assert_false(ZSTD_isError(ZSTD_compressStream2(zstd, &output, &input, ZSTD_e_flush)));
        assert_int_equal(ZSTD_compressStream2(zstd, &output, &input, ZSTD_e_end), 0);
        file->size += output.pos;
        (void) ZSTD_freeCCtx(zstd);
}

/* Puts it into the folder under the name that it deserves. */
static inline void store_file(void **state, const void *data, size_t size, ArchiveName *ret) {
        char sha256[SHA256_TEXT_MAX];

        assert_int_equal(sha256_text(data, size, sha256), 0);
        archive_name_format(ret, FIXTURE_TIME, sha256);
        assert_int_equal(file_replace(folder_fd(state), ret->text, data, size, 0600), 0);
}

static inline void store_tar(void **state, const Buffer *tar, ArchiveName *ret) {
        Buffer file = BUFFER_INIT(0);

        pack_frame(&file, tar->data, tar->size, 0);
        store_file(state, file.data, file.size, ret);
        buffer_done(&file);
}

/* ------------------------------------------------------------------ reading */

/* What the handlers saw; they also hold the reader to its promises. */
typedef struct Seen {
        unsigned begun, ended;
        uint64_t left, bytes;
        Sha256 *sha256;
        ArchiveProgress *cancel_at_first;
        int fail_with;
        uint64_t after_cancel;
} Seen;

static inline int seen_begin(const char *name, uint64_t size, void *userdata) {
        Seen *seen = userdata;

        assert_int_equal(seen->begun++, seen->ended);
        assert_int_not_equal(archive_member_kind(name), ARCHIVE_MEMBER_INVALID);
        assert_int_not_equal(archive_member_kind(name), ARCHIVE_MEMBER_MANIFEST);
        assert_true(size <= archive_member_bytes_max(archive_member_kind(name)));
        seen->left = size;
        return 0;
}

static inline int seen_data(const void *data, size_t size, void *userdata) {
        Seen *seen = userdata;

        assert_true(size > 0 && size <= seen->left);
        assert_int_equal(sha256_add(seen->sha256, data, size), 0);
        seen->left -= size;
        seen->bytes += size;
        if (seen->cancel_at_first && atomic_exchange(&seen->cancel_at_first->cancel, true))
                seen->after_cancel += size;
        return seen->fail_with;
}

static inline int seen_end(const char *sha256, void *userdata) {
        Seen *seen = userdata;
        char text[SHA256_TEXT_MAX];

        assert_int_equal(seen->left, 0);
        assert_int_equal(sha256_finish(seen->sha256, text), 0);
        assert_string_equal(sha256, text);
        seen->ended++;
        return 0;
}

static const ArchiveHandlers seen_handlers = { .begin = seen_begin, .data = seen_data, .end = seen_end };

/* *ret_reason is to be freed. */
static inline int read_archive(void **state, const ArchiveName *name, Seen *seen, ArchiveProgress *progress,
                               ArchiveTotals *ret_totals, char **ret_reason) {
        Buffer reason = BUFFER_INIT(0);
        int r;

        assert_int_equal(sha256_new(&seen->sha256), 0);
        r = archive_read(folder_fd(state), name, &seen_handlers, seen, progress, ret_totals, &reason);
        seen->sha256 = sha256_free(seen->sha256);
        *ret_reason = buffer_take_text(&reason);
        assert_non_null(*ret_reason);
        assert_true((r == ARCHIVE_REFUSED) == !text_empty(*ret_reason));
        return r;
}

static inline void assert_reads(void **state, const ArchiveName *name, unsigned members) {
        _cleanup_free_ char *reason = NULL;
        ArchiveTotals totals = {};
        Seen seen = {};
        int r = read_archive(state, name, &seen, NULL, &totals, &reason);

        assert_string_equal(reason, "");
        assert_int_equal(r, 0);
        assert_int_equal(seen.ended, members);
        assert_int_equal(totals.members, members);
        assert_int_equal(totals.bytes, seen.bytes);
}

static inline void assert_refused(void **state, const ArchiveName *name, const char *why) {
        _cleanup_free_ char *reason = NULL;
        ArchiveTotals totals;
        Seen seen = {};

        assert_int_equal(read_archive(state, name, &seen, NULL, &totals, &reason), ARCHIVE_REFUSED);
        if (!strstr(reason, why))
                assert_string_equal(reason, why);  /* shows both */
        for (const char *p = reason; *p; p++)
                assert_true(*p >= ' ' && *p < 0x7f);
}
