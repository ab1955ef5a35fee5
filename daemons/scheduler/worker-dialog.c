#include "worker-dialog.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

/* Of a long wait. Each is a sign of life, since the worker is watched by its own watchdog. */
#define SLICE_USEC (10 * USEC_PER_SEC)

static int explain_errno(TaskContext *context, int error) {
        switch (error) {
        case -ECANCELED:
                task_say(context, "stopped");
                break;
        case -ENOENT:
        case -ECONNREFUSED:
                task_say(context, "nothing listens on the worker's socket; start it with: "
                         "systemctl start atelier-worker.socket");
                break;
        case -EACCES:
                task_say(context, "the worker's socket does not let the scheduler in");
                break;
        case -ETIMEDOUT:
                task_say(context, "the worker did not answer in time; see: journalctl -u atelier-worker");
                break;
        case -ECONNRESET:
                task_say(context, "the worker ended in the middle of it; see: journalctl -u atelier-worker");
                break;
        default:
                task_say(context, "the worker can't be asked: %s", strerror(-error));
        }
        return error;
}

/* Errors of io.atelier.Store, as sentences. */
static int explain_refusal(TaskContext *context, const VarlinkAnswer *answer) {
        const char *reason = json_get_string(answer->parameters, "reason") ?: "no reason given";
        const char *name = text_after(answer->error, "io.atelier.Store.");

        if (text_equal(name, "Busy"))
                task_say(context, "the worker is busy with another snapshot or adoption");
        else if (text_equal(name, "MemberRefused"))
                task_say(context, "the worker refused %s: %s",
                         json_get_string(answer->parameters, "name") ?: "a member", reason);
        else if (text_equal(name, "StateRefused"))
                task_say(context, "the worker refused the state: %s", reason);
        else if (text_equal(name, "AdoptionNotFound"))
                task_say(context, "the worker was started anew in the middle of it");
        else if (text_equal(answer->error, VARLINK_ERROR_SYSTEM))
                task_say(context, "the worker failed: %s; see: journalctl -u atelier-worker",
                         strerror((int) json_get_integer(answer->parameters, "errno", EIO)));
        else
                task_say(context, "the worker answered %s", answer->error);
        return WORKER_REFUSED;
}

int worker_dialog_open(WorkerDialog *ret, TaskContext *context, const char *path) {
        int r;

        if (task_cancelled(context))
                return explain_errno(context, -ECANCELED);
        r = varlink_dialog_open(&ret->dialog, path, WORKER_CALL_USEC);
        if (r < 0)
                return explain_errno(context, r);
        ret->context = context;
        task_set_dialog(context, ret->dialog);
        return 0;
}

void worker_dialog_done(WorkerDialog *worker) {
        if (!worker->dialog)
                return;
        task_set_dialog(worker->context, NULL);
        worker->dialog = varlink_dialog_free(worker->dialog);
}

int worker_dialog_send(WorkerDialog *worker, const char *method, JsonValue *parameters, bool more) {
        int r;

        r = varlink_dialog_send(worker->dialog, method, parameters, more, WORKER_CALL_USEC);
        return r < 0 ? explain_errno(worker->context, r) : 0;
}

int worker_dialog_receive(WorkerDialog *worker, usec_t patience, VarlinkAnswer *ret) {
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        usec_t end = time_now_monotonic() + patience;
        int r;

        do {
                r = varlink_dialog_receive(worker->dialog, MIN(SLICE_USEC, patience), &answer);
                task_touch(worker->context);
        } while (r == -ETIMEDOUT && time_now_monotonic() < end);
        if (r < 0)
                return explain_errno(worker->context, r);
        if (answer.error)
                return explain_refusal(worker->context, &answer);

        *ret = answer;
        answer = (VarlinkAnswer) {};
        return 0;
}

int worker_dialog_call(WorkerDialog *worker, const char *method, JsonValue *parameters, usec_t patience,
                       VarlinkAnswer *ret) {
        int r;

        r = worker_dialog_send(worker, method, parameters, false);
        return r < 0 ? r : worker_dialog_receive(worker, patience, ret);
}
