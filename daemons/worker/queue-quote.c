/* Quote: what a request would cost at most. It stores nothing and asks no provider. */
#include <errno.h>
#include <string.h>

#include "price-book.h"
#include "queue-private.h"
#include "request-check.h"

static int reply_quote(VarlinkCall *call, const ModelConf *model, const GenerationRequest *generation, micros_t cost) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add_string(reply, "model", model->name);
        if (r >= 0)
                r = json_add_string(reply, "provider", model->provider);
        if (r >= 0)
                r = json_add_integer(reply, "n", generation->n);
        if (r >= 0)
                r = json_add_string(reply, "size", generation->size);
        if (r >= 0)
                r = json_add_string(reply, "quality", generation->quality);
        if (r >= 0)
                r = json_add_integer(reply, "cost_micros", cost);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int refuse_without_price(VarlinkCall *call, Buffer *reason) {
        _cleanup_free_ char *message = buffer_take_text(reason);

        return message ? queue_refuse_text(call, 400, "invalid_request_error", "price_unknown", message) : -ENOMEM;
}

int queue_quote(Queue *queue, VarlinkCall *call, const JsonValue *request) {
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(buffer_done) Buffer reason = {};
        GenerationRequest generation;
        const ModelConf *model;
        micros_t cost;
        int r;

        r = request_check(queue_settings(queue), request, &model, &failure);
        if (r == REQUEST_INVALID)
                return queue_refuse(call, &failure);
        if (r < 0)
                return r;

        request_to_generation(request, model, &generation);
        r = price_book_quote(queue->manager->prices, &(PricedRequest) {
                .provider = model->provider,
                .model = generation.model,
                .size = generation.size,
                .quality = generation.quality,
                .n = generation.n,
                .partial_images = generation.partial_images,
                .prompt_bytes = strlen(generation.prompt),
        }, time_now_realtime(), &cost, &reason);
        if (r == PRICE_MISSING)
                return refuse_without_price(call, &reason);
        return r < 0 ? r : reply_quote(call, model, &generation, cost);
}
