/* What jobs were given to work on: files of the image store, and who needs them.
 *
 * A file is needed by each job that has not ended and names it here. That a job has ended, or is deleted, is noted with its
 * rows (`done`) in the same transaction; they stay until the file has been looked after, so that no crash leaves a
 * client's picture behind. */
#pragma once

#include "store/store.h"

typedef struct DoneUpload {
        char job[JOB_ID_MAX];
        char sha256[SHA256_TEXT_MAX];
        ImageFormat format;
} DoneUpload;

/* In the transaction that submits the job: those of job->uploads. */
int store_add_uploads(Store *store, const Job *job);

/* In the transaction that ends or deletes the job. */
int store_end_uploads(Store *store, const char *job);

/* How many jobs that have not ended need the file. */
int store_upload_uses(Store *store, const char *sha256, ImageFormat format, int64_t *ret);

/* Those that nobody has looked after yet, up to `max`. Returns their number. */
int store_done_uploads(Store *store, DoneUpload *uploads, size_t max);
int store_remove_upload(Store *store, const DoneUpload *upload);

/* Whether there is any row at all. */
int store_has_uploads(Store *store, bool *ret);
