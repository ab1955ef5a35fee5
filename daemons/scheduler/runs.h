/* The runs under way: at most one a lane, each in a helper thread, each in the history, each with at most one caller
 * that waits for it.
 *
 * A run belongs to nobody but this module: a caller that goes away leaves it running. Its end is recorded (durably)
 * before the caller hears of it. */
#pragma once

#include <systemd/sd-event.h>

#include "io/varlink-server.h"
#include "run-history.h"
#include "task.h"

#define RUN_TICK_USEC USEC_PER_SEC            /* between two replies of progress */
#define RUN_STALL_USEC (10 * USEC_PER_MINUTE) /* without a byte or another sign of life: it hangs */

typedef struct Runs Runs;
typedef struct Run Run;

/* What a caller is told: as the run stands while its result is RUN_RUNNING, what came of it after that. The parameters
 * of a reply, or of the error that *ret_error (NULL at first) is set to; NULL when memory is short. */
typedef JsonValue *(*RunReply)(const Run *run, const char **ret_error);

/* To be read by others. */
struct Run {
        char id[ID_TEXT_MAX];
        const Task *task;
        TaskContext *context;
        void *job;
        int outcome;               /* of Task.work() */
        RunResult result;
        usec_t started_at, ended_at;

        Runs *runs;
        VarlinkCall *call;         /* NULL: nobody waits, or nobody any more */
        RunReply reply;
        uint64_t touches;          /* as last seen */
        usec_t touched_at;         /* monotonic */
        bool stopped;              /* cancelled by us */
};

typedef struct RunHooks {
        void (*began)(const Run *run, void *userdata);
        void (*progressed)(const Run *run, void *userdata);   /* each RUN_TICK_USEC */
        void (*ended)(const Run *run, void *userdata);        /* before the caller is answered */
        void (*over)(void *userdata);                         /* answered and freed: once for each `began` */
        void (*unrecorded)(const Run *run, int error, void *userdata);   /* the history could not be written */
} RunHooks;

/* The history outlives it. */
int runs_new(Runs **ret, sd_event *event, RunHistory *history, const RunHooks *hooks, void *userdata);
Runs *runs_free(Runs *runs);   /* cancels what runs and waits for it */
DEFINE_CLEANUP(Runs *, runs_free);

/* Takes `job` over, also on failure. `call` (NULL: nobody waits) is answered from now on, by what `reply` says, unless
 * this fails. -EBUSY when the lane is taken. */
int runs_start(Runs *runs, const Task *task, void *job, VarlinkCall *call, RunReply reply);

const Run *runs_in_lane(const Runs *runs, TaskLane lane);   /* NULL: free */
void runs_cancel(Runs *runs);
bool runs_stalled(const Runs *runs);

/* For the wire: a TaskRun of a run under way or just ended, and one of the history. NULL when memory is short. */
JsonValue *run_to_json(const Run *run);
JsonValue *run_record_to_json(const RunRecord *record);
