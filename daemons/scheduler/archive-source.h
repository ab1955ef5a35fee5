/* Where the bytes of an archive come from: its file, hashed on the way.
 *
 * A thread reads blocks ahead, another hashes them, the caller unpacks them. What the page cache has is taken from
 * there; the rest is read past it (O_DIRECT, where the file system knows it), for a whole archive would push out what
 * is in use. */
#pragma once

#include "archive-reader.h"

typedef struct ArchiveSource ArchiveSource;

/* `fd` is a regular file; it stays the caller's. Counts what it has read into `progress`, which may be NULL. */
int archive_source_new(ArchiveSource **ret, int fd, ArchiveProgress *progress);
ArchiveSource *archive_source_free(ArchiveSource *source);  /* waits for its threads */
DEFINE_CLEANUP(ArchiveSource *, archive_source_free);

/* The next bytes, until the next call: 1, or 0 at the end. -EIO, … */
int archive_source_next(ArchiveSource *source, const uint8_t **ret, size_t *ret_size);

/* The hash of the whole file, once archive_source_next() has returned 0. */
int archive_source_finish(ArchiveSource *source, char sha256[static SHA256_TEXT_MAX]);
