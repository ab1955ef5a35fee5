/* GetCache and ClearCache: what the cache holds, and an end of it. */
#include "queue/queue-private.h"

#include <errno.h>

#include "store/store-cache.h"

#define CLEARED_AT_ONCE 1024  /* entries; the others wait for further turns of the loop, between which jobs go on */

static int reply_total(VarlinkCall *call, const Queue *queue, const CacheTotal *total) {
        const WorkerSettings *settings = &queue_settings(queue)->worker;
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add_integer(reply, "ttl_usec", (int64_t) settings->cache_ttl);
        if (r >= 0)
                r = json_add_integer(reply, "entries", total->entries);
        if (r >= 0)
                r = json_add_integer(reply, "size_bytes", total->size_bytes);
        if (r >= 0)
                r = json_add_integer(reply, "bytes_max", (int64_t) settings->cache_bytes_max);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

int queue_get_cache(Queue *queue, VarlinkCall *call) {
        Store *store = commit_group_store(queue->manager->group);
        CacheTotal total;
        int r;

        r = store ? store_cache_get_total(store, &total) : -EIO;
        return r != 0 ? queue_reply_result(call, NULL, r) : reply_total(call, queue, &total);
}

typedef struct ClearRequest {
        QueueRequest request;        /* first: it is freed as this */
        int64_t removed, batch;
} ClearRequest;

static int apply_clear(Write *write, Store *store) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        ClearRequest *clear = CONTAINER_OF(request, ClearRequest, request);
        int r = store_cache_clear(store, CLEARED_AT_ONCE);

        clear->batch = r;
        return MIN(r, 0);
}

static int reply_cleared(VarlinkCall *call, int64_t removed) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r = json_add_integer(reply, "removed", removed);

        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static void on_cleared(Write *write, int result) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        ClearRequest *clear = CONTAINER_OF(request, ClearRequest, request);
        VarlinkCall *call;

        if (result == 0) {
                clear->removed += clear->batch;
                if (clear->batch == CLEARED_AT_ONCE) {
                        commit_group_add(request->queue->manager->group, &request->write);
                        return;
                }
        }
        call = queue_request_take_call(request);
        if (call)
                queue_log_unanswered(result == 0 ? reply_cleared(call, clear->removed)
                                                 : queue_reply_result(call, NULL, result), "of the cache");
        queue_request_free(request);
}

int queue_clear_cache(Queue *queue, VarlinkCall *call) {
        ClearRequest *clear = calloc(1, sizeof(*clear));

        if (!clear)
                return -ENOMEM;
        queue_request_init(&clear->request, queue, call, NULL, NULL, apply_clear, on_cleared);
        commit_group_add(queue->manager->group, &clear->request.write);
        return 0;
}
