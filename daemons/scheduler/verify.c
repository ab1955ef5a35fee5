#include "verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "byte-text.h"

int verify_archive(TaskContext *context, const char *folder, Reading *reading, const ArchiveHandlers *handlers,
                   void *userdata) {
        _cleanup_(buffer_done) Buffer reason = {};
        _cleanup_close_ int folder_fd = -1;
        int r;

        folder_fd = backup_folder_open(folder);
        if (folder_fd < 0) {
                task_say(context, "the backup folder %s can't be opened: %s", folder, strerror(-folder_fd));
                return folder_fd;
        }
        task_set_total(context, reading->file.size_bytes);
        r = archive_read(folder_fd, &reading->file.name, handlers, userdata, task_progress(context), &reading->totals,
                         &reason);
        if (r != ARCHIVE_REFUSED)
                return r;
        (void) snprintf(reading->reason, sizeof(reading->reason), "%.*s", (int) reason.size,
                        reason.data ? (char *) reason.data : "");
        task_say(context, "%s: %s", reading->file.name.text, reading->reason);
        return r;
}

static int verify_work(TaskContext *context, void *userdata) {
        VerifyJob *job = userdata;
        char bytes[BYTE_TEXT_MAX];
        int r;

        r = verify_archive(context, job->folder, &job->reading, NULL, NULL);
        if (r == 0)
                task_say(context, "%s is whole: %llu files, %s", job->reading.file.name.text,
                         (unsigned long long) job->reading.totals.members, byte_text(job->reading.totals.bytes, bytes));
        else if (r < 0)
                task_say(context, "%s can't be read: %s", job->reading.file.name.text, strerror(-r));
        return r;
}

static void verify_job_free(void *userdata) {
        VerifyJob *job = userdata;

        free(job->folder);
        free(job);
}

int verify_job_new(VerifyJob **ret, const char *folder, const BackupFile *file) {
        VerifyJob *job = calloc(1, sizeof(*job));

        if (!job)
                return -ENOMEM;
        job->reading.file = *file;
        job->folder = strdup(folder);
        if (!job->folder) {
                free(job);
                return -ENOMEM;
        }
        *ret = job;
        return 0;
}

const Task verify_task = {
        .name = "verify",
        .description = "reads an archive and checks every hash",
        .doing = "verifying",
        .lane = TASK_LANE_READ,
        .work = verify_work,
        .free_job = verify_job_free,
};
