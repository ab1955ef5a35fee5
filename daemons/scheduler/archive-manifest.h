/* SHA256SUMS in the making: a line "hash  name" for each member, in their order.
 *
 * There may be ten million, so the writer keeps them in a file without a name beside the archive (in a memfd where the file
 * system has no such files), not on the heap, and copies them into the archive. The reader compares them with what the
 * archive has, and keeps them in a memfd: a full disk is no reason not to restore. */
#pragma once

#include "base/buffer.h"
#include "base/hash.h"

typedef struct ArchiveManifest ArchiveManifest;

int archive_manifest_new(ArchiveManifest **ret, int folder_fd);  /* -1: in a memfd */
ArchiveManifest *archive_manifest_free(ArchiveManifest *manifest);
DEFINE_CLEANUP(ArchiveManifest *, archive_manifest_free);

int archive_manifest_add(ArchiveManifest *manifest, const char *sha256, const char *name);

/* All lines, from offset 0 of a file that stays the manifest's. */
int archive_manifest_file(ArchiveManifest *manifest, int *ret_fd, uint64_t *ret_size);

enum {
        ARCHIVE_MANIFEST_DIFFERS = 1,  /* `reason` says from which line on */
};

/* Compares the lines with a text that comes piece by piece; then says that it ends. */
int archive_manifest_compare(ArchiveManifest *manifest, const void *data, size_t size, Buffer *reason);
int archive_manifest_compare_end(ArchiveManifest *manifest, Buffer *reason);
