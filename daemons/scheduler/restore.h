/* The task `restore`: an archive's members to the worker, which builds a state of them and puts it in the place of its
 * own.
 *
 *     PrepareAdoption → Receive … (member-feed.h) → archive_read() returned 0 → Adopt
 *
 * The archive is verified while it is handed over; what the worker has built of an archive that turns out to be
 * damaged at its last byte is thrown away (AbandonAdoption), as after any other failure. Where that can't be said any
 * more, the worker's next PrepareAdoption removes it. */
#pragma once

#include "verify.h"

enum {
        RESTORE_FAILED = 2,   /* beside ARCHIVE_REFUSED and errors of the file: the worker would not, or could not */
};

typedef struct RestoreJob {
        char *worker_path, *folder;
        Reading reading;
        int64_t jobs, images, held, missing;
        char *former;
} RestoreJob;

extern const Task restore_task;

int restore_job_new(RestoreJob **ret, const char *worker_path, const char *folder, const BackupFile *file);
