/* One HTTP request, from its first line to its answer. */
#pragma once

#include <microhttpd.h>
#include <netinet/in.h>

#include "base/buffer.h"
#include "base/time.h"
#include "client-check.h"
#include "http-reply.h"
#include "routes.h"
#include "uri.h"

/* For handlers. */

const char *http_request_id(const HttpRequest *request); /* 32 hexadecimal digits, minted for it */

/* Who asks: the peer of the connection, until somebody else is named for whom it asks. */
typedef struct HttpClient {
        ClientOrigin origin;
        char address[INET6_ADDRSTRLEN]; /* "unix" on the socket */
        bool https; /* to here, or to the proxy that asks for it */
} HttpClient;
const HttpClient *http_request_client(const HttpRequest *request);
void http_request_set_client(HttpRequest *request, const HttpClient *client);

const char *http_request_method(const HttpRequest *request);
const Uri *http_request_uri(const HttpRequest *request);
int http_request_uri_problem(const HttpRequest *request); /* of uri_parse() */
const char *http_request_framing_problem(const HttpRequest *request); /* NULL: none */
const char *http_request_header(const HttpRequest *request, const char *name); /* NULL when it was not sent */
const char *http_request_last_header(const HttpRequest *request, const char *name); /* where it may be sent more than once */
const Buffer *http_request_body(const HttpRequest *request);
RouteMatch *http_request_match(HttpRequest *request);
usec_t http_request_started_at(const HttpRequest *request); /* monotonic */

/* Gives the answer, which is taken over; the first one counts. With r < 0 (what building it came to) `reply` is not
 * used, and the answer is a 500. To be called at once or later, from outside of libmicrohttpd's callbacks. */
void http_request_answer(HttpRequest *request, int r, HttpReply *reply);
void http_request_answer_error(HttpRequest *request, const ApiError *error);

/* CORS is spoken: the answer varies with Origin, and names it where it is allowed (NULL: it is not). Copied. */
void http_request_set_cors(HttpRequest *request, const char *origin);
bool http_request_cors_allowed(const HttpRequest *request);

/* What is said of its key's rates (rate-headers.h), for the answer that is to come; taken over. */
void http_request_set_rates(HttpRequest *request, JsonValue *facts);

/* What is under way for the request; cancelled should the request end first. NULL: nothing any more. */
typedef void (*HttpWorkCancel)(void *work);
void http_request_set_work(HttpRequest *request, void *work, HttpWorkCancel cancel);

/* The connection ends with the answer, which goes out before any body is read. */
void http_request_set_closing(HttpRequest *request);

/* How a body is taken: kept up to bytes_max, or thrown away (bytes_max 0). */
void http_request_set_body_max(HttpRequest *request, uint64_t bytes_max);

/* Or a body that is handed on while it arrives, and not kept, up to bytes_max. `read` returns 0, a negative errno, or > 0 with
 * *error the answer to give. The reader is taken over and freed with the request, or with an answer that is given before the
 * body is there. */
typedef struct HttpBodyReader {
        int (*read)(void *reader, const void *data, size_t size, ApiError *error);
        void (*free)(void *reader);
} HttpBodyReader;

void http_request_set_body_reader(HttpRequest *request, uint64_t bytes_max, const HttpBodyReader *kind, void *reader);
void *http_request_body_reader(const HttpRequest *request); /* NULL: there is none */

/* For the server. */

#define HTTP_DRAIN_BYTES_MAX (1024 * 1024) /* of a body that is thrown away; then the connection is closed */
#define HTTP_BODIES_BYTES_MAX (64 * 1024 * 1024) /* of all bodies held at a time */

typedef struct HttpConnection HttpConnection;

int http_request_new(HttpRequest **ret, HttpConnection *connection, struct MHD_Connection *mhd, const char *uri);
HttpRequest *http_request_free(HttpRequest *request);
DEFINE_CLEANUP(HttpRequest *, http_request_free);

HttpConnection *http_request_connection(const HttpRequest *request);
struct MHD_Connection *http_request_mhd(const HttpRequest *request);

/* The head has arrived. True the first time. */
bool http_request_begin(HttpRequest *request, const char *method);

/* The body has arrived. True the first time. */
bool http_request_complete(HttpRequest *request);

bool http_request_closing(const HttpRequest *request);

/* Whether the answer goes out before the body is read: the request is closing, the announced length is over the limit,
 * or the client waits for 100 Continue. libmicrohttpd then closes the connection after the answer. */
bool http_request_leaves_body_unread(const HttpRequest *request);

/* `held` counts the bytes of all bodies. -EMSGSIZE: close the connection. */
int http_request_take_body(HttpRequest *request, const char *data, size_t size, size_t *held);

/* Of a body that is handed on: true whenever another HTTP_BODY_STRIDE_BYTES have arrived. */
#define HTTP_BODY_STRIDE_BYTES (4 * 1024 * 1024)
bool http_request_body_progressed(HttpRequest *request);

void http_request_set_suspended(HttpRequest *request, bool suspended);
HttpReply *http_request_reply(const HttpRequest *request); /* NULL: none yet */
