/* Where the bytes of an archive go: into its file, and into the hash that becomes part of its name.
 *
 * The caller fills blocks; a thread writes them past the page cache (O_DIRECT, where the file system knows it: the
 * cache would be filled with what nobody reads soon, and filling it is dearer than the disk), another hashes them. */
#pragma once

#include "base/hash.h"
#include "base/macro.h"

typedef struct ArchiveSink ArchiveSink;

/* `fd` is an empty file opened for writing; it stays the caller's. */
int archive_sink_new(ArchiveSink **ret, int fd);
ArchiveSink *archive_sink_free(ArchiveSink *sink);  /* waits for its threads */
DEFINE_CLEANUP(ArchiveSink *, archive_sink_free);

/* Where the next bytes may be put, at least one; then how many were. Errors of writing show here: -ENOSPC, -EIO, … */
int archive_sink_room(ArchiveSink *sink, uint8_t **ret, size_t *ret_size);
void archive_sink_advance(ArchiveSink *sink, size_t size);

/* Nothing follows: waits until all is written and fsynced. */
int archive_sink_finish(ArchiveSink *sink, char sha256[static SHA256_TEXT_MAX]);
