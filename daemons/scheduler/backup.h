/* The task `backup`: the worker's state, member by member, into one archive.
 *
 * The worker takes the snapshot and hands over fds; only what is here is read from them. An archive has its name only
 * when it is whole and durable, so that a run that ends anywhere before leaves a partial file, which the next removes.
 *
 * A snapshot whose database names images that the disk has lost, or whose content has decayed, makes an archive of all there
 * is, since that is worth having; but the run has failed, so that somebody looks. */
#pragma once

#include "archive-member.h"
#include "archive-writer.h"
#include "task.h"

typedef struct BackupJob {
        char *worker_path, *folder;
        uint64_t free_min;         /* bytes that are left free beside the archive */
        ArchiveName name;          /* of the archive that was made; empty: none */
        ArchiveTotals totals;
        uint64_t missing;          /* images */
        uint64_t decayed;          /* images whose content is not what their names say; the first one's name: */
        char first_decayed[ARCHIVE_MEMBER_NAME_MAX];
} BackupJob;

extern const Task backup_task;

int backup_job_new(BackupJob **ret, const char *worker_path, const char *folder, uint64_t free_min);
