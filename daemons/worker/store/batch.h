/* A batch: many requests that were accepted together, each of them a job. */
#pragma once

#include "money/budget.h"
#include "store/job.h"

/* A batch is named after the request that made it. */
#define BATCH_ID_PREFIX "batch_"
#define BATCH_ID_MAX (sizeof(BATCH_ID_PREFIX) - 1 + ID_TEXT_MAX)
#define BATCH_ITEMS_MAX 1000
#define BATCH_CUSTOM_ID_BYTES_MAX 64
#define BATCH_METADATA_MAX 16             /* members */
#define BATCH_METADATA_NAME_BYTES_MAX 64
#define BATCH_METADATA_BYTES_MAX 512      /* of a value */

typedef struct Batch {
        char id[BATCH_ID_MAX];
        int64_t sequence;            /* order of acceptance; 0: not stored */
        char *key;                   /* id of the client's key that it was asked with, or NULL */
        char *model;                 /* as it was asked for; NULL: not the same in all items */
        char *metadata;              /* JSON text, or NULL */
        int64_t n_items;
        usec_t created_at;
        usec_t cancelled_at;         /* when its cancellation was asked for; 0: it was not */
        Idempotency idempotency;     /* of a submission; not read again */

        /* What its jobs are, as it was read. Those that were deleted are in none of these. */
        int64_t counts[_JOB_STATUSES];
        JobCost cost;                /* the sum; day and entry are 0 */
        usec_t started_at, ended_at; /* of the first, and of the last so far */
} Batch;

typedef struct BatchItem {
        int64_t number;              /* from 1 */
        char *custom_id;             /* as the client calls it, or NULL */
        Job *job;                    /* NULL: it was deleted */

        /* Of a submission: what it is judged by, and what came of it. */
        bool may_wait;               /* for its budget, where that has no room now */
        Budget budget;
        BudgetVerdict verdict;
} BatchItem;

Batch *batch_free(Batch *batch);
DEFINE_CLEANUP(Batch *, batch_free);
void batch_items_free(BatchItem *items, size_t count);

/* queued, in_progress, completed, failed, cancelling or cancelled, as follows from its jobs: it has ended when they
 * have. One is enough to have completed it; failed is one without any. */
const char *batch_status(const Batch *batch);
bool batch_ended(const Batch *batch);

/* io.atelier.Queue.Batch and BatchEntry. NULL when memory is short. */
JsonValue *batch_to_json(const Batch *batch);
JsonValue *batch_item_to_json(const BatchItem *item);
