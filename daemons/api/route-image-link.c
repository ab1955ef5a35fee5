/* POST /v1/images/SHA256/link: a link that opens the image without a key until it expires. */
#include <errno.h>

#include "base/hash.h"
#include "base/text.h"
#include "exchange.h"
#include "image-request.h"

#define LINK_DEADLINE_USEC (30 * USEC_PER_SEC)
#define EXPIRES_IN "expires_in"

/* -EINVAL with *error. What the number may be the worker says. */
static int check_member(const JsonValue *member, ApiError *error) {
        if (!text_equal(member->string, EXPIRES_IN)) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "unknown_parameter", member->string,
                              "Unknown parameter: '%.64s'; the body may have '" EXPIRES_IN "' alone.", member->string);
                return -EINVAL;
        }
        if (!cJSON_IsNull(member) && !json_is_integer(member)) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_type", EXPIRES_IN,
                              "Invalid type for '" EXPIRES_IN "': expected a whole number of seconds.");
                return -EINVAL;
        }
        return 0;
}

/* A body need not be there. -EINVAL with *error; *ret without a body NULL. */
static int parse_body(HttpRequest *request, JsonValue **ret, ApiError *error) {
        const Buffer *body = http_request_body(request);
        _cleanup_(json_freep) JsonValue *object = NULL;
        int r;

        if (body->size > 0) {
                r = image_request_parse_object((const char *) body->data, body->size, &object, error);
                if (r != 0)
                        return r < 0 ? r : -EINVAL;
        }
        for (const JsonValue *member = object ? object->child : NULL; member; member = member->next) {
                r = check_member(member, error);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(object);
        return 0;
}

static int build_link(HttpRequest *request, JsonValue *parameters, _unused_ JsonValue *prepared) {
        _cleanup_(json_freep) JsonValue *body = NULL;
        ApiError error;
        int r;

        r = parse_body(request, &body, &error);
        if (r >= 0)
                r = json_add_string(parameters, "sha256", http_request_match(request)->argument);
        if (r >= 0 && json_has(body, EXPIRES_IN))
                r = json_add_integer(parameters, EXPIRES_IN, json_get_integer(body, EXPIRES_IN, 0));
        return r;
}

static int answer_link(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        const JsonValue *link = json_get_object(reply->parameters, "link");
        _cleanup_free_ char *base = api_manager_link_base(manager, request), *url = NULL;
        _cleanup_(http_reply_freep) HttpReply *answer = NULL;
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        url = base ? text_format("%s%s", base, json_get_string(link, "path") ?: "") : NULL;
        if (!url)
                return -ENOMEM;
        r = json_add_string(object, "object", "image.link");
        if (r >= 0)
                r = json_add_string(object, "url", url);
        if (r >= 0)
                r = json_add_integer(object, "expires_at",
                                     json_get_integer(link, "expires_at", 0) / (int64_t) USEC_PER_SEC);
        if (r >= 0)
                r = http_reply_new_json(&answer, MHD_HTTP_OK, object);
        if (r >= 0)
                r = http_reply_add_header(answer, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        if (r < 0)
                return r;

        *ret = TAKE_PTR(answer);
        return 0;
}

static const ExchangeKind create_link = {
        .method = { "io.atelier.Links.Create", .deadline = LINK_DEADLINE_USEC },
        .build = build_link,
        .answer = answer_link,
};

void route_create_link(ApiManager *manager, HttpRequest *request) {
        _cleanup_(json_freep) JsonValue *body = NULL;
        ApiError error;
        int r;

        r = parse_body(request, &body, &error);
        if (r >= 0 && !sha256_text_valid(http_request_match(request)->argument)) {
                api_error_set(&error, 404, ERROR_TYPE_REQUEST, "image_not_found", NULL, "No such image.");
                r = -EINVAL;
        }
        if (r >= 0)
                exchange_start(manager, request, &create_link, NULL);
        else if (r == -EINVAL)
                http_request_answer_error(request, &error);
        else
                http_request_answer(request, r, NULL);
}
