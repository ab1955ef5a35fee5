/* CancelBatch: in one transaction all of its jobs that wait end as cancelled, and what they had reserved is released.
 * Those that are with their provider go on, as they may be paid already; none of them is tried again. */
#include <errno.h>

#include "dispatch/dispatcher.h"
#include "queue/batch-request.h"

typedef struct BatchCancellation {
        BatchRequest base;
        CancelledJob *jobs;          /* whose jobs are owned here */
        size_t n_jobs;
} BatchCancellation;

static BatchCancellation *cancellation_of(Write *write) {
        return CONTAINER_OF(batch_request_of(write), BatchCancellation, base);
}

static void forget_jobs(BatchCancellation *cancellation) {
        for (size_t i = 0; i < cancellation->n_jobs; i++) {
                (void) job_free(cancellation->jobs[i].job);
                cancelled_job_done(&cancellation->jobs[i]);
        }
        free(cancellation->jobs);
        cancellation->jobs = NULL;
        cancellation->n_jobs = 0;
}

/* The last one first: one that follows another for its picture came after it, and is gone when that one hands on its
 * part. */
static int cancel_jobs(BatchCancellation *cancellation, Store *store) {
        const Batch *batch = cancellation->base.batch;
        int64_t before = INT64_MAX;
        int r;

        cancellation->jobs = calloc((size_t) batch->counts[JOB_QUEUED] + 1, sizeof(*cancellation->jobs));
        if (!cancellation->jobs)
                return -ENOMEM;
        while (cancellation->n_jobs < (size_t) batch->counts[JOB_QUEUED]) {
                CancelledJob *cancelled = &cancellation->jobs[cancellation->n_jobs];
                Job *job;

                r = store_next_waiting_item(store, batch, before, &before, &job);
                if (r != 0)
                        return MIN(r, 0);
                cancellation->n_jobs++;
                r = queue_end_waiting(cancellation->base.request.queue->manager, store, job, cancelled);
                if (r != 0)
                        return r < 0 ? r : -EIO;
        }
        return 0;
}

static int cancel_in_savepoint(Store *store, void *userdata) {
        BatchCancellation *cancellation = userdata;
        int r;

        r = batch_request_read(&cancellation->base, store);
        if (r != 0 || batch_ended(cancellation->base.batch))
                return r;
        r = store_cancel_batch(store, cancellation->base.batch, time_now_realtime());
        if (r >= 0)
                r = cancel_jobs(cancellation, store);
        return r != 0 ? r : batch_request_read(&cancellation->base, store);
}

static int apply_cancellation(Write *write, Store *store) {
        BatchCancellation *cancellation = cancellation_of(write);
        int r;

        r = store_run_in_savepoint(store, cancel_in_savepoint, cancellation);
        if (r != 0)
                forget_jobs(cancellation);
        return r;
}

/* All of it is on the disk, or nothing: then it is done again, since others may wait for these jobs. */
static int settle_cancellation(Write *write, Store *store) {
        BatchCancellation *cancellation = cancellation_of(write);
        _cleanup_(job_freep) Job *job = NULL;
        int r = 0;

        if (cancellation->n_jobs > 0)
                r = store_get(store, cancellation->jobs[0].job->id, &job);
        if (r == 0 && job && job->status == JOB_CANCELLED)
                return WRITE_STANDS;
        if (r < 0)
                return r;
        forget_jobs(cancellation);
        r = apply_cancellation(write, store);
        return r < 0 ? r : r == 0 ? WRITE_STANDS : 0;
}

static void on_cancelled(Write *write, int result) {
        BatchCancellation *cancellation = cancellation_of(write);
        Manager *manager = cancellation->base.request.queue->manager;

        for (size_t i = 0; result == 0 && i < cancellation->n_jobs; i++)
                queue_tell_cancelled(manager, &cancellation->jobs[i]);
        /* They may have been what others waited behind. */
        dispatcher_look(manager->dispatcher);
        batch_request_answer(&cancellation->base, result);
        forget_jobs(cancellation);
        batch_request_done(&cancellation->base);
        queue_request_free(&cancellation->base.request);
}

int queue_cancel_batch(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id) {
        BatchCancellation *cancellation = calloc(1, sizeof(*cancellation));

        if (!cancellation)
                return -ENOMEM;
        batch_request_init(&cancellation->base, queue, call, caller, id, apply_cancellation, on_cancelled);
        cancellation->base.request.write.settle = settle_cancellation;
        commit_group_add(queue->manager->group, &cancellation->base.request.write);
        return 0;
}
