/* Each listening socket has a libmicrohttpd daemon without threads. Its epoll descriptor is one event source however
 * many connections it has. Whenever that source, its timer, or a defer source fires, the daemon is pumped: it does
 * what can be done and says when it wants to be asked again.
 *
 * What libmicrohttpd leaves to us:
 *   - Timers are armed relative: its timeouts count from now.
 *   - Nothing wakes the loop when a suspended connection is resumed, and it must not be run from inside its own
 *     callbacks: a defer source pumps in the next turn.
 *   - Its timeout counts from the last byte, so a client that sends one byte now and then would stay for ever. Here
 *     each connection has RECEIVE_TIMEOUTS timeouts from its opening or its last answer to its next whole request, and
 *     of an upload for each HTTP_BODY_STRIDE_BYTES.
 *     Connections that wait stand in one list in the order of their deadlines.
 *   - It closes the listening socket it is given; it gets a duplicate.
 *
 * A connection is suspended before its answer, while that is being made, or in the middle of one that goes on
 * (events), while there is nothing to send.
 *
 * A suspended connection is out of libmicrohttpd's sight, its timeouts included: a client that vanishes is noticed
 * when the answer is sent. What was asked for goes on meanwhile. */
#include "http-server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "tls-certificate.h"

#define RECEIVE_TIMEOUTS 2 /* connection timeouts that a request may take to arrive */
#define LISTENERS_MAX 8
#define HEADER_REQUEST_ID "x-request-id"

typedef struct HttpListener {
        HttpServer *server;
        struct MHD_Daemon *daemon;
        int fd; /* ours to close after quiescing, else libmicrohttpd's */
        sd_event_source *io, *timer, *turn;
        usec_t timer_at; /* monotonic; USEC_INFINITY: off */
        bool tls;
} HttpListener;

typedef enum ConnectionState {
        CONNECTION_ANSWERING,
        CONNECTION_WAITING, /* for a whole request; in the list of those */
        CONNECTION_SUSPENDED, /* for its answer or more of it; in the list of those */
} ConnectionState;

TAILQ_HEAD(ConnectionList, HttpConnection);

struct HttpConnection {
        HttpListener *listener;
        struct MHD_Connection *mhd;
        int fd;
        ClientOrigin origin;
        ConnectionState state;
        bool requesting; /* the first line of a request was read */
        usec_t deadline; /* while it waits */
        HttpRequest *request; /* while it is suspended */
        TAILQ_ENTRY(HttpConnection) entry;
};

struct HttpServer {
        sd_event *event;
        const HttpHandlers *handlers;
        void *userdata;
        HttpLimits limits;
        HttpListener listeners[LISTENERS_MAX];
        size_t n_listeners;
        size_t n_connections;
        size_t body_bytes; /* of all bodies held */
        struct ConnectionList waiting; /* in the order of their deadlines */
        struct ConnectionList suspended;
        sd_event_source *deadline_timer;
        bool quiesced;
        bool stopping; /* whatever is still asked is answered with 503 */
};

static usec_t server_now(const HttpServer *server) {
        uint64_t now = 0;

        (void) sd_event_now(server->event, CLOCK_MONOTONIC, &now);
        return now;
}

/* Times */

/* The timer is only ever moved to an earlier time: one that fires too early costs a pump, but moving it at each pump
 * would cost a system call each. */
static void arm_timer(HttpListener *listener) {
        unsigned long long msec;
        usec_t now, at;

        if (MHD_get_timeout(listener->daemon, &msec) != MHD_YES)
                return;
        /* More has come than it reads at a time. A timer would be late by its accuracy, for every few kB of a body. */
        if (msec == 0) {
                (void) sd_event_source_set_enabled(listener->turn, SD_EVENT_ONESHOT);
                return;
        }

        now = server_now(listener->server);
        at = now + msec * USEC_PER_MSEC;
        if (listener->timer_at <= at)
                return;
        if (sd_event_source_set_time_relative(listener->timer, at - now) >= 0 &&
            sd_event_source_set_enabled(listener->timer, SD_EVENT_ONESHOT) >= 0)
                listener->timer_at = at;
}

static void pump(HttpListener *listener) {
        (void) MHD_run(listener->daemon);
        arm_timer(listener);
}

static int on_io(_unused_ sd_event_source *source, _unused_ int fd, _unused_ uint32_t revents, void *userdata) {
        pump(userdata);
        return 0;
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        HttpListener *listener = userdata;

        listener->timer_at = USEC_INFINITY;
        pump(listener);
        return 0;
}

static int on_turn(_unused_ sd_event_source *source, void *userdata) {
        pump(userdata);
        return 0;
}

static void arm_deadline(HttpServer *server) {
        HttpConnection *first = TAILQ_FIRST(&server->waiting);
        usec_t now = server_now(server);

        if (!first)
                return;
        (void) sd_event_source_set_time_relative(server->deadline_timer,
                                                 first->deadline > now ? first->deadline - now : 0);
        (void) sd_event_source_set_enabled(server->deadline_timer, SD_EVENT_ONESHOT);
}

/* Connections */

static void connection_set_state(HttpConnection *connection, ConnectionState state) {
        HttpServer *server = connection->listener->server;

        if (connection->state == CONNECTION_WAITING)
                TAILQ_REMOVE(&server->waiting, connection, entry);
        else if (connection->state == CONNECTION_SUSPENDED)
                TAILQ_REMOVE(&server->suspended, connection, entry);
        connection->state = state;
        if (state == CONNECTION_WAITING)
                TAILQ_INSERT_TAIL(&server->waiting, connection, entry);
        else if (state == CONNECTION_SUSPENDED)
                TAILQ_INSERT_TAIL(&server->suspended, connection, entry);
}

static void connection_wait(HttpConnection *connection) {
        HttpServer *server = connection->listener->server;
        bool first = TAILQ_EMPTY(&server->waiting);

        connection->requesting = false;
        connection->deadline = server_now(server) + RECEIVE_TIMEOUTS * server->limits.connection_timeout;
        connection_set_state(connection, CONNECTION_WAITING);
        if (first)
                arm_deadline(server);
}

/* A large body gets its time by and by. */
static void connection_extend(HttpConnection *connection) {
        HttpServer *server = connection->listener->server;

        connection->deadline = server_now(server) + RECEIVE_TIMEOUTS * server->limits.connection_timeout;
        connection_set_state(connection, CONNECTION_WAITING);
}

/* libmicrohttpd reads the end of the stream and closes. */
static int on_deadline(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        HttpServer *server = userdata;
        usec_t now = server_now(server);

        for (HttpConnection *connection;
             (connection = TAILQ_FIRST(&server->waiting)) && connection->deadline <= now;) {
                log_debug("a connection brought no whole request in time and is closed");
                connection_set_state(connection, CONNECTION_ANSWERING);
                (void) shutdown(connection->fd, SHUT_RDWR);
        }
        arm_deadline(server);
        return 0;
}

/* From libmicrohttpd 1.0 on, what one question is answered with lasts until the next one. */
static const struct sockaddr *client_address(struct MHD_Connection *mhd) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

        return info ? info->client_addr : NULL;
}

static int client_fd(struct MHD_Connection *mhd) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

        return info ? info->connect_fd : -EBADF;
}

static HttpConnection *connection_new(HttpListener *listener, struct MHD_Connection *mhd) {
        HttpServer *server = listener->server;
        HttpConnection *connection;
        int fd = client_fd(mhd);

        connection = fd >= 0 ? calloc(1, sizeof(*connection)) : NULL;
        if (!connection)
                return NULL;

        connection->listener = listener;
        connection->mhd = mhd;
        connection->fd = fd;
        connection->origin = client_origin(client_address(mhd), fd, &server->limits.clients);
        connection_wait(connection);
        if (server->n_connections++ == 0)
                server->handlers->busy(true, server->userdata);
        return connection;
}

static void connection_free(HttpConnection *connection) {
        HttpServer *server = connection->listener->server;

        connection_set_state(connection, CONNECTION_ANSWERING);
        free(connection);
        if (--server->n_connections == 0)
                server->handlers->busy(false, server->userdata);
}

static void on_connection(void *userdata, struct MHD_Connection *mhd, void **slot,
                          enum MHD_ConnectionNotificationCode code) {
        if (code == MHD_CONNECTION_NOTIFY_STARTED)
                *slot = connection_new(userdata, mhd);
        else if (*slot) {
                connection_free(*slot);
                *slot = NULL;
        }
}

void http_connection_suspend(HttpConnection *connection, HttpRequest *request) {
        connection->request = request;
        connection_set_state(connection, CONNECTION_SUSPENDED);
        http_request_set_suspended(request, true);
        MHD_suspend_connection(connection->mhd);
}

bool http_connection_stopping(const HttpConnection *connection) {
        return connection->listener->server->stopping;
}

ClientOrigin http_connection_origin(const HttpConnection *connection) {
        return connection->origin;
}

bool http_connection_is_tls(const HttpConnection *connection) {
        return connection->listener->tls;
}

void http_connection_resume(HttpConnection *connection, HttpRequest *request) {
        connection_set_state(connection, CONNECTION_ANSWERING);
        http_request_set_suspended(request, false);
        MHD_resume_connection(connection->mhd);
        (void) sd_event_source_set_enabled(connection->listener->turn, SD_EVENT_ONESHOT);
}

/* Requests */

/* Called with the first line of each request. What it returns is the request's slot in the calls below. */
static void *on_uri(_unused_ void *userdata, const char *uri, struct MHD_Connection *mhd) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        HttpConnection *connection = info ? info->socket_context : NULL;
        HttpRequest *request = NULL;

        if (!connection)
                return NULL;
        connection->requesting = true;
        (void) http_request_new(&request, connection, mhd, uri);
        return request;
}

/* For browsers: what comes is what it says that it is, stands in no frame, betrays no address that it was reached by (a link to
 * an image is as good as a key), and is kept by nobody unless it says how long. */
static int add_security_headers(HttpReply *reply, bool https) {
        int r = 0;

        if (https)
                r = http_reply_add_header(reply, "Strict-Transport-Security", "max-age=31536000");
        if (r >= 0)
                r = http_reply_add_header(reply, "X-Content-Type-Options", "nosniff");
        if (r >= 0)
                r = http_reply_add_header(reply, "X-Frame-Options", "DENY");
        if (r >= 0)
                r = http_reply_add_header(reply, "Referrer-Policy", "no-referrer");
        if (r < 0 || MHD_get_response_header(http_reply_response(reply), MHD_HTTP_HEADER_CACHE_CONTROL))
                return r;
        return http_reply_add_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

static unsigned idle_seconds(const HttpServer *server) {
        return (unsigned) MAX(server->limits.connection_timeout / USEC_PER_SEC, (usec_t) 1);
}

/* Whether the connection goes on, and for how long: a client that does not know would at times send a request on one that is
 * being closed. */
static int add_connection_headers(const HttpServer *server, HttpReply *reply, bool closing) {
        char text[sizeof("timeout=") + 3 * sizeof(unsigned)];

        if (closing)
                return http_reply_add_header(reply, MHD_HTTP_HEADER_CONNECTION, "close");
        (void) snprintf(text, sizeof(text), "timeout=%u", idle_seconds(server));
        return http_reply_add_header(reply, "Keep-Alive", text);
}

static enum MHD_Result queue_answer(HttpServer *server, HttpRequest *request) {
        HttpReply *reply = http_request_reply(request);

        if (!reply || http_reply_add_header(reply, HEADER_REQUEST_ID, http_request_id(request)) < 0 ||
            add_security_headers(reply, http_request_client(request)->https) < 0 ||
            add_connection_headers(server, reply, server->quiesced || http_request_closing(request)) < 0)
                return MHD_NO;

        connection_set_state(http_request_connection(request), CONNECTION_ANSWERING);
        server->handlers->answered(request, server->userdata);
        return MHD_queue_response(http_request_mhd(request), http_reply_status(reply), http_reply_response(reply));
}

static enum MHD_Result begin_request(HttpServer *server, HttpRequest *request) {
        server->handlers->begin(request, server->userdata);
        if (http_request_reply(request) && http_request_leaves_body_unread(request))
                return queue_answer(server, request);
        return MHD_YES;
}

static void answer_stopping(HttpRequest *request) {
        ApiError error;

        api_error_set(&error, MHD_HTTP_SERVICE_UNAVAILABLE, ERROR_TYPE_UNAVAILABLE, "stopping", NULL,
                      "The server is being stopped. A job that was accepted goes on; look for it in /v1/jobs.");
        http_request_answer_error(request, &error);
}

static enum MHD_Result complete_request(HttpServer *server, HttpRequest *request) {
        if (http_request_complete(request)) {
                connection_set_state(http_request_connection(request), CONNECTION_ANSWERING);
                if (server->stopping && !http_request_reply(request))
                        answer_stopping(request);
                if (!http_request_reply(request))
                        server->handlers->handle(request, server->userdata);
        }
        if (http_request_reply(request))
                return queue_answer(server, request);

        http_connection_suspend(http_request_connection(request), request);
        return MHD_YES;
}

static enum MHD_Result on_request(void *userdata, _unused_ struct MHD_Connection *mhd, _unused_ const char *url,
                                  const char *method, _unused_ const char *version, const char *data, size_t *size,
                                  void **slot) {
        HttpServer *server = ((HttpListener *) userdata)->server;
        HttpRequest *request = *slot;
        int r;

        if (!request)
                return MHD_NO;
        if (http_request_begin(request, method))
                return begin_request(server, request);
        if (*size == 0)
                return complete_request(server, request);

        r = http_request_take_body(request, data, *size, &server->body_bytes);
        *size = 0;
        if (http_request_body_progressed(request))
                connection_extend(http_request_connection(request));
        return r < 0 ? MHD_NO : MHD_YES;
}

static void on_completed(_unused_ void *userdata, _unused_ struct MHD_Connection *mhd, void **slot,
                         _unused_ enum MHD_RequestTerminationCode code) {
        HttpRequest *request = *slot;
        HttpConnection *connection;

        if (!request)
                return;

        connection = http_request_connection(request);
        *slot = http_request_free(request);
        connection_wait(connection);
}

/* The server */

static void on_log(_unused_ void *userdata, const char *format, va_list arguments) {
        char text[256];

        (void) vsnprintf(text, sizeof(text), format, arguments);
        text[strcspn(text, "\n")] = '\0';
        log_debug("libmicrohttpd: %s", text);
}

int http_server_new(HttpServer **ret, sd_event *event, const HttpHandlers *handlers, const HttpLimits *limits,
                    void *userdata) {
        _cleanup_(http_server_freep) HttpServer *server = NULL;
        int r;

        server = calloc(1, sizeof(*server));
        if (!server)
                return -ENOMEM;
        server->event = sd_event_ref(event);
        server->handlers = handlers;
        server->limits = *limits;
        server->userdata = userdata;
        TAILQ_INIT(&server->waiting);
        TAILQ_INIT(&server->suspended);

        r = sd_event_add_time_relative(event, &server->deadline_timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC, on_deadline,
                                       server);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(server->deadline_timer, "http-deadline");
        (void) sd_event_source_set_enabled(server->deadline_timer, SD_EVENT_OFF);

        *ret = TAKE_PTR(server);
        return 0;
}

static int start_daemon(HttpListener *listener, int fd) {
        const HttpLimits *limits = &listener->server->limits;

        /* What comes behind the end is not looked at. */
        listener->daemon = MHD_start_daemon(
                MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (listener->tls ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request, listener,
                MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                limits->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
                idle_seconds(listener->server),
                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) HTTP_CONNECTION_MEMORY_BYTES,
                MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t) HTTP_CONNECTION_INCREMENT_BYTES,
                MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK,
                on_uri, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
                on_connection, listener, listener->tls ? MHD_OPTION_HTTPS_PRIORITIES : MHD_OPTION_END, TLS_PRIORITIES,
                MHD_OPTION_HTTPS_CERT_CALLBACK2, tls_certificate_retrieve, MHD_OPTION_END);
        return listener->daemon ? 0 : -EIO;
}

static int add_sources(HttpListener *listener) {
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        sd_event *event = listener->server->event;
        int r;

        if (!info)
                return -EIO;
        r = sd_event_add_io(event, &listener->io, info->epoll_fd, EPOLLIN, on_io, listener);
        if (r >= 0)
                r = sd_event_source_set_description(listener->io, "http");
        if (r >= 0)
                r = sd_event_add_time_relative(event, &listener->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer,
                                               listener);
        if (r >= 0)
                r = sd_event_source_set_description(listener->timer, "http-timer");
        if (r >= 0)
                r = sd_event_add_defer(event, &listener->turn, on_turn, listener);
        if (r >= 0)
                r = sd_event_source_set_description(listener->turn, "http-turn");
        return r < 0 ? r : 0;
}

int http_server_listen(HttpServer *server, int fd, bool tls) {
        HttpListener *listener = &server->listeners[server->n_listeners];
        _cleanup_close_ int own = -1;
        int r;

        if (server->n_listeners == LISTENERS_MAX)
                return -E2BIG;
        r = fd_set_nonblocking(fd);
        if (r < 0)
                return r;
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (own < 0)
                return -errno;

        *listener = (HttpListener){ .server = server, .fd = -1, .timer_at = USEC_INFINITY, .tls = tls };
        r = start_daemon(listener, own);
        if (r < 0)
                return r;
        (void) TAKE_FD(own);
        server->n_listeners++;
        return add_sources(listener);
}

void http_server_quiesce(HttpServer *server) {
        HttpConnection *connection;

        server->quiesced = true;
        for (size_t i = 0; i < server->n_listeners; i++)
                if (server->listeners[i].fd < 0)
                        server->listeners[i].fd = MHD_quiesce_daemon(server->listeners[i].daemon);

        /* What the kernel holds of a request is still read; the end of the stream comes behind it. */
        TAILQ_FOREACH (connection, &server->waiting, entry)
                if (!connection->requesting)
                        (void) shutdown(connection->fd, SHUT_RD);
}

size_t http_server_connections(const HttpServer *server) {
        return server->n_connections;
}

static void listener_done(HttpListener *listener) {
        listener->turn = sd_event_source_disable_unref(listener->turn);
        listener->timer = sd_event_source_disable_unref(listener->timer);
        listener->io = sd_event_source_disable_unref(listener->io);
        MHD_stop_daemon(listener->daemon);
        (void) fd_close(listener->fd);
}

/* Whoever still waits is told, and answers that go on are broken off. libmicrohttpd would end the process if it were
 * stopped with a connection suspended. */
static void answer_suspended(HttpServer *server) {
        HttpConnection *connection;

        server->stopping = true;
        while ((connection = TAILQ_FIRST(&server->suspended)))
                if (http_request_reply(connection->request))
                        http_connection_resume(connection, connection->request);
                else
                        answer_stopping(connection->request);
        for (size_t i = 0; i < server->n_listeners; i++)
                (void) MHD_run(server->listeners[i].daemon);
}

HttpServer *http_server_free(HttpServer *server) {
        if (!server)
                return NULL;

        answer_suspended(server);
        for (size_t i = 0; i < server->n_listeners; i++)
                listener_done(&server->listeners[i]);
        (void) sd_event_source_disable_unref(server->deadline_timer);
        (void) sd_event_unref(server->event);
        free(server);
        return NULL;
}
