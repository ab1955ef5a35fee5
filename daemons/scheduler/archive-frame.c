#include "archive-frame.h"

#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

struct ArchiveFrame {
        ArchiveSource *source;
        ZSTD_DStream *stream;
        ZSTD_inBuffer input;
        uint64_t read, unpacked, unpacked_max;   /* bytes */
        bool ended;                              /* the frame is complete */
        uint8_t piece[FRAME_PIECE_BYTES];
};

int archive_frame_new(ArchiveFrame **ret, ArchiveSource *source, uint64_t unpacked_max) {
        _cleanup_(archive_frame_freep) ArchiveFrame *frame = NULL;

        frame = calloc(1, sizeof(*frame));
        if (!frame)
                return -ENOMEM;
        frame->source = source;
        frame->unpacked_max = unpacked_max;
        frame->stream = ZSTD_createDStream();
        if (!frame->stream)
                return -ENOMEM;
        if (ZSTD_isError(ZSTD_DCtx_setParameter(frame->stream, ZSTD_d_windowLogMax, FRAME_WINDOW_LOG_MAX)))
                return -ENOTSUP;

        *ret = TAKE_PTR(frame);
        return 0;
}

ArchiveFrame *archive_frame_free(ArchiveFrame *frame) {
        if (!frame)
                return NULL;
        (void) ZSTD_freeDStream(frame->stream);
        free(frame);
        return NULL;
}

static int refuse(const ArchiveFrame *frame, Buffer *reason, const char *what) {
        int r = buffer_printf(reason, "near byte %llu of the file: %s",
                              (unsigned long long) (frame->read - frame->input.size + frame->input.pos), what);

        return r < 0 ? r : ARCHIVE_REFUSED;
}

static int refuse_code(const ArchiveFrame *frame, Buffer *reason, size_t code) {
        switch (ZSTD_getErrorCode(code)) {
        case ZSTD_error_memory_allocation:
                return -ENOMEM;
        case ZSTD_error_prefix_unknown:
                return refuse(frame, reason, "not compressed by zstd");
        case ZSTD_error_frameParameter_windowTooLarge:
                return refuse(frame, reason, "unpacking asks for more memory than an archive may; expected a window "
                                             "of at most 8 MiB");
        case ZSTD_error_checksum_wrong:
                return refuse(frame, reason, "damaged: the checksum of the zstd frame is wrong");
        default:
                return refuse(frame, reason, ZSTD_getErrorName(code));
        }
}

/* Makes sure of input: 1, or 0 at the end of the file. */
static int take_input(ArchiveFrame *frame) {
        const uint8_t *data;
        size_t size;
        int r;

        if (frame->input.pos < frame->input.size)
                return 1;
        r = archive_source_next(frame->source, &data, &size);
        if (r <= 0)
                return r;

        frame->input = (ZSTD_inBuffer) { .src = data, .size = size };
        frame->read += size;
        return 1;
}

static int check_size(ArchiveFrame *frame, size_t more, Buffer *reason) {
        frame->unpacked += more;
        if (frame->unpacked <= frame->unpacked_max)
                return 0;
        return refuse(frame, reason, "unpacks to far more bytes than an archive does; expected at most 1 GiB, and "
                                     "200 for each byte of the file");
}

/* The frame is complete: so must be the file. */
static int expect_end(ArchiveFrame *frame, Buffer *reason) {
        int r = take_input(frame);

        return r > 0 ? refuse(frame, reason, "there is more behind the end of the zstd frame") : r;
}

/* zstd keeps back what did not fit into the output, so it is asked until the piece is full or wants input. */
static int unpack(ArchiveFrame *frame, ZSTD_outBuffer *output, Buffer *reason) {
        while (!frame->ended && output->pos < output->size) {
                size_t code;
                int r;

                r = take_input(frame);
                if (r < 0)
                        return r;
                if (r == 0)
                        return refuse(frame, reason, "the file is cut short");
                code = ZSTD_decompressStream(frame->stream, output, &frame->input);
                if (ZSTD_isError(code))
                        return refuse_code(frame, reason, code);
                frame->ended = code == 0;
        }
        return 0;
}

int archive_frame_next(ArchiveFrame *frame, const void **ret, size_t *ret_size, Buffer *reason) {
        ZSTD_outBuffer output = { .dst = frame->piece, .size = FRAME_PIECE_BYTES };
        int r;

        r = unpack(frame, &output, reason);
        if (r != 0)
                return r;
        if (frame->ended) {
                r = expect_end(frame, reason);
                if (r != 0)
                        return r;
        }
        r = check_size(frame, output.pos, reason);
        if (r != 0)
                return r;

        *ret = frame->piece;
        *ret_size = output.pos;
        return 0;
}
