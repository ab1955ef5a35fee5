#include "archive-manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "archive-member.h"
#include "base/fd.h"

#define PIECE_BYTES ((size_t) 64 * 1024)
#define LINE_BYTES_MAX (SHA256_TEXT_MAX + 2 + ARCHIVE_MEMBER_NAME_MAX)

struct ArchiveManifest {
        int fd;
        uint64_t size;         /* bytes of all lines, in the file and in `piece` */
        size_t pending;        /* bytes of lines in `piece` that are not in the file yet */

        /* Comparing: how far both are equal. */
        uint64_t compared;
        uint64_t line_start;   /* offset of the line that `compared` lies in */
        uint64_t line;         /* its number, from 1 */

        char piece[PIECE_BYTES];
};

static int open_unnamed(int folder_fd) {
        int fd = -1;

        if (folder_fd >= 0) {
                fd = openat(folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
                if (fd < 0 && errno != EOPNOTSUPP && errno != EISDIR)
                        return -errno;
        }
        if (fd < 0)
                fd = memfd_create("archive-manifest", MFD_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int archive_manifest_new(ArchiveManifest **ret, int folder_fd) {
        _cleanup_(archive_manifest_freep) ArchiveManifest *manifest = NULL;

        manifest = calloc(1, sizeof(*manifest));
        if (!manifest)
                return -ENOMEM;
        manifest->line = 1;
        manifest->fd = open_unnamed(folder_fd);
        if (manifest->fd < 0)
                return manifest->fd;

        *ret = TAKE_PTR(manifest);
        return 0;
}

ArchiveManifest *archive_manifest_free(ArchiveManifest *manifest) {
        if (!manifest)
                return NULL;
        manifest->fd = fd_close(manifest->fd);
        free(manifest);
        return NULL;
}

static int flush(ArchiveManifest *manifest) {
        int r;

        r = fd_write_all(manifest->fd, manifest->piece, manifest->pending);
        manifest->pending = 0;
        return r;
}

int archive_manifest_add(ArchiveManifest *manifest, const char *sha256, const char *name) {
        size_t room = PIECE_BYTES - manifest->pending;
        int length, r;

        if (room < LINE_BYTES_MAX) {
                r = flush(manifest);
                if (r < 0)
                        return r;
                room = PIECE_BYTES;
        }

        length = snprintf(manifest->piece + manifest->pending, room, "%s  %s\n", sha256, name);
        assert(length > 0 && (size_t) length < room);
        manifest->pending += (size_t) length;
        manifest->size += (uint64_t) length;
        return 0;
}

int archive_manifest_file(ArchiveManifest *manifest, int *ret_fd, uint64_t *ret_size) {
        int r;

        r = flush(manifest);
        if (r < 0)
                return r;
        *ret_fd = manifest->fd;
        *ret_size = manifest->size;
        return 0;
}

/* Names the line at which both part, by the member that it should have named. */
static int differs(ArchiveManifest *manifest, Buffer *reason) {
        char line[LINE_BYTES_MAX + 1];
        const char *name, *end;
        ssize_t n;
        int r;

        n = fd_pread_all(manifest->fd, line, LINE_BYTES_MAX, (off_t) manifest->line_start);
        if (n < 0)
                return (int) n;
        line[n] = 0;
        end = strchrnul(line, '\n');
        name = line + MIN((size_t) (SHA256_TEXT_MAX - 1 + 2), (size_t) (end - line));
        if (n == 0)
                r = buffer_printf(reason, ARCHIVE_MANIFEST ": line %llu is more than the archive has members",
                                  (unsigned long long) manifest->line);
        else
                r = buffer_printf(reason,
                                  ARCHIVE_MANIFEST ": line %llu differs; expected \"%.64s\" for \"%.*s\", "
                                  "which is what the archive has",
                                  (unsigned long long) manifest->line, line, (int) (end - name), name);
        return r < 0 ? r : ARCHIVE_MANIFEST_DIFFERS;
}

static void count_lines(ArchiveManifest *manifest, const char *data, size_t size) {
        const char *p = data;

        while ((p = memchr(p, '\n', size - (size_t) (p - data)))) {
                p++;
                manifest->line++;
                manifest->line_start = manifest->compared + (uint64_t) (p - data);
        }
        manifest->compared += size;
}

static size_t equal_bytes(const char *a, const char *b, size_t size) {
        size_t i = 0;

        if (memcmp(a, b, size) == 0)
                return size;
        while (a[i] == b[i])
                i++;
        return i;
}

int archive_manifest_compare(ArchiveManifest *manifest, const void *data, size_t size, Buffer *reason) {
        const char *p = data;
        int r;

        r = flush(manifest);  /* `piece` now serves for reading */
        if (r < 0)
                return r;

        while (size > 0) {
                size_t same;
                ssize_t n;

                n = fd_pread_all(manifest->fd, manifest->piece, MIN(size, PIECE_BYTES), (off_t) manifest->compared);
                if (n < 0)
                        return (int) n;
                same = equal_bytes(p, manifest->piece, (size_t) n);
                count_lines(manifest, p, same);
                if (same < (size_t) n || n == 0)
                        return differs(manifest, reason);
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

int archive_manifest_compare_end(ArchiveManifest *manifest, Buffer *reason) {
        int r;

        r = flush(manifest);
        if (r < 0)
                return r;
        return manifest->compared == manifest->size ? 0 : differs(manifest, reason);
}
