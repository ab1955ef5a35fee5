#include "archive-writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "archive-manifest.h"
#include "archive-member.h"
#include "archive-partial.h"
#include "archive-sink.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/id.h"

/* A member's bytes are read and hashed in the caller's thread, which libarchive frames as tar; zstd packs them in two
 * threads of its own; the sink writes and hashes the file in two more. zstd is used directly, as libarchive's filter
 * writes no checksum of the content.
 *
 * The writer owns the file and its temporary name. Only archive_writer_finish() gives the file a name that anybody
 * looks at, after it is durable; whatever ends before leaves at most a partial one, which archive_remove_partials()
 * knows. Once anything has failed, the writer gives the same error for ever. Two archives of the same content and time
 * are equal bytes. */

#define COMPRESSION_LEVEL 1
#define COMPRESSION_THREADS 2
#define READ_BYTES ((size_t) 256 * 1024)
#define PARTIAL_MODE 0640
#define PARTIAL_TRIES 16
#define TAG_OFFSET 26           /* of six random digits in an identifier */

struct ArchiveWriter {
        int folder_fd;
        int fd;
        char partial[ARCHIVE_NAME_MAX];           /* "" before the file is there and after it is finished */
        usec_t created_at;

        struct archive *tar;
        struct archive_entry *entry;
        ZSTD_CCtx *zstd;
        ArchiveSink *sink;
        ArchiveManifest *manifest;
        Sha256 *sha256;                           /* of the member */
        char last_sha256[SHA256_TEXT_MAX];        /* of the one before */
        uint8_t *piece;

        char previous[ARCHIVE_MEMBER_NAME_MAX];
        int error;                                /* the first one, which stays */
        uint64_t tar_bytes;
        atomic_ullong members, bytes, file_bytes;
};

/* ------------------------------------------------------------------ from tar to the file */

/* ZSTD_e_continue: until the input is taken. ZSTD_e_end: until all is out. */
static int pack(ArchiveWriter *writer, const void *data, size_t size, ZSTD_EndDirective directive) {
        ZSTD_inBuffer input = { .src = data, .size = size };
        size_t left;

        do {
                ZSTD_outBuffer output = {};
                uint8_t *room;
                int r;

                r = archive_sink_room(writer->sink, &room, &output.size);
                if (r < 0)
                        return r;
                output.dst = room;
                left = ZSTD_compressStream2(writer->zstd, &output, &input, directive);
                if (ZSTD_isError(left))
                        return -ENOMEM;  /* nothing else is left that can go wrong */
                archive_sink_advance(writer->sink, output.pos);
                atomic_fetch_add_explicit(&writer->file_bytes, output.pos, memory_order_relaxed);
        } while (directive == ZSTD_e_end ? left > 0 : input.pos < input.size);
        return 0;
}

/* Never fails: libarchive would not free all of itself. tar_result() looks at the error, after which nothing is
 * packed. */
static la_ssize_t on_write(_unused_ struct archive *tar, void *userdata, const void *data, size_t size) {
        ArchiveWriter *writer = userdata;

        writer->tar_bytes += size;
        if (writer->error == 0)
                writer->error = pack(writer, data, size, ZSTD_e_continue);
        return (la_ssize_t) size;
}

/* What became of a call of libarchive: our own error, or its own. */
static int tar_result(ArchiveWriter *writer, bool done) {
        int error = archive_errno(writer->tar);

        if (writer->error == 0 && !done)
                writer->error = error > 0 ? -error : -EIO;
        return writer->error;
}

/* ------------------------------------------------------------------ beginning */

static int open_tar(ArchiveWriter *writer) {
        writer->tar = archive_write_new();
        writer->entry = archive_entry_new();
        if (!writer->tar || !writer->entry)
                return -ENOMEM;
        return tar_result(writer, archive_write_set_format_pax_restricted(writer->tar) == ARCHIVE_OK &&
                                  archive_write_set_bytes_per_block(writer->tar, 0) == ARCHIVE_OK &&
                                  archive_write_open(writer->tar, writer, NULL, on_write, NULL) == ARCHIVE_OK);
}

static int open_zstd(ArchiveWriter *writer) {
        writer->zstd = ZSTD_createCCtx();
        if (!writer->zstd)
                return -ENOMEM;
        if (ZSTD_isError(ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, COMPRESSION_LEVEL)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_checksumFlag, 1)))
                return -ENOTSUP;

        /* A library without threads says no and does without. */
        (void) ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_nbWorkers, COMPRESSION_THREADS);
        return 0;
}

static int open_partial(ArchiveWriter *writer) {
        char id[ID_TEXT_MAX];

        for (unsigned i = 0; i < PARTIAL_TRIES && writer->fd < 0; i++) {
                archive_partial_name(writer->partial, writer->created_at, id_new(id) + TAG_OFFSET);
                writer->fd = openat(writer->folder_fd, writer->partial,
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, PARTIAL_MODE);
                if (writer->fd < 0 && errno != EEXIST)
                        break;
        }
        if (writer->fd < 0) {
                writer->partial[0] = 0;
                return -errno;
        }
        return fchmod(writer->fd, PARTIAL_MODE) < 0 ? -errno : 0;
}

static int open_all(ArchiveWriter *writer, int folder_fd) {
        int r;

        writer->folder_fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (writer->folder_fd < 0)
                return -errno;
        writer->piece = malloc(READ_BYTES);
        if (!writer->piece)
                return -ENOMEM;
        r = sha256_new(&writer->sha256);
        if (r < 0)
                return r;
        r = archive_manifest_new(&writer->manifest, writer->folder_fd);
        if (r < 0)
                return r;
        r = open_partial(writer);
        if (r < 0)
                return r;
        r = archive_sink_new(&writer->sink, writer->fd);
        if (r < 0)
                return r;
        r = open_zstd(writer);
        if (r < 0)
                return r;
        return open_tar(writer);
}

int archive_writer_new(ArchiveWriter **ret, int folder_fd, usec_t now) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        int r;

        writer = calloc(1, sizeof(*writer));
        if (!writer)
                return -ENOMEM;
        writer->folder_fd = writer->fd = -1;
        writer->created_at = now - now % USEC_PER_SEC;
        r = open_all(writer, folder_fd);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(writer);
        return 0;
}

ArchiveWriter *archive_writer_free(ArchiveWriter *writer) {
        if (!writer)
                return NULL;

        writer->error = writer->error ?: -ECANCELED;  /* libarchive now writes the end of the tar file, to nowhere */
        (void) archive_write_free(writer->tar);
        archive_entry_free(writer->entry);
        (void) ZSTD_freeCCtx(writer->zstd);
        archive_sink_free(writer->sink);
        if (writer->partial[0])
                (void) unlinkat(writer->folder_fd, writer->partial, 0);
        writer->fd = fd_close(writer->fd);
        archive_manifest_free(writer->manifest);
        sha256_free(writer->sha256);
        free(writer->piece);
        writer->folder_fd = fd_close(writer->folder_fd);
        free(writer);
        return NULL;
}

/* ------------------------------------------------------------------ members */

static int write_header(ArchiveWriter *writer, const char *name, uint64_t size) {
        struct archive_entry *entry = archive_entry_clear(writer->entry);

        archive_entry_set_pathname(entry, name);
        archive_entry_set_size(entry, (la_int64_t) size);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0600);
        archive_entry_set_uid(entry, 0);
        archive_entry_set_gid(entry, 0);
        archive_entry_set_uname(entry, "root");
        archive_entry_set_gname(entry, "root");
        archive_entry_set_mtime(entry, (time_t) (writer->created_at / USEC_PER_SEC), 0);
        return tar_result(writer, archive_write_header(writer->tar, entry) == ARCHIVE_OK);
}

/* All pieces of a file, read from its start: the offset of an fd that was handed over is shared with its sender. */
static int write_content(ArchiveWriter *writer, int fd, uint64_t size) {
        uint64_t done = 0;
        int r;

        if (size > READ_BYTES)
                (void) posix_fadvise(fd, 0, (off_t) size, POSIX_FADV_SEQUENTIAL);
        while (done < size) {
                size_t wanted = (size_t) MIN(size - done, (uint64_t) READ_BYTES);
                ssize_t n = fd_pread_all(fd, writer->piece, wanted, (off_t) done);

                if (n < 0)
                        return (int) n;
                if ((size_t) n < wanted)
                        return -EPIPE;
                r = sha256_add(writer->sha256, writer->piece, wanted);
                if (r < 0)
                        return r;
                r = tar_result(writer, archive_write_data(writer->tar, writer->piece, wanted) == n);
                if (r < 0)
                        return r;
                done += wanted;
                atomic_fetch_add_explicit(&writer->bytes, wanted, memory_order_relaxed);
        }
        return tar_result(writer, archive_write_finish_entry(writer->tar) == ARCHIVE_OK);
}

static int write_member(ArchiveWriter *writer, const char *name, int fd, uint64_t size,
                        char sha256[static SHA256_TEXT_MAX]) {
        int r;

        r = write_header(writer, name, size);
        if (r < 0)
                return r;
        r = write_content(writer, fd, size);
        if (r < 0)
                return r;
        return sha256_finish(writer->sha256, sha256);
}

int archive_writer_add(ArchiveWriter *writer, const char *name, int fd, uint64_t size) {
        const char *previous = writer->previous[0] ? writer->previous : NULL;
        ArchiveMemberKind kind = archive_member_kind(name);
        int r;

        if (writer->error < 0)
                return writer->error;
        if (kind == ARCHIVE_MEMBER_MANIFEST || !archive_member_follows(previous, name))
                return -EINVAL;
        if (size > archive_member_bytes_max(kind))
                return -EFBIG;

        r = atomic_load(&writer->members) == ARCHIVE_MEMBERS_MAX ? -EMLINK : 0;
        if (r == 0)
                r = write_member(writer, name, fd, size, writer->last_sha256);
        if (r == 0)
                r = archive_manifest_add(writer->manifest, writer->last_sha256, name);
        if (r < 0) {
                writer->error = r;
                return r;
        }

        memcpy(writer->previous, name, strlen(name) + 1);
        atomic_fetch_add_explicit(&writer->members, 1, memory_order_relaxed);
        return 0;
}

const char *archive_writer_last_sha256(const ArchiveWriter *writer) {
        return writer->last_sha256;
}

/* ------------------------------------------------------------------ end */

static int write_manifest(ArchiveWriter *writer) {
        unsigned long long bytes = atomic_load(&writer->bytes);
        char sha256[SHA256_TEXT_MAX];
        uint64_t size;
        int fd, r;

        r = archive_manifest_file(writer->manifest, &fd, &size);
        if (r < 0)
                return r;
        r = write_member(writer, ARCHIVE_MANIFEST, fd, size, sha256);
        atomic_store(&writer->bytes, bytes);
        return r;
}

/* A file system that cannot rename so is told to link. */
static int rename_file(ArchiveWriter *writer, const char *name) {
        if (renameat2(writer->folder_fd, writer->partial, writer->folder_fd, name, RENAME_NOREPLACE) == 0) {
                writer->partial[0] = 0;
                return 0;
        }
        if (errno != EINVAL || linkat(writer->folder_fd, writer->partial, writer->folder_fd, name, 0) < 0)
                return -errno;
        return 0;
}

static int finish(ArchiveWriter *writer, ArchiveName *ret_name) {
        char sha256[SHA256_TEXT_MAX];
        struct stat st;
        int r;

        r = write_manifest(writer);
        if (r < 0)
                return r;
        r = tar_result(writer, archive_write_close(writer->tar) == ARCHIVE_OK);
        if (r < 0)
                return r;
        r = pack(writer, NULL, 0, ZSTD_e_end);
        if (r < 0)
                return r;
        r = archive_sink_finish(writer->sink, sha256);
        if (r < 0)
                return r;
        if (fstat(writer->fd, &st) < 0)
                return -errno;
        atomic_store(&writer->file_bytes, (unsigned long long) st.st_size);
        if (writer->tar_bytes > archive_unpacked_max((uint64_t) st.st_size))
                return -ENOTSUP;

        archive_name_format(ret_name, writer->created_at, sha256);
        r = rename_file(writer, ret_name->text);
        if (r < 0)
                return r;
        r = file_sync_folder(writer->folder_fd);
        if (r < 0)
                (void) unlinkat(writer->folder_fd, ret_name->text, 0);
        return r;
}

int archive_writer_finish(ArchiveWriter *writer, ArchiveName *ret_name) {
        int r;

        if (writer->error < 0)
                return writer->error;
        if (!writer->previous[0])
                return -EINVAL;

        r = finish(writer, ret_name);
        writer->error = r < 0 ? r : -ESHUTDOWN;  /* it takes no more */
        return r;
}

void archive_writer_totals(const ArchiveWriter *writer, ArchiveTotals *ret) {
        *ret = (ArchiveTotals) {
                .members = atomic_load_explicit(&writer->members, memory_order_relaxed),
                .bytes = atomic_load_explicit(&writer->bytes, memory_order_relaxed),
                .file_bytes = atomic_load_explicit(&writer->file_bytes, memory_order_relaxed),
        };
}
