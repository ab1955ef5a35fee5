/* The copying of one request's uploads, in a helper thread: nothing of what the peer says of them is believed. */
#pragma once

#include "images/image-store.h"
#include "queue/uploads.h"
#include "store/job.h"

typedef struct UploadIntake {
        int fd;                                     /* of the file that holds them all */
        size_t n;
        uint64_t sizes[UPLOADS_MAX];                /* bytes, in their order */
        size_t mask;                                /* which one is it; UPLOADS_MAX: none */
        TemporaryImage *images[UPLOADS_MAX];        /* whole and judged after upload_intake_copy() */
} UploadIntake;

enum {
        UPLOAD_REFUSED = 1,
};

/* From request.uploads. UPLOAD_REFUSED: they cannot be meant. */
int upload_intake_read(UploadIntake *intake, const JsonValue *uploads);
void upload_intake_done(UploadIntake *intake);

/* Blocks. UPLOAD_REFUSED with *failure the answer to give; -ENOSPC and other errors of our own disk. */
int upload_intake_copy(UploadIntake *intake, ImageStore *store, Failure *failure);

/* request.uploads with all that is known, the mask at its end. NULL when memory is short. */
JsonValue *upload_intake_describe(const UploadIntake *intake);
