/* libmicrohttpd on the event loop: listening sockets in, whole requests out. */
#pragma once

#include <systemd/sd-event.h>

#include "client-check.h"
#include "http-request.h"

#define HTTP_CONNECTION_MEMORY_BYTES 8192 /* head of a request, answer's head and buffers of one connection */
#define HTTP_CONNECTION_INCREMENT_BYTES 2048

typedef struct HttpServer HttpServer;

typedef struct HttpHandlers {
        /* The head is there: an answer given now spares the body. */
        void (*begin)(HttpRequest *request, void *userdata);
        /* The whole request is there and not answered yet. */
        void (*handle)(HttpRequest *request, void *userdata);
        /* The answer is about to be sent. */
        void (*answered)(HttpRequest *request, void *userdata);
        /* The first connection was opened, or the last one closed. */
        void (*busy)(bool busy, void *userdata);
} HttpHandlers;

typedef struct HttpLimits {
        unsigned connections_max; /* of each listening socket; further ones wait in its backlog */
        usec_t connection_timeout; /* without a byte in either direction, in whole seconds */
        ClientRules clients;
} HttpLimits;

/* `handlers` outlives the server. */
int http_server_new(HttpServer **ret, sd_event *event, const HttpHandlers *handlers, const HttpLimits *limits,
                    void *userdata);
HttpServer *http_server_free(HttpServer *server); /* requests under way are answered with 503 */
DEFINE_CLEANUP(HttpServer *, http_server_free);

/* The socket stays the caller's. With tls, clients are shown the certificate in use of tls-certificate.h. */
int http_server_listen(HttpServer *server, int fd, bool tls);

/* Accepts no more. Connections without a request are closed, the others after their answer. */
void http_server_quiesce(HttpServer *server);

size_t http_server_connections(const HttpServer *server);

/* For requests. */
ClientOrigin http_connection_origin(const HttpConnection *connection);
bool http_connection_is_tls(const HttpConnection *connection);
void http_connection_resume(HttpConnection *connection, HttpRequest *request);

/* For the reader of an answer: there is nothing to send until it is resumed. Not while the server is being stopped. */
void http_connection_suspend(HttpConnection *connection, HttpRequest *request);
bool http_connection_stopping(const HttpConnection *connection);
