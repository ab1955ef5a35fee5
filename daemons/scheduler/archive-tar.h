/* The members of an archive: the tar stream that its zstd frame holds.
 *
 * libarchive reads the tar format, and no other; everything that it would understand beyond what a snapshot has is
 * refused here: names, kinds, order, sizes, attributes, what stands behind the end. Memory is bounded: for one header
 * libarchive gets at most ARCHIVE_HEADER_BYTES_MAX (chains of GNU headers have no limit of their own). */
#pragma once

#include "archive-reader.h"

#define ARCHIVE_HEADER_BYTES_MAX ((size_t) 256 * 1024)
#define ARCHIVE_TAIL_BYTES_MAX ((size_t) 10240)  /* zeros behind the last member: a record of tar(1) */

/* Gives the next bytes, until the next call; size 0 at the end. 0, ARCHIVE_REFUSED with a reason, negative errno. */
typedef struct ArchivePull {
        int (*next)(void *userdata, const void **ret, size_t *ret_size, Buffer *reason);
        void *userdata;
} ArchivePull;

/* Reads all and checks SHA256SUMS. As archive_read(). */
int archive_tar_read(const ArchivePull *pull, const ArchiveHandlers *handlers, void *userdata,
                     ArchiveTotals *ret_totals, Buffer *reason);
