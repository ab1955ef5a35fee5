#include "queue/queue-private.h"

#include "dispatch/dispatcher.h"
#include "money/budget-wait.h"
#include "queue/uploads.h"
#include "state/snapshot.h"

/* Judged in the transaction, where nobody can start the job in between. */
static int apply_cancel(Write *write, Store *store) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        int r;

        succession_done(&request->succession);
        r = queue_request_get_job(request, store);
        if (r != 0)
                return r;
        if (request->job->status == JOB_IN_PROGRESS)
                return STORE_WRONG_STATE;
        if (job_status_ended(request->job->status))
                return request->remove ? store_delete(store, request->id) : 0;

        request->remove = false;
        request->cancelled = true;
        request->was_held = request->job->held;
        request->followed = request->job->cache.follows;
        request->awaited = request->job->awaits_budget;
        request->job->held = request->job->cache.follows = request->job->awaits_budget = false;
        request->job->status = JOB_CANCELLED;
        request->job->ended_at = time_now_realtime();
        r = store_end_queued(store, request->job);
        return r != 0 ? r : picture_cache_succeed(request->queue->manager, store, request->job,
                                                  request->job->cost_before.reserved, request->was_held,
                                                  &request->succession);
}

/* A cancelled job must be said to be cancelled, since others may wait for it: what is not there yet is done again. A
 * job that was to be removed may be gone or not; it is asked for once more. */
static int settle_cancel(Write *write, Store *store) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        int r;

        if (!request->cancelled)
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
        VarlinkCall *call = queue_request_take_call(request);
        Manager *manager = request->queue->manager;

        if (result == 0 && request->cancelled) {
                if (request->was_held)
                        dispatcher_add_held(manager->dispatcher, -1);
                else if (request->followed)
                        dispatcher_add_following(manager->dispatcher, -1);
                else if (request->awaited)
                        budget_wait_recount(manager->budget_wait);
                else
                        dispatcher_add_waiting(manager->dispatcher, -1);
                /* It may have been what others waited behind. */
                dispatcher_look(manager->dispatcher);
                metrics_add(manager->metrics, METRIC_JOBS_TOTAL, METRIC_VALUES("cancelled"), 1);
                watchers_notify(manager->watchers, request->job);
                picture_cache_succeeded(manager, &request->succession);
        } else if (result == 0 && request->remove)
                remove_unused_images(request->queue, request->job);

        if (call)
                queue_log_unanswered(result == 0 ? queue_reply_job(call, request->job)
                                                 : queue_reply_result(call, request->id, result),
                                     request->id);
        queue_request_free(request);
}

int queue_cancel(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id, bool remove) {
        QueueRequest *request;
        int r;

        r = queue_request_new(&request, queue, call, caller, id, apply_cancel, on_cancelled);
        if (r < 0)
                return r;
        request->write.settle = settle_cancel;
        request->remove = remove;
        commit_group_add(queue->manager->group, &request->write);
        return 0;
}
