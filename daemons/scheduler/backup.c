#include "backup.h"

#include <errno.h>
#include <string.h>

#include "backup-folder.h"
#include "base/fd.h"
#include "byte-text.h"
#include "worker-dialog.h"

#define MISSING_NAMED_MAX 3   /* in the message */

typedef struct Backup {
        TaskContext *context;
        BackupJob *job;
        ArchiveWriter *writer;
} Backup;

/* ---------------------------------------------------------------- errors in words */

static int explain_full(const Backup *backup, int error) {
        char read[BYTE_TEXT_MAX], grown[BYTE_TEXT_MAX], left[BYTE_TEXT_MAX], kept[BYTE_TEXT_MAX];
        ArchiveTotals totals = {};
        uint64_t free_bytes = 0;

        if (backup->writer)
                archive_writer_totals(backup->writer, &totals);
        (void) backup_folder_free_bytes(backup->job->folder, &free_bytes);
        task_say(backup->context, "%s: the archive does not fit into %s: it had grown to %s after %s of the state, "
                 "%s are free beside it, and %s must stay free (worker.storage_free_min)", strerror(-error),
                 backup->job->folder, byte_text(totals.file_bytes, grown),
                 byte_text_of(totals.bytes, task_total(backup->context), read), byte_text(free_bytes, left),
                 byte_text(backup->job->free_min, kept));
        return error;
}

static int explain(const Backup *backup, int error, const char *what) {
        switch (error) {
        case -ENOSPC:
        case -EDQUOT:
                return explain_full(backup, error);
        case -EMLINK:
                task_say(backup->context, "%s: more files than an archive may hold, which is %d", what,
                         ARCHIVE_MEMBERS_MAX);
                return error;
        case -ENOTSUP:
                task_say(backup->context, "%s: the state is so empty that its archive would look like a "
                         "decompression bomb, more than %d times its size; expected a database without gigabytes "
                         "of zeros", what, ARCHIVE_RATIO_MAX);
                return error;
        default:
                task_say(backup->context, "%s: %s", what, strerror(-error));
                return error;
        }
}

static int explain_folder(const Backup *backup, int error) {
        task_say(backup->context, "the backup folder %s can't be used: %s", backup->job->folder, strerror(-error));
        return error;
}

static int refuse_reply(const Backup *backup) {
        task_say(backup->context, "the worker's snapshot makes no sense");
        return -EBADMSG;
}

/* ---------------------------------------------------------------- members */

/* Whatever else lies on that disk, the worker's state above all, is not to meet its end by a backup. */
static int check_space(const Backup *backup, uint64_t size) {
        uint64_t free_bytes = 0;
        int r;

        r = backup_folder_free_bytes(backup->job->folder, &free_bytes);
        if (r < 0)
                return r;
        return free_bytes < backup->job->free_min + size ? -ENOSPC : 0;
}

/* An image is named after its content. */
static void note_decayed(Backup *backup, const char *name) {
        BackupJob *job = backup->job;

        if (archive_member_kind(name) != ARCHIVE_MEMBER_IMAGE ||
            strstr(name, archive_writer_last_sha256(backup->writer)))
                return;
        if (job->decayed++ == 0)
                (void) stpncpy(job->first_decayed, name, sizeof(job->first_decayed) - 1);
}

static int add_member(Backup *backup, const JsonValue *member, int fd) {
        const char *name = json_get_string(member, "name");
        int64_t size = json_get_integer(member, "size_bytes", -1);
        ArchiveTotals totals;
        int r;

        if (!name || size < 0)
                return refuse_reply(backup);
        if (task_cancelled(backup->context)) {
                task_say(backup->context, "stopped");
                return -ECANCELED;
        }
        r = check_space(backup, (uint64_t) size);
        if (r >= 0)
                r = archive_writer_add(backup->writer, name, fd, (uint64_t) size);
        if (r == -EPIPE || r == -EINVAL) {
                task_say(backup->context, r == -EPIPE ? "%s is shorter than the worker said" :
                         "%s can't stand in an archive", name);
                return r;
        }
        if (r < 0)
                return explain(backup, r, name);

        note_decayed(backup, name);
        archive_writer_totals(backup->writer, &totals);
        task_set_done(backup->context, totals.bytes);
        return 0;
}

static int add_members(Backup *backup, const VarlinkAnswer *answer) {
        const JsonValue *members = json_get_array(answer->parameters, "members"), *member;
        int64_t total = json_get_integer(answer->parameters, "bytes_total", 0);
        size_t i = 0;
        int r;

        if (!members || (size_t) cJSON_GetArraySize(members) != answer->n_fds)
                return refuse_reply(backup);
        if (total > 0)
                task_set_total(backup->context, (uint64_t) total);
        cJSON_ArrayForEach(member, members) {
                r = add_member(backup, member, answer->fds[i++]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool came_whole(const Backup *backup, const VarlinkAnswer *last) {
        ArchiveTotals totals;

        archive_writer_totals(backup->writer, &totals);
        return json_get_integer(last->parameters, "members_total", -1) == (int64_t) totals.members &&
               json_get_integer(last->parameters, "bytes_total", -1) == (int64_t) totals.bytes;
}

/* *ret is the last reply, which has no members. */
static int take_snapshot(Backup *backup, VarlinkAnswer *ret) {
        _cleanup_(worker_dialog_done) WorkerDialog worker = {};
        int r;

        r = worker_dialog_open(&worker, backup->context, backup->job->worker_path);
        if (r < 0)
                return r;
        r = worker_dialog_send(&worker, "io.atelier.Store.Snapshot", NULL, true);
        if (r < 0)
                return r;
        for (;;) {
                _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};

                r = worker_dialog_receive(&worker, WORKER_PATIENCE_USEC, &answer);
                if (r != 0)
                        return r;
                r = add_members(backup, &answer);
                if (r < 0)
                        return r;
                if (answer.continues)
                        continue;
                if (!came_whole(backup, &answer))
                        return refuse_reply(backup);
                *ret = answer;
                answer = (VarlinkAnswer) {};
                return 0;
        }
}

/* ---------------------------------------------------------------- the run */

static int tell_missing(const Backup *backup, const JsonValue *parameters) {
        const JsonValue *missing = json_get_array(parameters, "missing"), *name;
        _cleanup_(buffer_done) Buffer names = {};
        size_t i = 0;

        cJSON_ArrayForEach(name, missing) {
                if (i >= MISSING_NAMED_MAX || !cJSON_IsString(name))
                        break;
                (void) buffer_printf(&names, "%s%s", i++ > 0 ? ", " : "", cJSON_GetStringValue(name));
        }
        task_say(backup->context, "%s was made and is whole, but lacks %llu image%s that the database names and the "
                 "disk has lost: %.*s%s", backup->job->name.text, (unsigned long long) backup->job->missing,
                 backup->job->missing == 1 ? "" : "s", (int) names.size, names.data ? (char *) names.data : "",
                 backup->job->missing > i ? ", …" : "");
        return -ENODATA;
}

static int tell_decayed(const Backup *backup) {
        const BackupJob *job = backup->job;

        task_say(backup->context, "%s was made, but of %llu image%s in it the content is not what the name says, the disk has "
                 "damaged it: %s%s", job->name.text, (unsigned long long) job->decayed, job->decayed == 1 ? "" : "s",
                 job->first_decayed, job->decayed > 1 ? ", …" : "");
        return -ENODATA;
}

static int finish(Backup *backup, const JsonValue *parameters) {
        BackupJob *job = backup->job;
        char file[BYTE_TEXT_MAX], bytes[BYTE_TEXT_MAX];
        int r;

        if (task_cancelled(backup->context)) {
                task_say(backup->context, "stopped");
                return -ECANCELED;
        }
        r = archive_writer_finish(backup->writer, &job->name);
        if (r < 0 && r != -EEXIST)  /* the name says that the very same archive is there already */
                return explain(backup, r, "the archive can't be finished");

        archive_writer_totals(backup->writer, &job->totals);
        job->missing = (uint64_t) MAX(json_get_integer(parameters, "missing_total", 0), INT64_C(0));
        if (job->missing > 0)
                return tell_missing(backup, parameters);
        if (job->decayed > 0)
                return tell_decayed(backup);
        task_say(backup->context, "%s: %llu files, %s, in an archive of %s", job->name.text,
                 (unsigned long long) job->totals.members, byte_text(job->totals.bytes, bytes),
                 byte_text(job->totals.file_bytes, file));
        return 0;
}

static int backup_work(TaskContext *context, void *userdata) {
        _cleanup_(archive_writer_freep) ArchiveWriter *writer = NULL;
        _cleanup_(varlink_answer_done) VarlinkAnswer last = {};
        Backup backup = { .context = context, .job = userdata };
        _cleanup_close_ int folder_fd = -1;
        unsigned removed;
        int r;

        folder_fd = backup_folder_open(backup.job->folder);
        if (folder_fd < 0)
                return explain_folder(&backup, folder_fd);
        r = archive_remove_partials(folder_fd, &removed);
        if (r >= 0)
                r = archive_writer_new(&writer, folder_fd, time_now_realtime());
        if (r < 0)
                return r == -ENOSPC ? explain(&backup, r, "") : explain_folder(&backup, r);
        backup.writer = writer;

        r = take_snapshot(&backup, &last);
        return r != 0 ? r : finish(&backup, last.parameters);
}

int backup_job_new(BackupJob **ret, const char *worker_path, const char *folder, uint64_t free_min) {
        BackupJob *job = calloc(1, sizeof(*job));

        if (!job)
                return -ENOMEM;
        job->free_min = free_min;
        job->worker_path = strdup(worker_path);
        job->folder = strdup(folder);
        if (!job->worker_path || !job->folder) {
                backup_task.free_job(job);
                return -ENOMEM;
        }
        *ret = job;
        return 0;
}

static void backup_job_free(void *userdata) {
        BackupJob *job = userdata;

        free(job->worker_path);
        free(job->folder);
        free(job);
}

const Task backup_task = {
        .name = "backup",
        .description = "writes the whole state into an archive in the backup folder",
        .doing = "backing up",
        .lane = TASK_LANE_STATE,
        .work = backup_work,
        .free_job = backup_job_free,
};
