/* /v1/batches: many requests that are accepted together. */
#include <errno.h>
#include <string.h>

#include "base/id.h"
#include "base/text.h"
#include "batch-reply.h"
#include "batch-request.h"
#include "exchange.h"
#include "submit-headers.h"

#define SUBMIT_DEADLINE_USEC (60 * USEC_PER_SEC)
#define BATCHES_DEADLINE_USEC (30 * USEC_PER_SEC)
#define BATCH_ID_PREFIX "batch_"
#define BATCHES_MAX 20 /* of a page */
#define ITEMS_MAX 100
#define ITEMS_DEFAULT 20

static bool batch_id_valid(const char *text) {
        const char *id = text_after(text, BATCH_ID_PREFIX);

        return id && id_valid(id);
}

/* ------------------------------------------------------------------ one batch */

static int answer_batch(_unused_ ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                        HttpReply **ret) {
        _cleanup_(json_freep) JsonValue *object = NULL;
        int r;

        r = batch_reply_object(json_get_object(reply->parameters, "batch"), &object);
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, object);
}

static int build_id(HttpRequest *request, JsonValue *parameters, _unused_ JsonValue *prepared) {
        return json_add_string(parameters, "id", http_request_match(request)->argument);
}

static const ExchangeKind get_batch = {
        .method = { "io.atelier.Queue.GetBatch", .deadline = BATCHES_DEADLINE_USEC },
        .build = build_id,
        .answer = answer_batch,
};

static const ExchangeKind cancel_batch = {
        .method = { "io.atelier.Queue.CancelBatch", .deadline = BATCHES_DEADLINE_USEC },
        .build = build_id,
        .answer = answer_batch,
};

/* What cannot be a batch's id is not asked for. */
static void start_for_batch(ApiManager *manager, HttpRequest *request, const ExchangeKind *kind) {
        ApiError error;

        if (batch_id_valid(http_request_match(request)->argument)) {
                exchange_start(manager, request, kind, NULL);
                return;
        }
        api_error_set(&error, 404, ERROR_TYPE_REQUEST, "batch_not_found", NULL, "No such batch.");
        http_request_answer_error(request, &error);
}

void route_get_batch(ApiManager *manager, HttpRequest *request) {
        start_for_batch(manager, request, &get_batch);
}

void route_cancel_batch(ApiManager *manager, HttpRequest *request) {
        start_for_batch(manager, request, &cancel_batch);
}

/* ------------------------------------------------------------------ submission */

/* The first try has what was parsed when the request came; further ones parse again, which keeps no second tree. */
static int build_submit(HttpRequest *request, JsonValue *parameters, JsonValue *prepared) {
        _cleanup_(json_freep) JsonValue *batch = prepared;
        const Buffer *body = http_request_body(request);
        ApiError error;
        int r = 0;

        if (!batch)
                r = batch_request_parse((const char *) body->data, body->size, &batch, &error);
        if (r != 0)
                return r < 0 ? r : -EBADMSG;
        while (r >= 0 && batch->child) {
                _cleanup_free_ char *name = strdup(batch->child->string);

                r = name ? json_add(parameters, name, cJSON_DetachItemViaPointer(batch, batch->child)) : -ENOMEM;
        }
        return r < 0 ? r : submit_headers_add(request, parameters);
}

static int answer_accepted(_unused_ ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                           HttpReply **ret) {
        const JsonValue *batch = json_get_object(reply->parameters, "batch");
        _cleanup_free_ char *location = batch_reply_location(batch);
        _cleanup_(http_reply_freep) HttpReply *answer = NULL;
        _cleanup_(json_freep) JsonValue *object = NULL;
        int r;

        if (!location)
                return -ENOMEM;
        r = batch_reply_object(batch, &object);
        if (r >= 0)
                r = http_reply_new_json(&answer, MHD_HTTP_ACCEPTED, object);
        if (r >= 0)
                r = http_reply_add_header(answer, MHD_HTTP_HEADER_LOCATION, location);
        if (r >= 0)
                *ret = TAKE_PTR(answer);
        return r;
}

static const ExchangeKind submit_batch = {
        .method = { "io.atelier.Queue.SubmitBatch", .deadline = SUBMIT_DEADLINE_USEC },
        .build = build_submit,
        .answer = answer_accepted,
};

void route_create_batch(ApiManager *manager, HttpRequest *request) {
        const Buffer *body = http_request_body(request);
        JsonValue *batch = NULL;
        ApiError error;
        int r;

        if (!submit_headers_fit(request, &error)) {
                http_request_answer_error(request, &error);
                return;
        }
        r = batch_request_parse((const char *) body->data, body->size, &batch, &error);
        if (r > 0)
                http_request_answer_error(request, &error);
        else if (r < 0)
                http_request_answer(request, r, NULL);
        else
                exchange_start(manager, request, &submit_batch, batch);
}

/* ------------------------------------------------------------------ pages */

static bool parse_limit(const Uri *uri, uint64_t max, uint64_t fallback, uint64_t *ret, ApiError *error) {
        const char *limit = uri_parameter(uri, "limit");

        *ret = fallback;
        if (!limit || (text_to_unsigned(limit, max, ret) >= 0 && *ret > 0))
                return true;
        api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_value", "limit",
                      "Invalid value for 'limit': expected a number from 1 to %llu.", (unsigned long long) max);
        return false;
}

static bool parse_batches(const Uri *uri, uint64_t *ret_limit, ApiError *error) {
        const char *after = uri_parameter(uri, "after");

        if (!parse_limit(uri, BATCHES_MAX, BATCHES_MAX, ret_limit, error))
                return false;
        if (!after || batch_id_valid(after))
                return true;
        api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_value", "after",
                      "Invalid value for 'after': expected the id of a batch.");
        return false;
}

static bool parse_items(const Uri *uri, uint64_t *ret_limit, uint64_t *ret_after, ApiError *error) {
        const char *after = uri_parameter(uri, "after");

        *ret_after = 0;
        if (!parse_limit(uri, ITEMS_MAX, ITEMS_DEFAULT, ret_limit, error))
                return false;
        if (!after || text_to_unsigned(after, BATCH_REQUESTS_MAX, ret_after) >= 0)
                return true;
        api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_value", "after",
                      "Invalid value for 'after': expected the number of an item, from 0 to 1000.");
        return false;
}

static int answer_page(JsonValue *data, const VarlinkReply *reply, HttpReply **ret) {
        _cleanup_(json_freep) JsonValue *list = json_new_object(), *owned = data;
        int r;

        r = json_add_string(list, "object", "list");
        if (r >= 0)
                r = json_add(list, "data", TAKE_PTR(owned));
        if (r >= 0)
                r = json_add_bool(list, "has_more", json_get_bool(reply->parameters, "has_more", false));
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, list);
}

static int build_batches(HttpRequest *request, JsonValue *parameters, _unused_ JsonValue *prepared) {
        const Uri *uri = http_request_uri(request);
        uint64_t limit;
        ApiError error;
        int r;

        if (!parse_batches(uri, &limit, &error))
                return -EINVAL;
        r = json_add_integer(parameters, "limit", (int64_t) limit);
        return r < 0 ? r : json_add_string(parameters, "after", uri_parameter(uri, "after"));
}

static int answer_batches(_unused_ ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                          HttpReply **ret) {
        _cleanup_(json_freep) JsonValue *data = json_new_array();
        const JsonValue *batch;

        cJSON_ArrayForEach(batch, json_get_array(reply->parameters, "batches")) {
                JsonValue *object = NULL;
                int r;

                r = batch_reply_object(batch, &object);
                if (r >= 0)
                        r = json_append(data, object);
                if (r < 0)
                        return r;
        }
        return answer_page(TAKE_PTR(data), reply, ret);
}

static const ExchangeKind list_batches = {
        .method = { "io.atelier.Queue.ListBatches", .deadline = BATCHES_DEADLINE_USEC },
        .build = build_batches,
        .answer = answer_batches,
};

void route_list_batches(ApiManager *manager, HttpRequest *request) {
        uint64_t limit;
        ApiError error;

        if (parse_batches(http_request_uri(request), &limit, &error))
                exchange_start(manager, request, &list_batches, NULL);
        else
                http_request_answer_error(request, &error);
}

static int build_items(HttpRequest *request, JsonValue *parameters, JsonValue *prepared) {
        uint64_t limit, after;
        ApiError error;
        int r;

        if (!parse_items(http_request_uri(request), &limit, &after, &error))
                return -EINVAL;
        r = build_id(request, parameters, prepared);
        if (r >= 0)
                r = json_add_integer(parameters, "limit", (int64_t) limit);
        return r < 0 ? r : json_add_integer(parameters, "after", (int64_t) after);
}

static int answer_items(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        _cleanup_free_ char *link_base = api_manager_link_base(manager, request);
        _cleanup_(json_freep) JsonValue *data = json_new_array();
        const JsonValue *entry;

        if (!link_base)
                return -ENOMEM;
        cJSON_ArrayForEach(entry, json_get_array(reply->parameters, "items")) {
                JsonValue *object = NULL;
                int r;

                r = batch_reply_item(entry, link_base, &object);
                if (r >= 0)
                        r = json_append(data, object);
                if (r < 0)
                        return r;
        }
        return answer_page(TAKE_PTR(data), reply, ret);
}

static const ExchangeKind list_items = {
        .method = { "io.atelier.Queue.ListBatchItems", .deadline = BATCHES_DEADLINE_USEC },
        .build = build_items,
        .answer = answer_items,
};

void route_list_batch_items(ApiManager *manager, HttpRequest *request) {
        uint64_t limit, after;
        ApiError error;

        if (parse_items(http_request_uri(request), &limit, &after, &error))
                start_for_batch(manager, request, &list_items);
        else
                http_request_answer_error(request, &error);
}
