/* Quote: what a request would cost at most. It stores nothing and asks no provider. */
#include <errno.h>

#include "money/spending.h"
#include "queue/queue-private.h"
#include "queue/request-check.h"
#include "queue/request-price.h"
#include "queue/request-translate.h"
#include "store/store-cache.h"

/* What it would mean for the caller's budgets. */
static int add_budget(JsonValue *reply, Queue *queue, const Caller *caller, const ModelConf *model, micros_t cost,
                      bool only_cached) {
        bool paused;
        micros_t left;
        int r;

        r = spending_left(queue->manager->spending, model->name, *caller->key ? caller->key : NULL, &left, &paused);
        if (r < 0)
                return r;
        r = json_add_bool(reply, "fits", cost == 0 || (!paused && !only_cached && cost <= left));
        return r < 0 || left == MICROS_INFINITY ? r : json_add_integer(reply, "left_micros", left);
}

/* Whether the cache would answer it. */
static int look_into_cache(Queue *queue, const Caller *caller, const Translation *translation, bool *ret) {
        Store *store = commit_group_store(queue->manager->group);
        JobCache cache;
        int r;

        *ret = false;
        r = picture_cache_terms(queue->manager, translation, caller, (CacheWish) {}, &cache);
        if (r < 0 || !*cache.picture)
                return r;
        return store ? store_cache_has(store, cache.picture, cache.made_after, ret) : -EIO;
}

static int reply_quote(Queue *queue, VarlinkCall *call, const Caller *caller, Translation *translation,
                       const RequestPrice *price) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        micros_t cost = price->ceiling;
        GenerationRequest generation;
        bool cached;
        int r;

        request_to_generation(translation->request, translation->model, &generation);
        r = look_into_cache(queue, caller, translation, &cached);
        if (r < 0)
                return r;
        if (cached)
                cost = 0;
        r = json_add_bool(reply, "cached", cached);
        if (r >= 0)
                r = json_add_string(reply, "model", translation->model->name);
        if (r >= 0)
                r = json_add_string(reply, "provider", translation->model->provider);
        if (r >= 0)
                r = json_add_integer(reply, "n", generation.n);
        if (r >= 0)
                r = json_add_string(reply, "size", generation.size);
        if (r >= 0)
                r = json_add_string(reply, "quality", generation.quality);
        if (r >= 0)
                r = json_add_integer(reply, "cost_micros", cost);
        if (r >= 0)
                r = add_budget(reply, queue, caller, translation->model, cost, price->gone > 0);
        if (r >= 0 && translation->asked)
                r = json_add(reply, "asked", TAKE_PTR(translation->asked));
        if (r >= 0 && translation->optimised)
                r = json_add(reply, "optimised", TAKE_PTR(translation->optimised));
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

int queue_refuse_without_price(VarlinkCall *call, Buffer *reason) {
        _cleanup_free_ char *message = buffer_take_text(reason);

        return message ? queue_refuse_text(call, 400, "invalid_request_error", "price_unknown", message) : -ENOMEM;
}

int queue_quote(Queue *queue, VarlinkCall *call, const Caller *caller, const JsonValue *request, OptimiseWish wish) {
        _cleanup_(translation_done) Translation translation = {};
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(buffer_done) Buffer reason = {};
        const Failure *forbidden;
        const ModelConf *model;
        RequestPrice price;
        int r;

        r = request_check(queue_settings(queue), request, time_now_realtime(), &model, &failure);
        if (r == REQUEST_INVALID)
                return queue_refuse(call, &failure);
        if (r >= 0 && !caller_may_ask_for(queue->manager, caller, model))
                return queue_refuse(call, &caller_model_refused);
        if (r >= 0)
                r = queue_judge_prompt(queue, request, &forbidden);
        if (r >= 0 && forbidden)
                return queue_refuse(call, forbidden);
        if (r >= 0)
                r = request_translate(queue_settings(queue), request, model, &translation);
        if (r >= 0)
                r = request_price(queue->manager, caller, wish, &translation, &price, &reason);
        if (r == PRICE_MISSING)
                return queue_refuse_without_price(call, &reason);
        return r < 0 ? r : reply_quote(queue, call, caller, &translation, &price);
}
