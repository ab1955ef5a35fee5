/* A task's conversation with the worker: a dialog that a cancel interrupts, waiting that counts as a sign of life, and
 * errors in words. For the thread of a task. */
#pragma once

#include "task.h"

#define WORKER_CALL_USEC (30 * USEC_PER_SEC)      /* for what the worker answers at once */
#define WORKER_PATIENCE_USEC USEC_PER_HOUR        /* for what has to wait: a long snapshot, jobs in progress */

typedef struct WorkerDialog {
        TaskContext *context;
        VarlinkDialog *dialog;
} WorkerDialog;

enum {
        WORKER_REFUSED = 1,   /* it answered with an error; task_say() has been told which */
};

/* Each tells task_say() what went wrong before it returns anything but 0. */
int worker_dialog_open(WorkerDialog *ret, TaskContext *context, const char *path);
void worker_dialog_done(WorkerDialog *worker);

/* Takes parameters over. */
int worker_dialog_send(WorkerDialog *worker, const char *method, JsonValue *parameters, bool more);

/* The next reply that is no error. WORKER_REFUSED as above, -ETIMEDOUT, -ECONNRESET, … */
int worker_dialog_receive(WorkerDialog *worker, usec_t patience, VarlinkAnswer *ret);
int worker_dialog_call(WorkerDialog *worker, const char *method, JsonValue *parameters, usec_t patience,
                       VarlinkAnswer *ret);
