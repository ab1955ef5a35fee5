/* Reading an archive from its first byte to its last, as a task: alone (`verify`), or with handlers (restore.h). */
#pragma once

#include "archive-reader.h"
#include "backup-folder.h"
#include "task.h"

#define READING_REASON_MAX 384

/* An archive, and what reading it has come to. */
typedef struct Reading {
        BackupFile file;
        ArchiveTotals totals;
        char reason[READING_REASON_MAX];   /* why it was refused; else empty */
} Reading;

typedef struct VerifyJob {
        char *folder;
        Reading reading;
} VerifyJob;

/* Outcomes of its work: 0, ARCHIVE_REFUSED, -ENOENT (removed meanwhile), -ECANCELED, -EIO, … */
extern const Task verify_task;

int verify_job_new(VerifyJob **ret, const char *folder, const BackupFile *file);

/* For the thread of a task: reads, counts, and tells task_say() what is wrong with the archive. What the handlers fail
 * with is returned as it is, and nothing said. */
int verify_archive(TaskContext *context, const char *folder, Reading *reading, const ArchiveHandlers *handlers,
                   void *userdata);
