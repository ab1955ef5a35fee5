#include "archive-reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive-frame.h"
#include "archive-member.h"
#include "archive-source.h"
#include "archive-tar.h"
#include "base/fd.h"

/* Three layers, each with limits of its own, and each knowing the one below only by its pieces of bytes: the file
 * (archive-source), the zstd frame in it (archive-frame), the tar stream in that (archive-tar). The threads that read
 * and hash the file belong to the lowest and end with it; all else happens in the caller's. */

typedef struct Unpacking {
        ArchiveFrame *frame;
        ArchiveProgress *progress;
} Unpacking;

static int next_piece(void *userdata, const void **ret, size_t *ret_size, Buffer *reason) {
        Unpacking *unpacking = userdata;

        if (unpacking->progress && atomic_load_explicit(&unpacking->progress->cancel, memory_order_relaxed))
                return -ECANCELED;
        return archive_frame_next(unpacking->frame, ret, ret_size, reason);
}

static int refuse(Buffer *reason, const char *what) {
        int r = buffer_append_text(reason, what);

        return r < 0 ? r : ARCHIVE_REFUSED;
}

/* Neither a link nor a FIFO is followed or waited for. */
static int open_archive(int folder_fd, const ArchiveName *name, int *ret_fd, uint64_t *ret_size, Buffer *reason) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        fd = openat(folder_fd, name->text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return errno == ELOOP ? refuse(reason, "a symbolic link; expected a file") : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return refuse(reason, "not a regular file");

        *ret_fd = TAKE_FD(fd);
        *ret_size = (uint64_t) st.st_size;
        return 0;
}

/* What is inside agrees with itself; it is also what was written under this name. */
static int check_hash(ArchiveSource *source, const ArchiveName *name, Buffer *reason) {
        char sha256[SHA256_TEXT_MAX];
        int r;

        r = archive_source_finish(source, sha256);
        if (r < 0)
                return r;
        if (strcmp(sha256, name->sha256) == 0)
                return 0;
        r = buffer_printf(reason, "the file's SHA-256 is %s; expected the one in its name", sha256);
        return r < 0 ? r : ARCHIVE_REFUSED;
}

int archive_read(int folder_fd, const ArchiveName *name, const ArchiveHandlers *handlers, void *userdata,
                 ArchiveProgress *progress, ArchiveTotals *ret_totals, Buffer *reason) {
        _cleanup_close_ int fd = -1;
        _cleanup_(archive_source_freep) ArchiveSource *source = NULL;
        _cleanup_(archive_frame_freep) ArchiveFrame *frame = NULL;
        Unpacking unpacking = { .progress = progress };
        ArchivePull pull = { .next = next_piece, .userdata = &unpacking };
        ArchiveTotals totals = {};
        uint64_t size = 0;
        int r;

        r = open_archive(folder_fd, name, &fd, &size, reason);
        if (r != 0)
                return r;
        r = archive_source_new(&source, fd, progress);
        if (r < 0)
                return r;
        r = archive_frame_new(&frame, source, archive_unpacked_max(size));
        if (r < 0)
                return r;

        unpacking.frame = frame;
        r = archive_tar_read(&pull, handlers, userdata, &totals, reason);
        if (r != 0)
                return r;
        r = check_hash(source, name, reason);
        if (r != 0)
                return r;

        totals.file_bytes = size;
        if (ret_totals)
                *ret_totals = totals;
        return 0;
}
