#include "queue/queue-private.h"

#include <errno.h>

#include "base/log.h"
#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "store/store-defect.h"

/* ------------------------------------------------------------------ one job */

static int apply_read(Write *write, Store *store) {
        return queue_request_get_job(CONTAINER_OF(write, QueueRequest, write), store);
}

/* With its defects. */
static int apply_get(Write *write, Store *store) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        int r;

        r = queue_request_get_job(request, store);
        return r != 0 ? r : store_read_job_defects(store, request->job);
}

static void finish_read(QueueRequest *request, int result, int (*reply)(QueueRequest *, VarlinkCall *)) {
        VarlinkCall *call = queue_request_take_call(request);

        if (call)
                queue_log_unanswered(result == 0 ? reply(request, call) : queue_reply_result(call, request->id, result),
                                     request->id);
        queue_request_free(request);
}

/* The answer is good without it. */
static void foresee(QueueRequest *request) {
        int r = dispatcher_foresee(request->queue->manager->dispatcher, request->job);

        if (r < 0)
                (void) log_debug_errno(r, "the place of job %s can't be told", request->job->id);
}

static int reply_get(QueueRequest *request, VarlinkCall *call) {
        foresee(request);
        return queue_reply_job(call, request->job);
}

static int reply_watch(QueueRequest *request, VarlinkCall *call) {
        foresee(request);
        return watchers_add(request->queue->manager->watchers, request->job, call, request->with_partials);
}

static void on_got(Write *write, int result) {
        finish_read(CONTAINER_OF(write, QueueRequest, write), result, reply_get);
}

static void on_watched(Write *write, int result) {
        finish_read(CONTAINER_OF(write, QueueRequest, write), result, reply_watch);
}

static int start_read(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id, bool with_partials,
                      int (*apply)(Write *, Store *), void (*done)(Write *, int)) {
        QueueRequest *request;
        int r;

        r = queue_request_new(&request, queue, call, caller, id, apply, done);
        if (r < 0)
                return r;
        request->with_partials = with_partials;
        commit_group_add(queue->manager->group, &request->write);
        return 0;
}

int queue_get(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id) {
        return start_read(queue, call, caller, id, false, apply_get, on_got);
}

int queue_watch(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id, bool with_partials) {
        return start_read(queue, call, caller, id, with_partials, apply_read, on_watched);
}

/* ------------------------------------------------------------------ many jobs */

typedef struct ListRequest {
        QueueRequest base;
        JobStatus status;
        size_t limit, count;
        Job **jobs;
} ListRequest;

/* One more than asked for tells whether there are more. */
static int apply_list(Write *write, Store *store) {
        ListRequest *list = CONTAINER_OF(write, ListRequest, base.write);
        const char *after = list->base.id[0] ? list->base.id : NULL;
        const char *key = *list->base.caller.key ? list->base.caller.key : NULL;

        return store_list(store, key, list->status, after, list->limit + 1, &list->jobs, &list->count);
}

/* A page ends early rather than become larger than a message may be. */
#define LIST_BYTES_MAX (VARLINK_MESSAGE_BYTES_MAX / 2)
#define LIST_JOB_BYTES 8192  /* of a job beside its request: images, attempts, usage */

static size_t count_that_fits(const ListRequest *list) {
        size_t count = 0, bytes = 0;

        for (; count < MIN(list->count, list->limit); count++) {
                bytes += strlen(list->jobs[count]->request) + LIST_JOB_BYTES;
                if (count > 0 && bytes > LIST_BYTES_MAX)
                        break;
        }
        return count;
}

static int reply_list(QueueRequest *request, VarlinkCall *call) {
        ListRequest *list = CONTAINER_OF(request, ListRequest, base);
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        size_t count = count_that_fits(list);
        int r;

        r = json_add(reply, "jobs", array);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = json_append(array, job_to_json(list->jobs[i]));
        if (r >= 0)
                r = json_add_bool(reply, "has_more", list->count > count);
        return r < 0 ? varlink_call_error_errno(call, r) : varlink_call_reply(call, TAKE_PTR(reply));
}

static void on_listed(Write *write, int result) {
        ListRequest *list = CONTAINER_OF(write, ListRequest, base.write);
        Job **jobs = list->jobs;
        size_t count = list->count;

        finish_read(&list->base, result, reply_list);
        for (size_t i = 0; i < count; i++)
                (void) job_free(jobs[i]);
        free(jobs);
}

int queue_list(Queue *queue, VarlinkCall *call, const Caller *caller, JobStatus status, const char *after,
               size_t limit) {
        ListRequest *list = calloc(1, sizeof(*list));

        if (!list)
                return -ENOMEM;
        list->status = status;
        list->limit = limit;
        queue_request_init(&list->base, queue, call, caller, after, apply_list, on_listed);
        commit_group_add(queue->manager->group, &list->base.write);
        return 0;
}
