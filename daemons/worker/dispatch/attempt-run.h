/* One attempt under way: from the claim of a job to the moment its end is durable.
 *
 *   CLAIMING ─ durable ─► SENT ─ provider done ─► KEEPING ─ images durable ─► SAVING ─ durable ─► ended
 *      └─ not claimed ─► not started                 └────── refused, unknown ──────┘  └─ failed ─► UNSAVED ─┐
 *                                                                                 ▲──── attempt_run_save() ──┘
 *
 * Nothing is sent before the claim is durable, and nobody sees an image before its end is. A claim whose commit failed
 * is taken back, so that the job waits again and not for a process that believes it has it. What a provider gave is
 * kept through a store that cannot take it at the moment. Freeing a run that has not ended leaves the job in progress
 * under this process's lease; the next start settles it as of unknown outcome. */
#pragma once

#include "dispatch/gates.h"
#include "dispatch/retry-policy.h"
#include "manager.h"
#include "money/budget.h"
#include "store/commit-group.h"
#include "store/job.h"

typedef struct AttemptRun AttemptRun;

typedef enum AttemptRunState {
        ATTEMPT_RUN_CLAIMING,
        ATTEMPT_RUN_SENT,
        ATTEMPT_RUN_KEEPING,
        ATTEMPT_RUN_SAVING,
        ATTEMPT_RUN_UNSAVED,
} AttemptRunState;

typedef struct AttemptRunHooks {
        void (*started)(AttemptRun *run, void *userdata);                     /* run->job is in progress */
        void (*not_started)(AttemptRun *run, int result, void *userdata);     /* freed afterwards */
        void (*answered)(AttemptRun *run, const GenerationResult *result, void *userdata);  /* by the provider */
        /* run->job as stored; freed afterwards. */
        void (*ended)(AttemptRun *run, void *userdata);
        void (*unsaved)(AttemptRun *run, void *userdata);                     /* attempt_run_save() tries again */
} AttemptRunHooks;

struct AttemptRun {
        AttemptRun *next;            /* the dispatcher's list */
        AttemptRunState state;
        Manager *manager;
        ProviderTable *providers;    /* kept while the attempt runs, through a reload */
        ProviderSlot *slot;
        Gate *gate;                  /* through which it came; or NULL */
        bool probe;                  /* of the gate's circuit, until it is told of the end */
        const AttemptRunHooks *hooks;
        void *userdata;

        Write write;
        Keep keep;
        char id[JOB_ID_MAX];
        const char *lease;
        int64_t number;              /* of the attempt */
        RetryVerdict verdict;        /* on a failed one */
        char *model, *note;          /* of the fallback that is asked, as the attempt has them; or NULL */
        unsigned key;                /* number of the provider's, with which it was sent; 0: without one */
        int http_status;             /* of the provider's answer; 0: none */
        Job *job;                    /* from the claim on */
        Budget budget;               /* what its end is judged by */
        BudgetVerdict booked;        /* what it says of its budgets */
        JsonValue *request;
        Generation *generation;
        usec_t deadline;             /* monotonic, of the answer; 0: not sent yet, or there */
        TemporaryImage *images[GENERATION_IMAGES_MAX];
        unsigned n_images;
        bool freeing;                /* what still comes back is ignored */
};

int attempt_run_new(AttemptRun **ret, Manager *manager, ProviderSlot *slot, const char *id, const char *lease,
                    const AttemptRunHooks *hooks, void *userdata);
AttemptRun *attempt_run_free(AttemptRun *run);

/* That of the run, once its job is claimed. */
static inline Attempt *attempt_run_current(AttemptRun *run) {
        return &run->job->attempts[run->job->n_attempts - 1];
}

/* Another model than the job's own is asked, as in its `fallback`; and why. Before the start. */
int attempt_run_set_model(AttemptRun *run, const char *model, const char *note);

void attempt_run_start(AttemptRun *run);
void attempt_run_save(AttemptRun *run);
bool attempt_run_needs_image(const AttemptRun *run, const char *sha256, ImageFormat format);

/* What a client is told of an attempt whose outcome nobody knows. */
int attempt_failure_unknown(Failure *failure);

/* The same of a job that could only be tried again after its deadline. */
int attempt_failure_deadline(Failure *failure);
