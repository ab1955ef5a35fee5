/* GET /v1/images/SHA256/receipt: what an image was made from, for whom, by whom, and what it cost. */
#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/money.h"
#include "base/text.h"
#include "exchange.h"

#define RECEIPT_DEADLINE_USEC (30 * USEC_PER_SEC)

static int build_receipts(HttpRequest *request, JsonValue *parameters, _unused_ JsonValue *prepared) {
        return json_add_string(parameters, "sha256", http_request_match(request)->argument);
}

static int add_time(JsonValue *object, const char *name, const JsonValue *receipt) {
        return json_add_integer(object, name, json_get_integer(receipt, name, 0) / (int64_t) USEC_PER_SEC);
}

/* As they are, where they are there. */
static int copy_members(JsonValue *object, const JsonValue *receipt, const char *const *names) {
        int r = 0;

        for (; r >= 0 && *names; names++)
                if (json_has(receipt, *names))
                        r = json_add(object, *names, cJSON_Duplicate(json_member(receipt, *names), true));
        return r;
}

static JsonValue *make_receipt(const JsonValue *receipt, const char *sha256) {
        static const char *const made[] = { "job", "key", "key_name", NULL };
        static const char *const asked[] = { "format", "width", "height", "size_bytes", "images", "model", "request", "asked",
                                             "provider", "provider_request_id", "charged_micros", "unknown_micros", "day",
                                             "items", "budgets", "entries", "defects", NULL };
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        char text[MONEY_TEXT_MAX];
        int r;

        r = json_add_string(object, "object", "image.receipt");
        if (r >= 0)
                r = json_add_string(object, "sha256", sha256);
        if (r >= 0)
                r = copy_members(object, receipt, made);
        if (r >= 0)
                r = add_time(object, "created_at", receipt);
        if (r >= 0)
                r = add_time(object, "ended_at", receipt);
        if (r >= 0)
                r = json_add_string(object, "charged",
                                    money_format(json_get_integer(receipt, "charged_micros", 0), text));
        if (r >= 0)
                r = copy_members(object, receipt, asked);
        return r < 0 ? NULL : TAKE_PTR(object);
}

static int answer_receipts(_unused_ ApiManager *manager, HttpRequest *request, const VarlinkReply *reply,
                           HttpReply **ret) {
        const JsonValue *receipts = json_get_array(reply->parameters, "receipts"), *receipt;
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        JsonValue *data = json_new_array();
        int r;

        r = json_add_string(object, "object", "list");
        if (r < 0)
                (void) json_free(data);
        else
                r = json_add(object, "data", data);
        cJSON_ArrayForEach(receipt, receipts)
                if (r >= 0)
                        r = json_append(data, make_receipt(receipt, http_request_match(request)->argument));
        if (r >= 0)
                r = json_add_bool(object, "has_more", json_get_bool(reply->parameters, "has_more", false));
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, object);
}

static const ExchangeKind get_receipts = {
        .method = { "io.atelier.Ledger.GetReceipts", .deadline = RECEIPT_DEADLINE_USEC },
        .build = build_receipts,
        .answer = answer_receipts,
};

void route_get_receipt(ApiManager *manager, HttpRequest *request) {
        ApiError error;

        if (sha256_text_valid(http_request_match(request)->argument)) {
                exchange_start(manager, request, &get_receipts, NULL);
                return;
        }
        api_error_set(&error, 404, ERROR_TYPE_REQUEST, "image_not_found", NULL, "No such image.");
        http_request_answer_error(request, &error);
}
