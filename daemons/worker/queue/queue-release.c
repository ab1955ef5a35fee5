#include "queue/queue-private.h"

#include <errno.h>

#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "money/budget-wait.h"

/* Held jobs go on. */
typedef struct ReleaseRequest {
        QueueRequest request;
        char **ids;             /* NULL: all */
        size_t n_ids;
        int64_t released, to_budget;
} ReleaseRequest;

static void release_request_free(ReleaseRequest *release) {
        for (size_t i = 0; i < release->n_ids; i++)
                free(release->ids[i]);
        free(release->ids);
        queue_request_free(&release->request);
}

static int apply_release(Write *write, Store *store) {
        ReleaseRequest *release = CONTAINER_OF(write, ReleaseRequest, request.write);

        return store_release(store, (const char *const *) release->ids, release->n_ids, &release->released, &release->to_budget);
}

/* An operator has said so: where it did not reach the disk it is done once more. */
static int settle_release(Write *write, Store *store) {
        int r = apply_release(write, store);

        return r < 0 ? r : WRITE_STANDS;
}

static int reply_released(VarlinkCall *call, int64_t released) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add_integer(reply, "released", released);
        return r < 0 ? varlink_call_error_errno(call, r) : varlink_call_reply(call, TAKE_PTR(reply));
}

static void on_released(Write *write, int result) {
        ReleaseRequest *release = CONTAINER_OF(write, ReleaseRequest, request.write);
        VarlinkCall *call = queue_request_take_call(&release->request);
        Manager *manager = release->request.queue->manager;

        if (result == 0) {
                dispatcher_add_held(manager->dispatcher, -(release->released + release->to_budget));
                dispatcher_add_waiting(manager->dispatcher, release->released);
                budget_wait_recount(manager->budget_wait);
                budget_wait_look(manager->budget_wait);
        }
        if (call)
                queue_log_unanswered(result == 0 ? reply_released(call, release->released + release->to_budget)
                                                 : queue_reply_result(call, NULL, result),
                                     "held");
        release_request_free(release);
}

static int copy_ids(ReleaseRequest *release, const JsonValue *ids) {
        const JsonValue *id;

        release->ids = calloc((size_t) cJSON_GetArraySize(ids) + 1, sizeof(*release->ids));
        if (!release->ids)
                return -ENOMEM;
        cJSON_ArrayForEach(id, ids) {
                release->ids[release->n_ids] = strdup(cJSON_GetStringValue(id));
                if (!release->ids[release->n_ids++])
                        return -ENOMEM;
        }
        return 0;
}

int queue_release(Queue *queue, VarlinkCall *call, const JsonValue *ids) {
        ReleaseRequest *release = calloc(1, sizeof(*release));
        int r = 0;

        if (!release)
                return -ENOMEM;
        if (ids)
                r = copy_ids(release, ids);
        queue_request_init(&release->request, queue, call, NULL, NULL, apply_release, on_released);
        release->request.write.settle = settle_release;
        if (r < 0) {
                release_request_free(release);
                return r;
        }
        commit_group_add(queue->manager->group, &release->request.write);
        return 0;
}
