/* The inner side of queue.h.
 *
 * Every call, a reading one too, is a write of the commit group: what it answers was durable when it was answered,
 * never the uncommitted half of somebody else's turn. */
#pragma once

#include "queue/queue.h"

/* One call under way. */
typedef struct QueueRequest {
        Write write;
        Queue *queue;
        VarlinkCall *call;  /* NULL: the client has gone */
        Caller caller;      /* whom it is made for; of Release nobody */
        char id[JOB_ID_MAX];
        Job *job;
        bool inserted;           /* Submit: the job was not there before */
        bool followed;           /* Submit: another job fetches its images */
        Succession succession;   /* a Submit that is taken back: who has its part now */
        bool with_partials;      /* Submit, Watch: partial images too */
} QueueRequest;

struct Queue {
        Manager *manager;
        int64_t uncommitted;     /* jobs inserted whose commit is to come */
        usec_t storage_checked_at, refusal_logged_at;
        bool storage_low;
};

/* A request that answers `call`; it is told when the client goes. `id` NULL: none; `caller` NULL: whoever it is, sees
 * all. queue_request_init() is for one that begins a larger struct, which it frees as a whole. It reads: one that
 * writes sets write.settle as well. */
void queue_request_init(QueueRequest *request, Queue *queue, VarlinkCall *call, const Caller *caller, const char *id,
                        int (*apply)(Write *, Store *), void (*done)(Write *, int));
int queue_request_new(QueueRequest **ret, Queue *queue, VarlinkCall *call, const Caller *caller, const char *id,
                      int (*apply)(Write *, Store *), void (*done)(Write *, int));

/* The job of the request's id, into request->job. STORE_NOT_FOUND as well when its caller may not see it. */
int queue_request_get_job(QueueRequest *request, Store *store);

/* Ends a request: hands its call out for the answer (NULL: the client has gone). */
VarlinkCall *queue_request_take_call(QueueRequest *request);
void queue_request_free(QueueRequest *request);

int queue_reply_job(VarlinkCall *call, const Job *job);

/* For a result that is not 0: JobNotFound, JobInProgress, or Refused with what ails the store. At -ECANCELED nobody
 * knows: the connection is closed, so that the caller asks the next worker. */
int queue_reply_result(VarlinkCall *call, const char *id, int result);

/* 400 price_unknown with what the price book said. */
int queue_refuse_without_price(VarlinkCall *call, Buffer *reason);

/* 400 invalid_webhook. */
int queue_refuse_webhook(VarlinkCall *call);

/* What a submission is made of, alone or within a batch. */
enum {
        QUEUE_REFUSED = 1,  /* the call has been answered */
};

/* Is there room for so many more jobs? */
int queue_check_room(Queue *queue, VarlinkCall *call, int64_t jobs);

/* Why the caller can't ask for the model now; NULL: it can. */
const Failure *queue_refuses_model(Queue *queue, const Caller *caller, const ModelConf *model);

/* Whether a forbidden term stands in the prompt: *ret says so, or is NULL. */
int queue_judge_prompt(Queue *queue, const JsonValue *request, const Failure **ret);
bool queue_idempotency_key_valid(const char *key);
int queue_new_job(Job **ret, const Caller *caller, const char *request_id, const JsonValue *request,
                  const ModelConf *model, const Translation *translation, micros_t ceiling);

/* Jobs inserted whose commit is to come. */
void queue_hold_uncommitted(Queue *queue, int64_t jobs);
void queue_release_uncommitted(Queue *queue, int64_t jobs);

void queue_count_cache_use(Metrics *metrics, const Job *job);
void queue_count_saved(Metrics *metrics, const char *model, micros_t saved);

/* A waiting job that is cancelled, alone or with its batch. */
typedef struct CancelledJob {
        Job *job;                /* not owned */
        bool held, followed, awaited;  /* it did not wait for the dispatcher */
        Succession succession;   /* who has its part now */
} CancelledJob;

/* Ends it in the transaction; and, once that is durable, tells all whom it concerns, except that the dispatcher is not yet
 * asked to look again. */
int queue_end_waiting(Manager *manager, Store *store, Job *job, CancelledJob *ret);
void queue_tell_cancelled(Manager *manager, const CancelledJob *cancelled);
void cancelled_job_done(CancelledJob *cancelled);

/* An answer that could not be given is worth a line, unless the client has gone. */
void queue_log_unanswered(int error, const char *id);

static inline const Settings *queue_settings(const Queue *queue) {
        return service_settings(queue->manager->service);
}
