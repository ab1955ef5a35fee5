/* The durable history of runs: $STATE_DIRECTORY/history, one JSON object a line, two lines a run.
 *
 *     {"begin":"ID","task":"backup","at":1795400000000000}
 *     {"end":"ID","result":"succeeded","at":1795400009000000,"message":"…"}
 *
 * Lines are only added, each with an fsync before the run goes on: a begin without its end is a run that a crash has
 * cut off, and is given its end, `interrupted`, when the history is opened next. What a power cut has left of a line
 * that was being added is dropped. Past 2 × HISTORY_RUNS_MAX runs the file is replaced, atomically, by one of the
 * newest HISTORY_RUNS_MAX. Members may be added to the lines later; unknown ones and unknown lines are passed over.
 *
 * Appending blocks for an fsync, on the loop: twice in a run, in a daemon that has nothing else to do. */
#pragma once

#include "base/id.h"
#include "base/macro.h"
#include "base/time.h"

#define HISTORY_RUNS_MAX 1000
#define HISTORY_TASK_MAX 32        /* bytes of a task's name, NUL included */
#define HISTORY_MESSAGE_MAX 1024   /* the same of a message */

typedef enum RunResult {
        RUN_RUNNING,
        RUN_SUCCEEDED,
        RUN_FAILED,
        RUN_INTERRUPTED,
        RUN_RESULT_INVALID = -1,
} RunResult;

/* As on the wire and in the file. */
const char *run_result_name(RunResult result);
RunResult run_result_from_name(const char *name);

typedef struct RunRecord {
        char id[ID_TEXT_MAX];
        char task[HISTORY_TASK_MAX];
        RunResult result;
        usec_t started_at, ended_at;   /* realtime; ended_at 0: running */
        char *message;                 /* NULL: none */
        bool cut_off;                  /* ended as interrupted when this history was opened */
} RunRecord;

typedef struct RunHistory RunHistory;

/* Reads what is there. A file that is no history, or larger than one can be, is renamed to `history.damaged`.
 * Errors of the folder: -ENOENT, -EACCES, -ENOSPC, … */
int run_history_new(RunHistory **ret, const char *folder);
RunHistory *run_history_free(RunHistory *history);
DEFINE_CLEANUP(RunHistory *, run_history_free);

/* Lines that made no sense when it was opened, and were dropped. */
unsigned run_history_dropped_lines(const RunHistory *history);

/* Each adds a line and fsyncs it. On an error (-ENOSPC, -EIO, …) the file is as before, but the run is kept in memory
 * all the same. A longer message is cut. -ENOENT for the end of a run that has not begun. */
int run_history_begin(RunHistory *history, const char *id, const char *task, usec_t at);
int run_history_end(RunHistory *history, const char *id, RunResult result, usec_t at, const char *message);

/* The index-th newest, or NULL behind the last; at most HISTORY_RUNS_MAX. Lives until the next change. */
const RunRecord *run_history_at(const RunHistory *history, size_t index);

/* The newest of a task (with that result, unless RUN_RESULT_INVALID), or NULL. */
const RunRecord *run_history_last(const RunHistory *history, const char *task, RunResult result);
