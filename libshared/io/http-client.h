/* Outgoing HTTP: libcurl's multi interface on the event loop. Redirects are off, only http and https are spoken, a
 * total deadline and a body limit are always set, and a request that may have been taken is never sent twice. */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "base/time.h"

typedef struct HttpClient HttpClient;
typedef struct HttpTransfer HttpTransfer;

/* A field of a form: a text, or `size` bytes of a file from its beginning. */
typedef struct HttpPart {
        const char *name, *text;         /* text NULL: the file */
        int fd;                          /* duplicated */
        uint64_t size;
        const char *filename, *type;     /* NULL: none */
} HttpPart;

typedef struct HttpRequest {
        const char *method;              /* GET, HEAD, POST, PUT, DELETE */
        const char *url;                 /* http or https */
        const char *const *headers;      /* "Name: value", ended by NULL; may hold secrets, wiped after use */
        const void *body;                /* copied; NULL: none */
        size_t body_size;
        const HttpPart *parts;           /* in place of a body: multipart/form-data, whose Content-Type is not given */
        size_t n_parts;
        usec_t connect_timeout;          /* 0: the whole time */
        usec_t timeout;                  /* of the whole transfer, waiting for a connection included; never 0 */
        uint64_t body_bytes_max;         /* of the answer; past it -EFBIG */
} HttpRequest;

typedef struct HttpResult {
        int error;                       /* 0, or a negative errno: -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET (cut short),
                                          * -EHOSTUNREACH (name or route), -EPROTO (TLS, bad HTTP), -EFBIG (body or
                                          * headers), -ECANCELED, -ENOMEM, or what the body handler returned */
        bool sent;                       /* the request may have reached the server: its outcome may be unknown */
        long status;                     /* HTTP status, 0 when none came */
        char message[160];               /* for the log, without secrets */
} HttpResult;

/* `header` and `body` run inside libcurl: they may start no transfer and cancel none. `done` may. None may free the
 * client. */
typedef struct HttpHandlers {
        /* Optional. A header line of the final answer: name lower-cased, value trimmed. */
        void (*header)(HttpTransfer *transfer, const char *name, const char *value, void *userdata);
        /* Optional. Bytes of the body as they arrive. A negative errno ends the transfer with it. */
        int (*body)(HttpTransfer *transfer, const void *data, size_t size, void *userdata);
        /* Exactly once, also after cancellation by http_client_free(); the transfer is freed afterwards. */
        void (*done)(HttpTransfer *transfer, const HttpResult *result, void *userdata);
} HttpHandlers;

int http_client_new(HttpClient **ret, sd_event *event, unsigned connections_per_host_max);
HttpClient *http_client_free(HttpClient *client);
DEFINE_CLEANUP(HttpClient *, http_client_free);

/* How many bytes the answers under way may have together, as they came over the wire (UINT64_MAX at first). Beyond it
 * their transfers pause, which costs them none of their time, and go on as others end; one of them always goes on, so
 * that they do end, and by so much the bound may be passed. */
void http_client_set_answers_max(HttpClient *client, uint64_t bytes);
uint64_t http_client_answers_bytes(const HttpClient *client);
unsigned http_client_paused(const HttpClient *client);  /* transfers */

/* `handlers` is copied. `done` comes later, from the loop. -EINVAL: the URL or a header line is none. */
int http_client_start(HttpClient *client, const HttpRequest *request, const HttpHandlers *handlers, void *userdata,
                      HttpTransfer **ret);
void http_transfer_cancel(HttpTransfer *transfer);  /* `done` comes with -ECANCELED before this returns */
long http_transfer_status(const HttpTransfer *transfer);  /* of the final answer; 0 before it */
