/* One zstd frame, unpacked: the only thing that may be in an archive's file.
 *
 * Memory is bounded by FRAME_WINDOW_LOG_MAX whatever the frame says of itself, and the amount of what comes out by
 * `unpacked_max`, in bytes. A further frame or anything else behind the first is refused. */
#pragma once

#include "archive-source.h"
#include "base/buffer.h"

#define FRAME_WINDOW_LOG_MAX 23   /* 8 MiB: what levels 1 to 19 ask for */
#define FRAME_PIECE_BYTES ((size_t) 128 * 1024)

typedef struct ArchiveFrame ArchiveFrame;

int archive_frame_new(ArchiveFrame **ret, ArchiveSource *source, uint64_t unpacked_max);
ArchiveFrame *archive_frame_free(ArchiveFrame *frame);
DEFINE_CLEANUP(ArchiveFrame *, archive_frame_free);

/* The next bytes, until the next call; all but the last piece have FRAME_PIECE_BYTES. Size 0: the frame and the file
 * have ended. ARCHIVE_REFUSED with a reason; -ENOMEM, and what archive_source_next() gives. */
int archive_frame_next(ArchiveFrame *frame, const void **ret, size_t *ret_size, Buffer *reason);
