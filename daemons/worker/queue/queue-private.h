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
        bool remove, cancelled;
        bool was_held, followed, awaited;  /* Cancel: the job did not wait for the dispatcher */
        Succession succession;   /* Cancel, or a Submit that is taken back: who has its part now */
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

/* An answer that could not be given is worth a line, unless the client has gone. */
void queue_log_unanswered(int error, const char *id);

static inline const Settings *queue_settings(const Queue *queue) {
        return service_settings(queue->manager->service);
}
