/* Showing batches: one, many, and the items of one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "queue/batch-request.h"

/* A page ends early rather than become larger than a message may be. */
#define ITEMS_BYTES_MAX (VARLINK_MESSAGE_BYTES_MAX / 2)
#define ITEM_BYTES 8192  /* of an item beside its request: images, attempts, usage */

void batch_request_init(BatchRequest *request, Queue *queue, VarlinkCall *call, const Caller *caller, const char *id,
                        int (*apply)(Write *, Store *), void (*done)(Write *, int)) {
        queue_request_init(&request->request, queue, call, caller, NULL, apply, done);
        (void) snprintf(request->id, sizeof(request->id), "%s", id ?: "");
}

void batch_request_done(BatchRequest *request) {
        request->batch = batch_free(request->batch);
}

int batch_request_read(BatchRequest *request, Store *store) {
        const char *key = request->request.caller.key;
        int r;

        request->batch = batch_free(request->batch);
        r = store_get_batch(store, request->id, &request->batch);
        if (r != 0 || !*key || text_equal(key, request->batch->key))
                return r;
        request->batch = batch_free(request->batch);
        return STORE_NOT_FOUND;
}

int batch_reply_result(VarlinkCall *call, const char *id, int result) {
        _cleanup_(json_freep) JsonValue *parameters = NULL;
        int r;

        if (result != STORE_NOT_FOUND)
                return queue_reply_result(call, id, result);
        parameters = json_new_object();
        r = json_add_string(parameters, "id", id);
        return r < 0 ? r : varlink_call_error(call, "io.atelier.Queue.BatchNotFound", TAKE_PTR(parameters));
}

static int reply_batch(VarlinkCall *call, const Batch *batch, const RateClaim *rates) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add(reply, "batch", batch_to_json(batch));
        if (r >= 0 && rates)
                r = json_add(reply, "rates", rate_claims_to_json(rates));
        return r < 0 ? varlink_call_error_errno(call, r) : varlink_call_reply(call, TAKE_PTR(reply));
}

void batch_request_answer(BatchRequest *request, int result) {
        VarlinkCall *call = queue_request_take_call(&request->request);

        if (call)
                queue_log_unanswered(result == 0 ? reply_batch(call, request->batch, request->rates)
                                                 : batch_reply_result(call, request->id, result),
                                     request->id);
}

/* ------------------------------------------------------------------ one */

static int apply_get(Write *write, Store *store) {
        return batch_request_read(batch_request_of(write), store);
}

static void on_got(Write *write, int result) {
        BatchRequest *request = batch_request_of(write);

        batch_request_answer(request, result);
        batch_request_done(request);
        queue_request_free(&request->request);
}

int queue_get_batch(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id) {
        BatchRequest *request = calloc(1, sizeof(*request));

        if (!request)
                return -ENOMEM;
        batch_request_init(request, queue, call, caller, id, apply_get, on_got);
        commit_group_add(queue->manager->group, &request->request.write);
        return 0;
}

/* ------------------------------------------------------------------ many */

typedef struct BatchList {
        BatchRequest base;
        size_t limit, count;
        Batch **batches;
} BatchList;

/* One more than asked for tells whether there are more. */
static int apply_list(Write *write, Store *store) {
        BatchList *list = CONTAINER_OF(batch_request_of(write), BatchList, base);
        const char *key = list->base.request.caller.key;

        return store_list_batches(store, *key ? key : NULL, *list->base.id ? list->base.id : NULL, list->limit + 1,
                                  &list->batches, &list->count);
}

static int reply_list(VarlinkCall *call, const BatchList *list) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        int r;

        r = json_add(reply, "batches", array);
        for (size_t i = 0; r >= 0 && i < MIN(list->count, list->limit); i++)
                r = json_append(array, batch_to_json(list->batches[i]));
        if (r >= 0)
                r = json_add_bool(reply, "has_more", list->count > list->limit);
        return r < 0 ? varlink_call_error_errno(call, r) : varlink_call_reply(call, TAKE_PTR(reply));
}

static void on_listed(Write *write, int result) {
        BatchList *list = CONTAINER_OF(batch_request_of(write), BatchList, base);
        VarlinkCall *call = queue_request_take_call(&list->base.request);

        if (call)
                queue_log_unanswered(result == 0 ? reply_list(call, list) : batch_reply_result(call, NULL, result),
                                     "batches");
        batches_free(list->batches, list->count);
        queue_request_free(&list->base.request);
}

int queue_list_batches(Queue *queue, VarlinkCall *call, const Caller *caller, const char *after, size_t limit) {
        BatchList *list = calloc(1, sizeof(*list));

        if (!list)
                return -ENOMEM;
        list->limit = limit;
        batch_request_init(&list->base, queue, call, caller, after, apply_list, on_listed);
        commit_group_add(queue->manager->group, &list->base.request.write);
        return 0;
}

/* ------------------------------------------------------------------ items */

typedef struct ItemList {
        BatchRequest base;
        int64_t after;
        size_t limit, count;
        BatchItem *items;
} ItemList;

static int apply_items(Write *write, Store *store) {
        ItemList *list = CONTAINER_OF(batch_request_of(write), ItemList, base);
        int r;

        r = batch_request_read(&list->base, store);
        return r != 0 ? r : store_list_batch_items(store, list->base.batch, list->after, list->limit + 1, &list->items,
                                                   &list->count);
}

static size_t count_that_fits(const ItemList *list) {
        size_t count = 0, bytes = 0;

        for (; count < MIN(list->count, list->limit); count++) {
                const Job *job = list->items[count].job;

                bytes += (job ? strlen(job->request) : 0) + ITEM_BYTES;
                if (count > 0 && bytes > ITEMS_BYTES_MAX)
                        break;
        }
        return count;
}

static int reply_items(VarlinkCall *call, const ItemList *list) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        size_t count = count_that_fits(list);
        int r;

        r = json_add(reply, "items", array);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = json_append(array, batch_item_to_json(&list->items[i]));
        if (r >= 0)
                r = json_add_bool(reply, "has_more", list->count > count);
        return r < 0 ? varlink_call_error_errno(call, r) : varlink_call_reply(call, TAKE_PTR(reply));
}

static void on_items(Write *write, int result) {
        ItemList *list = CONTAINER_OF(batch_request_of(write), ItemList, base);
        VarlinkCall *call = queue_request_take_call(&list->base.request);

        if (call)
                queue_log_unanswered(result == 0 ? reply_items(call, list)
                                                 : batch_reply_result(call, list->base.id, result),
                                     list->base.id);
        batch_items_free(list->items, list->count);
        batch_request_done(&list->base);
        queue_request_free(&list->base.request);
}

int queue_list_batch_items(Queue *queue, VarlinkCall *call, const Caller *caller, const char *id, int64_t after,
                           size_t limit) {
        ItemList *list = calloc(1, sizeof(*list));

        if (!list)
                return -ENOMEM;
        list->after = after;
        list->limit = limit;
        batch_request_init(&list->base, queue, call, caller, id, apply_items, on_items);
        commit_group_add(queue->manager->group, &list->base.request.write);
        return 0;
}
