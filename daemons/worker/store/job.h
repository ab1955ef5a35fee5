/* A job: one request for images, from its acceptance to its end. */
#pragma once

#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/money.h"
#include "base/time.h"
#include "providers/provider.h"
#include "store/defect.h"

/* A job is named after the request that made it. */
#define JOB_ID_PREFIX "job_"
#define JOB_ID_MAX (sizeof(JOB_ID_PREFIX) - 1 + ID_TEXT_MAX)

/* As OpenAI names them; the numbers stand in the database. */
typedef enum JobStatus {
        JOB_QUEUED = 0,
        JOB_IN_PROGRESS = 1,
        JOB_COMPLETED = 2,
        JOB_FAILED = 3,
        JOB_CANCELLED = 4,
        _JOB_STATUSES,
        JOB_STATUS_INVALID = -1,
} JobStatus;

const char *job_status_name(JobStatus status);   /* NULL: there is no such status; so with outcomes */
JobStatus job_status_from_name(const char *name);

static inline bool job_status_ended(JobStatus status) {
        return status >= JOB_COMPLETED;
}

/* The numbers stand in the database. */
typedef enum AttemptOutcome {
        ATTEMPT_STARTED = 0,
        ATTEMPT_COMPLETED = 1,
        ATTEMPT_REFUSED = 2,   /* not charged */
        ATTEMPT_UNSENT = 3,    /* not charged */
        ATTEMPT_UNKNOWN = 4,   /* sent; may have been charged */
        _ATTEMPT_OUTCOMES,
} AttemptOutcome;

const char *attempt_outcome_name(AttemptOutcome outcome);

/* As it reaches the client, in OpenAI's terms. Owns its strings. */
typedef struct Failure {
        int status;  /* HTTP; 0: none */
        char *type, *code, *param, *message;
} Failure;

void failure_done(Failure *failure);
int failure_set(Failure *failure, int status, const char *type, const char *code, const char *param,
                const char *message);
JsonValue *failure_to_json(const Failure *failure);
int failure_from_json(Failure *failure, const JsonValue *value);

typedef struct Attempt {
        int64_t number;              /* from 1 */
        char *provider;
        AttemptOutcome outcome;
        usec_t started_at, ended_at; /* realtime; 0: not yet */
        char *provider_request_id;
        char *cause;
        usec_t retry_delay;          /* after which the job was to be tried again; 0: it was not */
        micros_t cost;               /* what was charged for it; not kept: the ledger has it */
        bool cost_told;              /* the provider itself has said so, and not its price */
        char *model;                 /* that was asked in place of the job's own, as in its `fallback`; or NULL */
        char *note;                  /* why it was; or NULL */
        char *next_model;            /* with which the job went on after it; NULL: none */
        char *cost_note;             /* how that was found, where it is not by the price book; NULL */
        JsonValue *cost_items;       /* what it is the sum of: io.atelier.Ledger.PriceItem; NULL: not known */
} Attempt;

typedef struct JobImage {
        ImageFacts facts;
        char *revised_prompt;
} JobImage;

/* A file that a job was given to work on, in the image store. */
typedef struct UploadFacts {
        char sha256[SHA256_TEXT_MAX];
        ImageFormat format;
        uint64_t size_bytes;
} UploadFacts;

#define IDEMPOTENCY_KEY_BYTES_MAX 255

/* By what a submission is told from another one of the same client. */
typedef struct Idempotency {
        char *key;                     /* as the client chose it; NULL: it chose none */
        char request[SHA256_TEXT_MAX]; /* hash of what it asks for */
} Idempotency;

/* Which of its party's jobs go first (fair-share.h). The numbers stand in the database. */
typedef enum JobPriority {
        JOB_PRIORITY_HIGH = -1,
        JOB_PRIORITY_NORMAL = 0,
        JOB_PRIORITY_LOW = 1,
        JOB_PRIORITY_INVALID = 2,
} JobPriority;

const char *job_priority_name(JobPriority priority);
JobPriority job_priority_from_name(const char *name);

/* Whose images a job has. The numbers stand in the database. */
typedef enum JobOrigin {
        JOB_ORIGIN_MADE = 0,    /* made for it */
        JOB_ORIGIN_CACHED = 1,  /* another one's, from before */
        JOB_ORIGIN_SHARED = 2,  /* of one that was under way when it came */
        _JOB_ORIGINS,
} JobOrigin;

const char *job_origin_name(JobOrigin origin);  /* as x-atelier-cache has it: miss, hit, shared */

/* A job's side of the cache (store-cache.h). */
typedef struct JobCache {
        char picture[SHA256_TEXT_MAX];  /* picture-key.h; "": neither asked of the cache nor put into it */
        JobOrigin origin;
        bool follows;                /* waits for the images of another job, which is under way */

        bool lookup;                 /* of a submission: what is there already will do … */
        usec_t made_after;           /* … if it was made after that */
        bool (*is_there)(const ImageFacts *image, void *userdata);  /* … and its file is there (NULL: it is) */
        void *userdata;
        uint64_t bytes_max;          /* of an end: what the cache may hold; 0: nothing is put into it */

        char (*ended)[JOB_ID_MAX];   /* by an end: ids of those that waited for this one and ended with it */
        size_t n_ended;
} JobCache;

/* A job's side of the ledger. */
typedef struct JobCost {
        micros_t reserved;           /* waits to be settled */
        micros_t charged;
        micros_t unknown;            /* may have been charged */
        int day;                     /* on whose budgets it counts (calendar.h); 0: it costs nothing */
        int64_t entry;               /* the last entry about it; 0: none */
} JobCost;

/* What a waiting job may expect (outlook.h); not stored. */
typedef struct JobOutlook {
        int64_t position;            /* 1: the next one; 0: not known */
        int64_t position_above;      /* or it is more than this; 0: it was counted */
        usec_t eta;                  /* until its end, from now; 0: there is no telling */
} JobOutlook;

typedef struct Job {
        char id[JOB_ID_MAX];
        int64_t sequence;            /* order of acceptance; 0: not stored */
        JobStatus status;
        bool held;                   /* waits for Queue.Release */
        bool awaits_budget;          /* waits until its budgets have room for it (store-budget-wait.h) … */
        micros_t awaited;            /* … so much; of a submission, not read again */
        char *key;                   /* id of the client's key that it was asked with, or NULL */
        char *model;
        char *response_format;       /* "url" or "b64_json" */
        char *request;               /* the ImageRequest as JSON text, in the terms of `model`, which is no alias */
        UploadFacts *uploads;        /* of a submission: what it was given to work on, n_uploads; `request` says it too */
        size_t n_uploads;
        char *asked;                 /* of an alias: the Asked as JSON text, else NULL */
        char *optimised;             /* by the optimiser: the Optimised as JSON text, else NULL */
        usec_t created_at, started_at, ended_at;
        usec_t not_before;           /* realtime: a queued job that is to be tried again; 0: any other */
        JsonValue *usage, *reply;    /* as the provider gave them, or NULL */
        Idempotency idempotency;     /* of a submission; not read again */
        char **webhooks;             /* the same: names of the endpoints that are told of its end, ended by NULL; or NULL */
        JobCache cache;
        JobPriority priority;
        JobOutlook outlook;
        JobCost cost, cost_before;   /* as it becomes by what is being written, and as it was read */
        Failure failure;
        JobImage *images;
        size_t n_images;
        JsonValue *rates;            /* of a submission: what its reply says of its key (io.atelier.Queue.Rate); or NULL */
        Defect *defects;             /* of the last attempt, recorded with its end; not read again */
        size_t n_defects;
        JsonValue *recorded_defects; /* as Get tells them (io.atelier.Queue.JobDefect); NULL: none, or not read */
        Attempt *attempts;
        size_t n_attempts;
} Job;

Job *job_free(Job *job);
void job_forget_images(Job *job);
void job_forget_defects(Job *job);
DEFINE_CLEANUP(Job *, job_free);

/* io.atelier.Queue.Job. NULL when memory is short. */
JsonValue *job_to_json(const Job *job);
