/* A task: long work in a helper thread, and what that thread and the loop tell each other.
 *
 * The thread counts bytes in atomics and says in one message what came of the work; the loop reads the atomics while
 * it runs and the message once it has ended. The other way there is one thing to say: cancel. It reaches the thread
 * wherever it is: by a flag between two steps, by an fd where it polls, by varlink_dialog_interrupt() where it waits
 * for the worker. */
#pragma once

#include "archive-reader.h"
#include "io/varlink-dialog.h"

#define TASK_MESSAGE_BYTES_MAX 512

typedef struct TaskContext TaskContext;

/* Tasks of one lane exclude each other, and each itself. */
typedef enum TaskLane {
        TASK_LANE_STATE,   /* has the whole state in its hands: backup, restore */
        TASK_LANE_READ,    /* reads archives alone: verify */
        TASK_LANES,
} TaskLane;

typedef struct Task {
        const char *name;         /* "backup" */
        const char *description;
        const char *doing;        /* "backing up", for the status line */
        TaskLane lane;

        /* In a helper thread, with nothing but the context and its own job. 0: succeeded; everything else has failed:
         * a negative errno, or an outcome of its own. Either way task_say() has been told a sentence. */
        int (*work)(TaskContext *context, void *job);
        void (*free_job)(void *job);
} Task;

/* Those that io.atelier.Tasks.Run takes, ended by NULL. */
extern const Task *const tasks[];
const Task *task_find(const char *name);

int task_context_new(TaskContext **ret);
TaskContext *task_context_free(TaskContext *context);
DEFINE_CLEANUP(TaskContext *, task_context_free);

/* ---------------------------------------------------------------- in the thread */

bool task_cancelled(const TaskContext *context);
void task_set_done(TaskContext *context, uint64_t bytes);
void task_set_total(TaskContext *context, uint64_t bytes);

/* Something happened, though no byte was counted: the work has not stalled. */
void task_touch(TaskContext *context);

/* What the archive engine takes: the same flag, the same count. */
ArchiveProgress *task_progress(TaskContext *context);

/* What came of it; the last word counts. Longer ones are cut. */
void task_say(TaskContext *context, const char *format, ...) _printf_(2, 3);
void task_say_more(TaskContext *context, const char *text);  /* behind it */

/* -ECANCELED, -ETIMEDOUT, or 0 when one of the events is there (or a signal was). */
int task_wait(TaskContext *context, int fd, short events, usec_t timeout);

/* The dialog that a cancel interrupts; NULL before it is freed. */
void task_set_dialog(TaskContext *context, VarlinkDialog *dialog);

/* ---------------------------------------------------------------- on the loop */

void task_cancel(TaskContext *context);
uint64_t task_done(const TaskContext *context);
uint64_t task_total(const TaskContext *context);     /* 0: not known */
uint64_t task_touches(const TaskContext *context);   /* a number that changes with every sign of life */

/* Once the thread has ended. Never NULL. */
const char *task_message(const TaskContext *context);
