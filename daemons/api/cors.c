#include "cors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define ORIGIN "Origin"
#define REQUEST_METHOD "Access-Control-Request-Method"
#define MAX_AGE_MAX 24 /* characters */

/* What a page may send beside what any form can. */
#define REQUEST_HEADERS \
        "Authorization, Content-Type, Cache-Control, Idempotency-Key, Prefer, Range, If-None-Match, x-atelier-optimise, " \
        "x-atelier-priority, x-atelier-webhook"

static const char *allowed_origin(const char *origin, char *const *origins) {
        for (; origin && origins && *origins; origins++)
                if (text_equal(*origins, origin))
                        return *origins;
        return NULL;
}

static bool are_configured(char *const *origins) {
        return origins && *origins;
}

void cors_look(HttpRequest *request, char *const *origins) {
        if (are_configured(origins))
                http_request_set_cors(request, allowed_origin(http_request_header(request, ORIGIN), origins));
}

bool cors_is_preflight(const HttpRequest *request, char *const *origins) {
        return are_configured(origins) && text_equal(http_request_method(request), "OPTIONS") &&
               http_request_header(request, ORIGIN) && http_request_header(request, REQUEST_METHOD);
}

static int build_preflight(HttpRequest *request, usec_t max_age, HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *reply = NULL;
        char seconds[MAX_AGE_MAX];
        int r;

        (void) snprintf(seconds, sizeof(seconds), "%" PRIu64, max_age / USEC_PER_SEC);
        r = http_reply_new_text(&reply, MHD_HTTP_NO_CONTENT, NULL, strdup(""));
        if (r >= 0)
                r = http_reply_add_header(reply, "Access-Control-Allow-Methods", http_request_match(request)->allow);
        if (r >= 0)
                r = http_reply_add_header(reply, "Access-Control-Allow-Headers", REQUEST_HEADERS);
        if (r >= 0)
                r = http_reply_add_header(reply, "Access-Control-Max-Age", seconds);
        if (r >= 0)
                *ret = TAKE_PTR(reply);
        return r;
}

void cors_answer_preflight(HttpRequest *request, usec_t max_age) {
        HttpReply *reply = NULL;
        ApiError error;
        int r;

        if (http_request_cors_allowed(request)) {
                r = build_preflight(request, max_age, &reply);
                http_request_answer(request, r, reply);
                return;
        }
        api_error_set(&error, 403, ERROR_TYPE_REQUEST, "cors_origin_not_allowed", NULL,
                      "Web pages from %.256s may not ask here; the setting api.cors_origins names those that may.",
                      http_request_header(request, ORIGIN));
        http_request_answer_error(request, &error);
}
