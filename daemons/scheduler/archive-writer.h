/* Writes one archive: a tar file (pax) compressed with zstd that `tar` and `sha256sum -c` can read.
 *
 * Blocks: for a helper thread. The file has a temporary name until archive_writer_finish() has fsynced it; its final
 * name, which carries the SHA-256 of the whole file, is the proof that it is complete. */
#pragma once

#include <stdatomic.h>

#include "archive-name.h"

typedef struct ArchiveWriter ArchiveWriter;

typedef struct ArchiveTotals {
        uint64_t members;     /* without SHA256SUMS */
        uint64_t bytes;       /* of their contents */
        uint64_t file_bytes;  /* of the archive */
} ArchiveTotals;

int archive_writer_new(ArchiveWriter **ret, int folder_fd, usec_t now);
ArchiveWriter *archive_writer_free(ArchiveWriter *writer);  /* removes the file unless it was finished */
DEFINE_CLEANUP(ArchiveWriter *, archive_writer_free);

/* Reads exactly `size` bytes from the start of fd, a regular file, into the member. Its offset is neither used nor
 * moved: it is shared with whoever handed over the fd. -EINVAL for a name that the reader would refuse
 * (archive-member.h) and -EFBIG for such a size, neither of which does harm; -EPIPE when the file is shorter; -ENOSPC,
 * -EIO, …, -EMLINK for one member more than ARCHIVE_MEMBERS_MAX. These are given again by every later call. */
int archive_writer_add(ArchiveWriter *writer, const char *name, int fd, uint64_t size);

/* The hash of the member that was added last. */
const char *archive_writer_last_sha256(const ArchiveWriter *writer);

/* Adds SHA256SUMS, fsyncs, renames, fsyncs the folder. After 0 the archive is durable and whole. -EINVAL without a
 * database; -EEXIST when there is the very same archive; -ENOTSUP when the content packs better than the reader
 * believes (archive_unpacked_max()). */
int archive_writer_finish(ArchiveWriter *writer, ArchiveName *ret_name);

/* So far, from any thread; file_bytes is approximate until the end. */
void archive_writer_totals(const ArchiveWriter *writer, ArchiveTotals *ret);
