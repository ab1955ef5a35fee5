/* Accepting, showing, cancelling and deleting jobs: what io.atelier.Queue offers, on the store. */
#pragma once

#include "keys/caller.h"
#include "queue/picture-cache.h"
#include "queue/request-price.h"

/* What a client says of how its request is to be served. */
typedef struct SubmitTerms {
        JobPriority priority;
        CacheWish cache;
        OptimiseWish optimise;
        const char *webhook;         /* name of an endpoint that is told of its end; NULL: none */
} SubmitTerms;

int queue_new(Queue **ret, Manager *manager);
Queue *queue_free(Queue *queue);
DEFINE_CLEANUP(Queue *, queue_free);

/* Each answers the call, now or when it is durable. A job that the caller may not see is not found. */
int queue_submit(Queue *queue, VarlinkCall *call, const Caller *caller, const char *request_id,
                 const char *idempotency_key, const JsonValue *request, const SubmitTerms *terms,
                 bool with_partials);
int queue_quote(Queue *queue, VarlinkCall *call, const Caller *caller, const JsonValue *request,
                OptimiseWish optimise);
/* What a submission would be refused for without asking the store: 0; 1: the call has been answered; or a negative errno. */
int queue_check(Queue *queue, VarlinkCall *call, const Caller *caller, const JsonValue *request);
int queue_watch(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id, bool with_partials);
int queue_get(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id);
int queue_list(Queue *queue, VarlinkCall *call, const Caller *caller, JobStatus status, const char *after,
               size_t limit);
/* Lets held jobs go on: those named, or all (`ids` NULL). */
int queue_release(Queue *queue, VarlinkCall *call, const JsonValue *ids);
int queue_get_cache(Queue *queue, VarlinkCall *call);
int queue_clear_cache(Queue *queue, VarlinkCall *call);
int queue_cancel(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id, bool remove);

/* What is said of a batch as a whole. */
typedef struct BatchTerms {
        SubmitTerms submit;
        const char *idempotency_key;   /* NULL: none */
        const JsonValue *metadata;     /* an object, or NULL */
} BatchTerms;

/* Batches. `items` are of io.atelier.Queue.BatchItem. */
int queue_submit_batch(Queue *queue, VarlinkCall *call, const Caller *caller, const char *request_id,
                       const JsonValue *items, const BatchTerms *terms);
int queue_get_batch(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id);
int queue_list_batches(Queue *queue, VarlinkCall *call, const Caller *caller, const char *after, size_t limit);
int queue_list_batch_items(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id, int64_t after,
                           size_t limit);
int queue_cancel_batch(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id);

/* Answers the call with io.atelier.Queue.Refused. */
int queue_refuse(VarlinkCall *call, const Failure *failure);
int queue_refuse_text(VarlinkCall *call, int status, const char *type, const char *code, const char *message);

#define QUEUE_LIST_MAX 100
#define QUEUE_LIST_DEFAULT 20
#define QUEUE_BATCHES_MAX 20  /* of a page: each of them is counted */
