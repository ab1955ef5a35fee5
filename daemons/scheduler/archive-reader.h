/* Reads one archive and trusts nothing of it.
 *
 * One pass: the whole file is hashed while its members are decompressed, hashed and handed out; at the end the file's
 * hash must be the one in its name, and SHA256SUMS must name exactly the members with their hashes. So the caller may
 * put members where they can be thrown away, and counts on nothing before archive_read() has returned 0.
 *
 * What may be in an archive (archive-member.h): regular files alone, with the names that a snapshot has, in its order,
 * none twice; sizes within limits; no more bytes than archive_unpacked_max() of the file's. Blocks: for a helper
 * thread. */
#pragma once

#include <stdatomic.h>

#include "archive-name.h"
#include "archive-writer.h"
#include "base/buffer.h"

enum {
        ARCHIVE_REFUSED = 1,           /* damaged, or not one of ours: `reason` says where and what */
};

/* All optional. A negative errno ends the reading and is returned. `userdata` as given. */
typedef struct ArchiveHandlers {
        int (*begin)(const char *name, uint64_t size, void *userdata);
        int (*data)(const void *data, size_t size, void *userdata);
        int (*end)(const char *sha256, void *userdata);
} ArchiveHandlers;

typedef struct ArchiveProgress {
        atomic_bool cancel;            /* set by another thread: -ECANCELED */
        atomic_ullong done;            /* bytes of the file read */
} ArchiveProgress;

/* `handlers` may be NULL: verifies only. `progress` may be NULL. `reason` gets one line of text. -ENOENT and other
 * errors of the file itself; -EIO; -ENOMEM. */
int archive_read(int folder_fd, const ArchiveName *name, const ArchiveHandlers *handlers, void *userdata,
                 ArchiveProgress *progress, ArchiveTotals *ret_totals, Buffer *reason);
