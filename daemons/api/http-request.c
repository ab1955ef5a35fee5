/* A request lives from its first line (libmicrohttpd's URI callback) to libmicrohttpd's word that it is over. In
 * between it is begun (the head was read), complete (so was the body) and answered, in this order, except that an
 * answer given at the beginning makes the body worthless: it is read and thrown away, up to a bound.
 *
 * An answer may come while the connection is suspended; the server then wakes it and sends it in a later turn. The
 * connection stays libmicrohttpd's; the request owns its bytes, its answer and the work under way for it. */
#include "http-request.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "http-framing.h"
#include "http-server.h"
#include "rate-headers.h"

/* Beside those that a page may read of any answer. */
#define EXPOSED_HEADERS \
        "x-request-id, Location, ETag, Retry-After, retry-after-ms, x-should-retry, Preference-Applied, x-atelier-cache, " \
        "x-atelier-optimised, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, " \
        "x-ratelimit-limit-images, x-ratelimit-remaining-images, x-ratelimit-reset-images"

struct HttpRequest {
        HttpConnection *connection;
        struct MHD_Connection *mhd;
        char id[ID_TEXT_MAX];
        usec_t started_at;
        const char *method; /* libmicrohttpd's, as long as the request */
        Uri uri; /* points into uri_text */
        int uri_problem;
        RouteMatch match;

        Buffer body;
        uint64_t body_max;
        uint64_t body_dropped; /* bytes thrown away */
        size_t *held; /* where the body is counted */
        const HttpBodyReader *reader_kind;
        void *reader; /* in place of the body; or NULL */
        uint64_t read, stride; /* bytes by it; those since its progress was asked for */

        HttpClient client;
        HttpReply *reply;
        JsonValue *rates; /* of its key, for the answer; or NULL */
        bool speaks_cors;
        char *cors_origin; /* that may read the answer; or NULL */
        bool begun, complete, suspended, closing;
        void *work;
        HttpWorkCancel cancel;
        char uri_text[];
};

static HttpClient client_of(const HttpConnection *connection, struct MHD_Connection *mhd) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        HttpClient client = { .origin = http_connection_origin(connection) };

        address_format(info ? info->client_addr : NULL, client.address);
        client.https = http_connection_is_tls(connection);
        return client;
}

int http_request_new(HttpRequest **ret, HttpConnection *connection, struct MHD_Connection *mhd, const char *uri) {
        size_t size = strlen(uri) + 1;
        HttpRequest *request;

        request = malloc(sizeof(*request) + size);
        if (!request)
                return -ENOMEM;

        *request = (HttpRequest){ .connection = connection, .mhd = mhd, .method = "", .match.template = ROUTE_OTHER };
        request->started_at = time_now_monotonic();
        request->client = client_of(connection, mhd);
        (void) id_new(request->id);
        memcpy(request->uri_text, uri, size);
        request->uri_problem = uri_parse(request->uri_text, &request->uri);

        *ret = request;
        return 0;
}

static void drop_reader(HttpRequest *request) {
        if (request->reader)
                request->reader_kind->free(request->reader);
        request->reader = NULL;
}

HttpRequest *http_request_free(HttpRequest *request) {
        if (!request)
                return NULL;

        if (request->work)
                request->cancel(request->work);
        if (request->held)
                *request->held -= request->body.size;
        buffer_done(&request->body);
        drop_reader(request);
        (void) http_reply_free(request->reply);
        (void) json_free(request->rates);
        free(request->cors_origin);
        free(request);
        return NULL;
}

const char *http_request_id(const HttpRequest *request) {
        return request->id;
}

const HttpClient *http_request_client(const HttpRequest *request) {
        return &request->client;
}

void http_request_set_client(HttpRequest *request, const HttpClient *client) {
        request->client = *client;
}

const char *http_request_method(const HttpRequest *request) {
        return request->method;
}

const Uri *http_request_uri(const HttpRequest *request) {
        return &request->uri;
}

int http_request_uri_problem(const HttpRequest *request) {
        return request->uri_problem;
}

const char *http_request_header(const HttpRequest *request, const char *name) {
        return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

typedef struct LastHeader {
        const char *name, *value;
} LastHeader;

static enum MHD_Result take_if_named(void *userdata, _unused_ enum MHD_ValueKind kind, const char *name, const char *value) {
        LastHeader *last = userdata;

        if (strcasecmp(name, last->name) == 0)
                last->value = value;
        return MHD_YES;
}

const char *http_request_last_header(const HttpRequest *request, const char *name) {
        LastHeader last = { .name = name };

        (void) MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, take_if_named, &last);
        return last.value;
}

const char *http_request_framing_problem(const HttpRequest *request) {
        return http_framing_problem(request->mhd);
}

void http_request_set_closing(HttpRequest *request) {
        request->closing = true;
}

bool http_request_closing(const HttpRequest *request) {
        return request->closing;
}

const Buffer *http_request_body(const HttpRequest *request) {
        return &request->body;
}

RouteMatch *http_request_match(HttpRequest *request) {
        return &request->match;
}

usec_t http_request_started_at(const HttpRequest *request) {
        return request->started_at;
}

static HttpReply *internal_error(void) {
        static const char text[] = "{\"error\":{\"message\":\"The request could not be served.\","
                                   "\"type\":\"server_error\",\"param\":null,\"code\":null}}";
        HttpReply *reply = NULL;

        (void) http_reply_new_text(&reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "application/json", strdup(text));
        return reply;
}

static int add_cors(const HttpRequest *request, HttpReply *reply) {
        int r;

        r = http_reply_add_header(reply, "Vary", "Origin");
        if (r < 0 || !request->cors_origin)
                return r;
        r = http_reply_add_header(reply, "Access-Control-Allow-Origin", request->cors_origin);
        return r < 0 ? r : http_reply_add_header(reply, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
}

/* What does not depend on what is answered. */
static int add_headers(const HttpRequest *request, HttpReply *reply) {
        int r = 0;

        if (request->speaks_cors)
                r = add_cors(request, reply);
        return r < 0 || !request->rates ? r : rate_headers_add(reply, request->rates);
}

void http_request_answer(HttpRequest *request, int r, HttpReply *reply) {
        if (request->reply) {
                (void) http_reply_free(reply);
                return;
        }

        if (r >= 0) {
                r = add_headers(request, reply);
                if (r < 0)
                        (void) http_reply_free(reply);
        }
        if (r < 0) {
                (void) log_record(LOG_DEBUG, r, LOG_FIELDS({ "ATELIER_REQUEST", request->id }),
                                  "an answer could not be made");
                reply = internal_error();
        }
        request->reply = reply;
        if (request->suspended)
                http_connection_resume(request->connection, request);
}

void http_request_answer_error(HttpRequest *request, const ApiError *error) {
        HttpReply *reply = NULL;
        int r;

        r = http_reply_new_error(&reply, error);
        http_request_answer(request, r, reply);
}

/* Where memory is short the page may not read the answer. */
void http_request_set_cors(HttpRequest *request, const char *origin) {
        request->speaks_cors = true;
        free(request->cors_origin);
        request->cors_origin = origin ? strdup(origin) : NULL;
}

bool http_request_cors_allowed(const HttpRequest *request) {
        return request->cors_origin;
}

void http_request_set_rates(HttpRequest *request, JsonValue *facts) {
        (void) json_free(request->rates);
        request->rates = facts;
}

void http_request_set_work(HttpRequest *request, void *work, HttpWorkCancel cancel) {
        request->work = work;
        request->cancel = cancel;
}

void http_request_set_body_max(HttpRequest *request, uint64_t bytes_max) {
        request->body_max = bytes_max;
}

void http_request_set_body_reader(HttpRequest *request, uint64_t bytes_max, const HttpBodyReader *kind, void *reader) {
        request->body_max = bytes_max;
        request->reader_kind = kind;
        request->reader = reader;
}

void *http_request_body_reader(const HttpRequest *request) {
        return request->reader;
}

bool http_request_body_progressed(HttpRequest *request) {
        if (request->stride < HTTP_BODY_STRIDE_BYTES)
                return false;
        request->stride = 0;
        return true;
}

HttpConnection *http_request_connection(const HttpRequest *request) {
        return request->connection;
}

struct MHD_Connection *http_request_mhd(const HttpRequest *request) {
        return request->mhd;
}

bool http_request_begin(HttpRequest *request, const char *method) {
        bool first = !request->begun;

        request->begun = true;
        request->method = method;
        return first;
}

bool http_request_complete(HttpRequest *request) {
        bool first = !request->complete;

        request->complete = true;
        return first;
}

bool http_request_leaves_body_unread(const HttpRequest *request) {
        const char *length = http_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
        uint64_t bytes;

        if (request->closing || http_request_header(request, MHD_HTTP_HEADER_EXPECT) ||
            http_reply_status(request->reply) == MHD_HTTP_CONTENT_TOO_LARGE)
                return true;
        return length && (text_to_unsigned(length, UINT64_MAX, &bytes) < 0 || bytes > HTTP_DRAIN_BYTES_MAX);
}

static int drop_body(HttpRequest *request, size_t size) {
        request->body_dropped += size;
        return request->body_dropped > HTTP_DRAIN_BYTES_MAX ? -EMSGSIZE : 0;
}

static void refuse_body(HttpRequest *request, const ApiError *error) {
        http_request_answer_error(request, error);
        *request->held -= request->body.size;
        buffer_done(&request->body);
}

/* What was read is of no use any more. */
static int hand_on_body(HttpRequest *request, const char *data, size_t size) {
        ApiError error;
        int r;

        if (size > request->body_max - request->read) {
                api_error_set_body_too_large(&error, request->body_max);
                r = 1;
        } else
                r = request->reader_kind->read(request->reader, data, size, &error);
        if (r == 0) {
                request->read += size;
                request->stride += size;
                return 0;
        }
        if (r > 0)
                http_request_answer_error(request, &error);
        else
                http_request_answer(request, r, NULL);
        drop_reader(request);
        return drop_body(request, size);
}

int http_request_take_body(HttpRequest *request, const char *data, size_t size, size_t *held) {
        ApiError error;

        request->held = held;
        if (request->reply || request->body_max == 0)
                return drop_body(request, size);
        if (request->reader)
                return hand_on_body(request, data, size);

        if (request->body.size + size > request->body_max) {
                api_error_set_body_too_large(&error, request->body_max);
                refuse_body(request, &error);
                return drop_body(request, size);
        }
        if (*held + size > HTTP_BODIES_BYTES_MAX || buffer_append(&request->body, data, size) < 0) {
                api_error_set(&error, MHD_HTTP_SERVICE_UNAVAILABLE, ERROR_TYPE_UNAVAILABLE, "too_many_requests", NULL,
                              "Too many request bodies are being received. Please try again.");
                refuse_body(request, &error);
                return drop_body(request, size);
        }
        *held += size;
        return 0;
}

void http_request_set_suspended(HttpRequest *request, bool suspended) {
        request->suspended = suspended;
}

HttpReply *http_request_reply(const HttpRequest *request) {
        return request->reply;
}
