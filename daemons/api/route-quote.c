/* POST /v1/images/quote: what a generation would cost at most, before it is asked for. */
#include <errno.h>

#include "base/money.h"
#include "exchange.h"
#include "image-request.h"
#include "optimise-wish.h"

#define QUOTE_DEADLINE_USEC (30 * USEC_PER_SEC)

static int build_quote(HttpRequest *request, JsonValue *parameters, JsonValue *prepared) {
        const Buffer *body = http_request_body(request);
        JsonValue *image_request = prepared;
        ApiError error;
        int r;

        if (!image_request) {
                r = image_request_parse((const char *) body->data, body->size, &image_request, &error);
                if (r != 0)
                        return r < 0 ? r : -EBADMSG;
        }
        r = json_add(parameters, "request", image_request);
        return r < 0 ? r : optimise_wish_add(request, parameters);
}

static int copy_text(JsonValue *object, const JsonValue *quote, const char *name) {
        const char *text = json_get_string(quote, name);

        return text ? json_add_string(object, name, text) : json_add(object, name, cJSON_CreateNull());
}

/* What the client asked for, in its words; behind an alias also what the provider would be asked. */
static int add_terms(JsonValue *object, const JsonValue *quote) {
        static const char *const names[] = { "model", "size", "quality" };
        const JsonValue *asked = json_get_object(quote, "asked");
        JsonValue *sent;
        int r = 0;

        for (size_t i = 0; i < ELEMENTS(names) && r >= 0; i++)
                r = copy_text(object, asked ?: quote, names[i]);
        if (r < 0 || !asked)
                return r;

        sent = json_new_object();
        r = json_add(object, "sent", sent);
        for (size_t i = 0; i < ELEMENTS(names) && r >= 0; i++)
                r = copy_text(sent, quote, names[i]);
        return r;
}

static int answer_quote(_unused_ ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                        HttpReply **ret) {
        const JsonValue *quote = reply->parameters;
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        micros_t cost = json_get_integer(quote, "cost_micros", 0);
        char text[MONEY_TEXT_MAX];
        int r;

        r = json_add_string(object, "object", "image.quote");
        if (r >= 0)
                r = add_terms(object, quote);
        if (r >= 0)
                r = json_add_integer(object, "n", json_get_integer(quote, "n", 1));
        if (r >= 0)
                r = json_add_integer(object, "cost_micros", cost);
        if (r >= 0)
                r = json_add_string(object, "cost", money_format(cost, text));
        if (r >= 0)
                r = json_add_string(object, "currency", "USD");
        if (r >= 0)
                r = json_add_bool(object, "fits", json_get_bool(quote, "fits", true));
        if (r >= 0)
                r = json_add_bool(object, "cached", json_get_bool(quote, "cached", false));
        if (r >= 0 && json_has(quote, "left_micros"))
                r = json_add_integer(object, "left_micros", json_get_integer(quote, "left_micros", 0));
        if (r >= 0 && json_has(quote, "optimised"))
                r = json_add(object, "optimised", cJSON_Duplicate(json_get_object(quote, "optimised"), true));
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, object);
}

static const ExchangeKind quote = {
        .method = { "io.atelier.Queue.Quote", .deadline = QUOTE_DEADLINE_USEC },
        .build = build_quote,
        .answer = answer_quote,
};

void route_quote(ApiManager *manager, HttpRequest *request) {
        const Buffer *body = http_request_body(request);
        JsonValue *image_request = NULL;
        ApiError error;
        int r;

        if (!optimise_wish_fits(request, &error)) {
                http_request_answer_error(request, &error);
                return;
        }
        r = image_request_parse((const char *) body->data, body->size, &image_request, &error);
        if (r == IMAGE_REQUEST_INVALID)
                http_request_answer_error(request, &error);
        else if (r < 0)
                http_request_answer(request, r, NULL);
        else
                exchange_start(manager, request, &quote, image_request);
}
