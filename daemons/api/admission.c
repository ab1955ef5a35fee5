#include "admission.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "bearer-token.h"
#include "cors.h"
#include "forwarded.h"
#include "multipart.h"
#include "signed-link.h"

#define HEADER_FORWARDED_FOR "X-Forwarded-For"
#define HEADER_FORWARDED_PROTO "X-Forwarded-Proto"
#define CONTENT_TYPE_JSON "application/json"

enum {
        ADMISSION_REFUSED = 1,
};

static int check_framing(HttpRequest *request, ApiError *error) {
        const char *problem = http_request_framing_problem(request);

        if (!problem)
                return 0;
        http_request_set_closing(request);
        api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_head", NULL, "Invalid request head: %s.", problem);
        return ADMISSION_REFUSED;
}

/* A proxy asks for others, on this machine or not. On the Unix socket, where members ask as well, it is one by what it
 * says. */
static void look_behind_proxy(const ApiSettings *settings, HttpRequest *request) {
        const char *addresses = http_request_last_header(request, HEADER_FORWARDED_FOR);
        const char *scheme = http_request_last_header(request, HEADER_FORWARDED_PROTO);
        HttpClient client = *http_request_client(request);

        if (!forwarded_is_trusted(client.address, settings->trusted_proxies) ||
            (text_equal(client.address, CLIENT_ADDRESS_UNIX) && !addresses && !scheme))
                return;
        client.origin = CLIENT_REMOTE;
        client.https = scheme && forwarded_is_https(scheme);
        if (addresses)
                (void) forwarded_address(addresses, settings->trusted_proxies, client.address);
        http_request_set_client(request, &client);
}

static bool is_versioned(const char *path) {
        const char *rest = path ? text_after(path, "/v1") : NULL;

        return rest && (*rest == 0 || *rest == '/');
}

/* Its key has been seen on the way already; the answer is to keep it from being used so again. */
static int check_https(const ApiSettings *settings, HttpRequest *request, ApiError *error) {
        const HttpClient *client = http_request_client(request);

        if (!settings->require_https || client->https || text_equal(client->address, CLIENT_ADDRESS_UNIX) ||
            !is_versioned(http_request_uri(request)->path))
                return 0;
        api_error_set(error, 403, ERROR_TYPE_REQUEST, "https_required", NULL,
                      "HTTPS required: ask by https, or on the Unix socket. A key that was sent without should be replaced.");
        return ADMISSION_REFUSED;
}

static int check_client(const ApiSettings *settings, HttpRequest *request, ApiError *error) {
        const HttpClient *client = http_request_client(request);
        const char *host = http_request_header(request, MHD_HTTP_HEADER_HOST);

        if (client->origin == CLIENT_REMOTE && !client->https) {
                api_error_set(error, 403, ERROR_TYPE_REQUEST, "https_required", NULL,
                              "Clients of other machines are served over https only.");
                return ADMISSION_REFUSED;
        }
        /* HTTP/1.0 knows no Host; no browser speaks it. */
        if (host && !host_is_ours(host, settings->hosts, settings->public_url)) {
                api_error_set(
                        error, 421, ERROR_TYPE_REQUEST, "unknown_host", NULL,
                        "The Host '%.128s' is not served here. Name it in the setting api.hosts if it should be.",
                        host);
                return ADMISSION_REFUSED;
        }
        return 0;
}

/* Only where a key is looked at: what needs none is served to everybody. */
static int check_guesses(ApiManager *manager, HttpRequest *request, ApiError *error, usec_t *ret_retry) {
        const char *token = bearer_token(http_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION));
        const HttpClient *client = http_request_client(request);

        if (client->origin == CLIENT_MEMBER || (!token && !is_versioned(http_request_uri(request)->path)) ||
            signed_link_is_shown(http_request_uri(request)) ||
            guess_limit_admits(api_manager_guesses(manager), client->address, token,
                               (unsigned) api_manager_settings(manager)->refused_keys_per_minute, time_now_monotonic(),
                               ret_retry))
                return 0;
        api_error_set(error, 429, "requests", "too_many_refused_keys", NULL,
                      "Too many keys from your address were refused. Please try again later.");
        return ADMISSION_REFUSED;
}

static int check_route(HttpRequest *request, ApiError *error, bool *ret_allow) {
        const Uri *uri = http_request_uri(request);
        RouteMatch *match = http_request_match(request);

        if (http_request_uri_problem(request) < 0) {
                (void) route_find(api_routes, http_request_method(request), uri->path, match);
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_target", NULL, "Invalid request target: %s.",
                              uri->problem);
                return ADMISSION_REFUSED;
        }
        switch (route_find(api_routes, http_request_method(request), uri->path, match)) {
        case ROUTE_NOT_FOUND:
                api_error_set(error, 404, ERROR_TYPE_REQUEST, "unknown_url", NULL, "Unknown request URL: %s %.256s.",
                              http_request_method(request), uri->path);
                return ADMISSION_REFUSED;
        case ROUTE_METHOD_NOT_ALLOWED:
                *ret_allow = true;
                api_error_set(error, 405, ERROR_TYPE_REQUEST, "method_not_allowed", NULL,
                              "%.32s is not allowed here; allowed: %s.", http_request_method(request), match->allow);
                return ADMISSION_REFUSED;
        }
        return 0;
}

static int check_query(HttpRequest *request, ApiError *error) {
        const Route *route = http_request_match(request)->route;
        const Uri *uri = http_request_uri(request);

        for (size_t i = 0; i < uri->n_parameters; i++)
                if (!route_takes_parameter(route, uri->parameters[i].name)) {
                        api_error_set(error, 400, ERROR_TYPE_REQUEST, "unknown_parameter", uri->parameters[i].name,
                                      "Unknown query parameter: '%.64s'.", uri->parameters[i].name);
                        return ADMISSION_REFUSED;
                }
        return 0;
}

/* "application/json", with or without parameters. */
static bool is_json(const char *type) {
        size_t length = strlen(CONTENT_TYPE_JSON);

        return type && strncasecmp(type, CONTENT_TYPE_JSON, length) == 0 && strchr("; \t", type[length]);
}

static int check_type(const Route *route, HttpRequest *request, ApiError *error) {
        const char *type = http_request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);

        if (is_json(type) || (route->takes_uploads && multipart_is_type(type)))
                return 0;
        api_error_set(error, 415, ERROR_TYPE_REQUEST, "unsupported_content_type", NULL, "Content-Type must be %s.",
                      route->takes_uploads ? "multipart/form-data or application/json" : "application/json");
        return ADMISSION_REFUSED;
}

static bool announces_body(const HttpRequest *request) {
        const char *length = http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);

        return (length && !text_equal(length, "0")) || http_request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

static int check_body(ApiManager *manager, HttpRequest *request, ApiError *error) {
        const char *length = http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
        const ApiSettings *settings = api_manager_settings(manager);
        const Route *route = http_request_match(request)->route;
        uint64_t bytes = 0;

        if (!route->takes_body || (route->body_optional && !announces_body(request)))
                return 0;
        if (check_type(route, request, error) != 0)
                return ADMISSION_REFUSED;
        if (http_request_header(request, MHD_HTTP_HEADER_CONTENT_ENCODING)) {
                api_error_set(error, 415, ERROR_TYPE_REQUEST, "unsupported_content_encoding", NULL,
                              "The body must come without Content-Encoding.");
                return ADMISSION_REFUSED;
        }
        if (length && text_to_unsigned(length, UINT64_MAX, &bytes) < 0)
                bytes = UINT64_MAX;
        if (route->takes_uploads)
                return route_admit_edit(manager, request, bytes, error);
        if (bytes > settings->body_bytes_max) {
                api_error_set_body_too_large(error, settings->body_bytes_max);
                return ADMISSION_REFUSED;
        }

        http_request_set_body_max(request, settings->body_bytes_max);
        return 0;
}

static void refuse(HttpRequest *request, const ApiError *error, bool allow, usec_t retry) {
        HttpReply *reply = NULL;
        int r;

        r = http_reply_new_error(&reply, error);
        if (r >= 0 && allow)
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_ALLOW, http_request_match(request)->allow);
        if (r >= 0 && retry > 0) {
                char seconds[24];

                (void) snprintf(seconds, sizeof(seconds), "%llu",
                                (unsigned long long) ((retry + USEC_PER_SEC - 1) / USEC_PER_SEC));
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
        }
        if (r < 0)
                reply = http_reply_free(reply);
        http_request_answer(request, r, reply);
}

void admission_check(ApiManager *manager, HttpRequest *request) {
        const ApiSettings *settings = api_manager_settings(manager);
        usec_t retry = 0;
        bool allow = false;
        ApiError error;
        int r;

        look_behind_proxy(settings, request);
        cors_look(request, settings->cors_origins);
        r = check_framing(request, &error);
        if (r == 0)
                r = check_client(settings, request, &error);
        if (r == 0)
                r = check_https(settings, request, &error);
        if (r == 0)
                r = check_route(request, &error, &allow);
        if (allow && cors_is_preflight(request, settings->cors_origins)) {
                cors_answer_preflight(request, settings->cors_max_age);
                return;
        }
        if (r == 0)
                r = check_guesses(manager, request, &error, &retry);
        if (r == 0)
                r = check_query(request, &error);
        if (r == 0)
                r = check_body(manager, request, &error);
        if (r < 0)
                http_request_answer(request, r, NULL);
        else if (r > 0)
                refuse(request, &error, allow, retry);
}
