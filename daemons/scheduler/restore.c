#include "restore.h"

#include <errno.h>
#include <string.h>

#include "member-feed.h"
#include "worker-dialog.h"

#define ABANDON_USEC (5 * USEC_PER_SEC)

typedef struct Restore {
        TaskContext *context;
        RestoreJob *job;
        WorkerDialog worker;
        char *adoption;
        bool unheard;    /* Adopt was asked for, and there was no reply */
} Restore;

static JsonValue *adoption_parameters(const Restore *restore) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();

        return json_add_string(parameters, "adoption", restore->adoption) < 0 ? NULL : TAKE_PTR(parameters);
}

static int prepare(Restore *restore) {
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        const char *adoption;
        int r;

        r = worker_dialog_open(&restore->worker, restore->context, restore->job->worker_path);
        if (r >= 0)
                r = worker_dialog_call(&restore->worker, "io.atelier.Store.PrepareAdoption", NULL,
                                       WORKER_PATIENCE_USEC, &answer);
        if (r != 0)
                return RESTORE_FAILED;
        adoption = json_get_string(answer.parameters, "adoption");
        restore->adoption = adoption ? strdup(adoption) : NULL;
        if (!restore->adoption) {
                task_say(restore->context, "the worker prepared nothing that could be adopted");
                return RESTORE_FAILED;
        }
        return 0;
}

/* What ended the reading, in words: a feed that failed has said it itself. */
static int explain_reading(Restore *restore, const MemberFeed *feed, int r) {
        if (member_feed_failed(feed))
                return RESTORE_FAILED;
        if (r < 0)
                task_say(restore->context, r == -ECANCELED ? "stopped" : "%s can't be read: %s",
                         restore->job->reading.file.name.text, strerror(-r));
        return r;
}

static int hand_over(Restore *restore) {
        static const ArchiveHandlers handlers = {
                .begin = member_feed_begin,
                .data = member_feed_data,
                .end = member_feed_end,
        };
        _cleanup_(member_feed_freep) MemberFeed *feed = NULL;
        int r;

        r = member_feed_new(&feed, &restore->worker, restore->adoption);
        if (r < 0)
                return r;
        r = verify_archive(restore->context, restore->job->folder, &restore->job->reading, &handlers, feed);
        if (r != 0)
                return explain_reading(restore, feed, r);
        return member_feed_finish(feed) < 0 ? RESTORE_FAILED : 0;
}

static int adopt(Restore *restore) {
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        RestoreJob *job = restore->job;
        int r;

        if (task_cancelled(restore->context)) {
                task_say(restore->context, "stopped");
                return RESTORE_FAILED;
        }
        r = worker_dialog_call(&restore->worker, "io.atelier.Store.Adopt", adoption_parameters(restore),
                               WORKER_PATIENCE_USEC, &answer);
        restore->unheard = r < 0;
        if (r != 0)
                return RESTORE_FAILED;

        job->jobs = json_get_integer(answer.parameters, "jobs", 0);
        job->images = json_get_integer(answer.parameters, "images", 0);
        job->held = json_get_integer(answer.parameters, "held", 0);
        job->missing = json_get_integer(answer.parameters, "missing_total", 0);
        job->former = strdup(json_get_string(answer.parameters, "former") ?: "");
        task_say(restore->context, "%s is in place: %lld jobs (%lld held), %lld images; the former state is kept as "
                 "%s", job->reading.file.name.text, (long long) job->jobs, (long long) job->held, (long long) job->images,
                 job->former ?: "");
        return job->former ? 0 : -ENOMEM;
}

/* On a connection of its own: the other may have a call outstanding, or have been interrupted. Its closing ends what
 * the worker does there. True when the worker says that it has thrown away what was built. */
static bool abandon(Restore *restore) {
        _cleanup_(varlink_dialog_freep) VarlinkDialog *dialog = NULL;
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};

        worker_dialog_done(&restore->worker);
        if (!restore->adoption || varlink_dialog_open(&dialog, restore->job->worker_path, ABANDON_USEC) < 0)
                return false;
        return varlink_dialog_call(dialog, "io.atelier.Store.AbandonAdoption", adoption_parameters(restore),
                                   ABANDON_USEC, &answer) >= 0 && !answer.error;
}

/* Only a worker that was never asked, or that says so, has certainly left the state in use as it was. */
static void tell_what_is_in_use(Restore *restore, bool abandoned) {
        if (restore->unheard && !abandoned)
                task_say(restore->context, "the worker was asked to put it in place and not heard any more: whether it "
                         "has done so is said by: journalctl -u atelier-worker");
        else
                task_say_more(restore->context, "; the state in use is as before");
}

static int restore_work(TaskContext *context, void *userdata) {
        Restore restore = { .context = context, .job = userdata };
        int r;

        r = prepare(&restore);
        if (r == 0)
                r = hand_over(&restore);
        if (r == 0)
                r = adopt(&restore);
        if (r != 0)
                tell_what_is_in_use(&restore, abandon(&restore));
        worker_dialog_done(&restore.worker);
        free(restore.adoption);
        return r;
}

static void restore_job_free(void *userdata) {
        RestoreJob *job = userdata;

        free(job->worker_path);
        free(job->folder);
        free(job->former);
        free(job);
}

int restore_job_new(RestoreJob **ret, const char *worker_path, const char *folder, const BackupFile *file) {
        RestoreJob *job = calloc(1, sizeof(*job));

        if (!job)
                return -ENOMEM;
        job->reading.file = *file;
        job->worker_path = strdup(worker_path);
        job->folder = strdup(folder);
        if (!job->worker_path || !job->folder) {
                restore_job_free(job);
                return -ENOMEM;
        }
        *ret = job;
        return 0;
}

const Task restore_task = {
        .name = "restore",
        .description = "puts an archive in the place of the worker's state",
        .doing = "restoring",
        .lane = TASK_LANE_STATE,
        .work = restore_work,
        .free_job = restore_job_free,
};
