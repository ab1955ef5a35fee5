#include "queue/queue-private.h"

#include <errno.h>

#include "dispatch/dispatcher.h"
#include "money/budget-wait.h"
#include "queue/uploads.h"
#include "state/snapshot.h"

/* One call, about one job. */
typedef struct Cancellation {
        QueueRequest request;        /* first: it is freed as this */
        CancelledJob cancelled;
        bool waited;                 /* it was one to cancel */
        bool remove;                 /* a job that has ended goes */
} Cancellation;

int queue_end_waiting(Manager *manager, Store *store, Job *job, CancelledJob *ret) {
        int r;

        *ret = (CancelledJob) {
                .job = job,
                .held = job->held,
                .followed = job->cache.follows,
                .awaited = job->awaits_budget,
        };
        job->held = job->cache.follows = job->awaits_budget = false;
        job->status = JOB_CANCELLED;
        job->ended_at = time_now_realtime();
        r = store_end_queued(store, job);
        return r != 0 ? r : picture_cache_succeed(manager, store, job, job->cost_before.reserved, ret->held,
                                                  &ret->succession);
}

void queue_tell_cancelled(Manager *manager, const CancelledJob *cancelled) {
        if (cancelled->held)
                dispatcher_add_held(manager->dispatcher, -1);
        else if (cancelled->followed)
                dispatcher_add_following(manager->dispatcher, -1);
        else if (cancelled->awaited)
                budget_wait_recount(manager->budget_wait);
        else
                dispatcher_add_waiting(manager->dispatcher, -1);
        metrics_add(manager->metrics, METRIC_JOBS_TOTAL, METRIC_VALUES("cancelled"), 1);
        watchers_notify(manager->watchers, cancelled->job);
        picture_cache_succeeded(manager, &cancelled->succession);
}

void cancelled_job_done(CancelledJob *cancelled) {
        succession_done(&cancelled->succession);
        cancelled->job = NULL;
}

/* Judged in the transaction, where nobody can start the job in between. */
static int apply_cancel(Write *write, Store *store) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        Cancellation *cancellation = CONTAINER_OF(request, Cancellation, request);
        int r;

        r = queue_request_get_job(request, store);
        if (r != 0)
                return r;
        if (request->job->status == JOB_IN_PROGRESS)
                return STORE_WRONG_STATE;
        if (job_status_ended(request->job->status))
                return cancellation->remove ? store_delete(store, request->id) : 0;

        cancellation->waited = true;
        cancellation->remove = false;
        cancelled_job_done(&cancellation->cancelled);
        return queue_end_waiting(request->queue->manager, store, request->job, &cancellation->cancelled);
}

/* A cancelled job must be said to be cancelled, since others may wait for it: what is not there yet is done again. A
 * job that was to be removed may be gone or not; it is asked for once more. */
static int settle_cancel(Write *write, Store *store) {
        const Cancellation *cancellation = CONTAINER_OF(CONTAINER_OF(write, QueueRequest, write), Cancellation, request);
        int r;

        if (!cancellation->waited)
                return 0;
        r = apply_cancel(write, store);
        return r < 0 ? r : r == 0 ? WRITE_STANDS : 0;
}

/* Images that no job uses any more go, unless one that is about to end needs them. */
static void remove_unused_images(Queue *queue, const Job *job) {
        Store *store = commit_group_store(queue->manager->group);

        for (size_t i = 0; store && i < job->n_images; i++) {
                const ImageFacts *facts = &job->images[i].facts;
                int64_t uses;

                if (store_image_uses(store, facts->sha256, facts->format, &uses) == 0 && uses == 0 &&
                    !dispatcher_needs_image(queue->manager->dispatcher, facts->sha256, facts->format) &&
                    !uploads_need_image(queue->manager->uploads, facts->sha256, facts->format) &&
                    !snapshot_defers_removal(queue->manager->snapshot, facts->sha256, facts->format))
                        (void) image_store_remove(queue->manager->images, facts->sha256, facts->format);
        }
}

static void on_cancelled(Write *write, int result) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        Cancellation *cancellation = CONTAINER_OF(request, Cancellation, request);
        VarlinkCall *call = queue_request_take_call(request);
        Manager *manager = request->queue->manager;

        if (result == 0 && cancellation->waited) {
                cancellation->cancelled.job = request->job;
                queue_tell_cancelled(manager, &cancellation->cancelled);
                /* It may have been what others waited behind. */
                dispatcher_look(manager->dispatcher);
        } else if (result == 0 && cancellation->remove)
                remove_unused_images(request->queue, request->job);

        if (call)
                queue_log_unanswered(result == 0 ? queue_reply_job(call, request->job)
                                                 : queue_reply_result(call, request->id, result),
                                     request->id);
        cancelled_job_done(&cancellation->cancelled);
        queue_request_free(request);
}

int queue_cancel(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id, bool remove) {
        Cancellation *cancellation = calloc(1, sizeof(*cancellation));

        if (!cancellation)
                return -ENOMEM;
        queue_request_init(&cancellation->request, queue, call, caller, id, apply_cancel, on_cancelled);
        cancellation->request.write.settle = settle_cancel;
        cancellation->remove = remove;
        commit_group_add(queue->manager->group, &cancellation->request.write);
        return 0;
}
