/* A Varlink client on the loop: one connection, one call at a time.
 *
 *     CONNECTING --connect()--> OPEN --end, error, timeout, violation--> CLOSED
 *
 * connect() to a Unix socket is decided at once, but for a listener whose backlog is full: then a timer tries again,
 * 10 ms later, doubling to 200 ms. A call made meanwhile is formatted and kept. A closed client stays closed; its
 * owner makes another. The connection is read at all times: without a call only the end may come, anything else is a
 * violation.
 *
 * The deadline of a call is one number that moves with each reply; the timer is armed lazily and, when it rings early,
 * set to what is left, so that short calls on a pooled connection cost no timer work.
 *
 * Handlers may free the client: `n_entered` counts our frames below them; the memory goes when the last is left. */
#include "io/varlink-client.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "io/varlink-address.h"
#include "io/varlink-message.h"
#include "io/varlink-stream.h"

#define RETRY_USEC_MIN (10 * USEC_PER_MSEC)
#define RETRY_USEC_MAX (200 * USEC_PER_MSEC)
#define TIMER_ACCURACY_USEC (10 * USEC_PER_MSEC)
#define TIMEOUT_USEC_MAX (366 * USEC_PER_DAY)  /* longer ones are none */
#define REQUEST_KEPT_BYTES_MAX (16 * 1024)

typedef enum ClientState {
        CLIENT_CONNECTING,
        CLIENT_OPEN,
        CLIENT_CLOSED,
} ClientState;

struct VarlinkClient {
        sd_event *event;
        PollSet *set;
        ClientState state;
        unsigned n_entered;
        bool freed;

        char *path;  /* while connecting */
        usec_t retry_usec;
        sd_event_source *retry_source;

        VarlinkStream *stream;
        PollSource *source;
        Buffer request;   /* of the call, kept until connected */
        VarlinkFds fds;   /* for the next call, or of the one that is kept */

        bool calling, more;
        usec_t timeout;
        usec_t deadline;  /* monotonic; USEC_INFINITY: none */
        usec_t armed_at;  /* when the timer rings; USEC_INFINITY: never */
        sd_event_source *timer;
        VarlinkReplyHandler handler;
        void *userdata;

        VarlinkClosedHandler closed;
        void *closed_userdata;
};

static void client_leave(VarlinkClient *client) {
        if (--client->n_entered == 0 && client->freed)
                free(client);
}

/* ---------------------------------------------------------------- the end */

static void client_close(VarlinkClient *client) {
        client->state = CLIENT_CLOSED;
        client->source = poll_source_free(client->source);
        client->stream = varlink_stream_free(client->stream);
        client->retry_source = sd_event_source_disable_unref(client->retry_source);
        client->timer = sd_event_source_disable_unref(client->timer);
        varlink_fds_close(&client->fds);
        buffer_done(&client->request);
        free(TAKE_PTR(client->path));
}

/* The connection has ended before its time or at rest: tells whoever waits. */
static void client_fail(VarlinkClient *client, int status) {
        VarlinkReply reply = { .status = status == -EPIPE ? -ECONNRESET : status };

        client_close(client);
        client->n_entered++;
        if (client->calling) {
                client->calling = false;
                client->handler(client, &reply, client->userdata);
        } else if (client->closed)
                client->closed(client, client->closed_userdata);
        client_leave(client);
}

VarlinkClient *varlink_client_free(VarlinkClient *client) {
        if (!client)
                return NULL;

        client_close(client);
        client->freed = true;
        client->n_entered++;
        client_leave(client);
        return NULL;
}

/* ---------------------------------------------------------------- deadline */

static int client_on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata);

static int client_arm_timer(VarlinkClient *client, usec_t now) {
        usec_t left = client->deadline > now ? client->deadline - now : 0;
        int r;

        if (!client->timer) {
                r = sd_event_add_time_relative(client->event, &client->timer, CLOCK_MONOTONIC, left,
                                               TIMER_ACCURACY_USEC, client_on_timer, client);
                if (r < 0)
                        return r;
                (void) sd_event_source_set_description(client->timer, "varlink-client-timeout");
        } else {
                r = sd_event_source_set_time_relative(client->timer, left);
                if (r >= 0)
                        r = sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT);
                if (r < 0)
                        return r;
        }
        client->armed_at = client->deadline;
        return 0;
}

static int client_set_deadline(VarlinkClient *client) {
        usec_t now;

        client->deadline = USEC_INFINITY;
        if (client->timeout > TIMEOUT_USEC_MAX)
                return 0;

        now = time_now_monotonic();
        client->deadline = now + client->timeout;
        return client->armed_at <= client->deadline ? 0 : client_arm_timer(client, now);
}

static int client_on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        VarlinkClient *client = userdata;
        usec_t now = time_now_monotonic();

        client->armed_at = USEC_INFINITY;
        if (!client->calling || client->deadline == USEC_INFINITY)
                return 0;
        if (client->deadline > now)
                return client_arm_timer(client, now);
        client_fail(client, -ETIMEDOUT);
        return 0;
}

/* ---------------------------------------------------------------- replies */

/* Hands a reply to the handler. */
static void client_deliver(VarlinkClient *client, const VarlinkResponse *response, VarlinkFds *fds) {
        VarlinkReply reply = {
                .error = response->error,
                .parameters = response->parameters,
                .continues = response->continues,
                .fds = fds->fds,
                .n_fds = fds->n,
        };

        if (!response->continues) {
                client->calling = false;
                /* What comes behind a final reply answers no call. */
                if (varlink_stream_unparsed(client->stream) > 0)
                        client_close(client);
        } else if (client_set_deadline(client) < 0)
                client->deadline = USEC_INFINITY;

        client->handler(client, &reply, client->userdata);
}

/* One message; -EBADMSG for what is no reply to our call. */
static int client_take_message(VarlinkClient *client, const char *text, size_t size, VarlinkFds *fds) {
        _cleanup_(varlink_response_done) VarlinkResponse response = {};
        int r;

        if (!client->calling)
                r = -EBADMSG;
        else
                r = varlink_response_parse(&response, text, size);
        if (r >= 0 && response.continues && !client->more)
                r = -EBADMSG;
        if (r >= 0)
                client_deliver(client, &response, fds);

        varlink_fds_close(fds);
        return r;
}

static int client_take_messages(VarlinkClient *client) {
        VarlinkFds fds;
        const char *text;
        size_t size;
        int r = 0;

        while (r >= 0 && client->state == CLIENT_OPEN && varlink_stream_next(client->stream, &text, &size, &fds))
                r = client_take_message(client, text, size, &fds);
        return r;
}

/* ---------------------------------------------------------------- the connection */

static int client_update(VarlinkClient *client) {
        return poll_source_set_events(client->source,
                                      EPOLLIN | (varlink_stream_unsent(client->stream) > 0 ? EPOLLOUT : 0));
}

static int client_process(VarlinkClient *client, uint32_t revents) {
        int r, q = 0;

        /* A peer that takes no more may have answered before: its reply is read first. */
        if (revents & EPOLLOUT)
                q = varlink_stream_flush(client->stream);

        r = varlink_stream_read(client->stream);
        if (r == VARLINK_STREAM_ENDED)
                return -ECONNRESET;
        if (r == VARLINK_STREAM_READ)
                return client_take_messages(client);
        return r < 0 ? r : q;
}

static int client_on_io(_unused_ PollSource *source, _unused_ int fd, uint32_t revents, void *userdata) {
        VarlinkClient *client = userdata;
        int r;

        client->n_entered++;
        r = client_process(client, revents);
        if (r >= 0 && client->state == CLIENT_OPEN)
                r = client_update(client);
        if (r < 0 && client->state == CLIENT_OPEN)
                client_fail(client, r);
        client_leave(client);
        return 0;
}

static int client_send_request(VarlinkClient *client) {
        int r;

        r = varlink_stream_send(client->stream, client->request.data, client->request.size, &client->fds);
        client->request.size = 0;
        if (client->request.allocated > REQUEST_KEPT_BYTES_MAX)
                buffer_done(&client->request);
        return r < 0 ? r : client_update(client);
}

static int client_try_connect(VarlinkClient *client);

static int client_on_retry(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        VarlinkClient *client = userdata;
        int r;

        r = client_try_connect(client);
        if (r >= 0 && client->state == CLIENT_OPEN && client->calling)
                r = client_send_request(client);
        if (r < 0)
                client_fail(client, r);
        return 0;
}

static int client_arm_retry(VarlinkClient *client) {
        usec_t delay = client->retry_usec;
        int r;

        client->retry_usec = MIN(delay * 2, RETRY_USEC_MAX);
        if (client->retry_source) {
                r = sd_event_source_set_time_relative(client->retry_source, delay);
                return r < 0 ? r : sd_event_source_set_enabled(client->retry_source, SD_EVENT_ONESHOT);
        }

        r = sd_event_add_time_relative(client->event, &client->retry_source, CLOCK_MONOTONIC, delay,
                                       TIMER_ACCURACY_USEC, client_on_retry, client);
        if (r >= 0)
                (void) sd_event_source_set_description(client->retry_source, "varlink-client-retry");
        return r;
}

static int client_try_connect(VarlinkClient *client) {
        int fd = varlink_stream_fd(client->stream), r;

        r = varlink_socket_connect(fd, client->path);
        if (r < 0)
                return r;
        if (r > 0)
                return client_arm_retry(client);

        r = poll_set_add(client->set, fd, EPOLLIN, client_on_io, client, &client->source);
        if (r < 0)
                return r;
        client->state = CLIENT_OPEN;
        client->retry_source = sd_event_source_disable_unref(client->retry_source);
        free(TAKE_PTR(client->path));
        return 0;
}

int varlink_client_connect(VarlinkClient **ret, sd_event *event, PollSet *set, const char *path) {
        _cleanup_(varlink_client_freep) VarlinkClient *client = NULL;
        int fd, r;

        client = malloc(sizeof(*client));
        if (!client)
                return -ENOMEM;
        *client = (VarlinkClient) {
                .event = event,
                .set = set,
                .retry_usec = RETRY_USEC_MIN,
                .deadline = USEC_INFINITY,
                .armed_at = USEC_INFINITY,
                .path = strdup(path),
        };
        if (!client->path)
                return -ENOMEM;

        fd = varlink_socket_new();
        if (fd < 0)
                return fd;
        r = varlink_stream_new(&client->stream, fd);
        if (r < 0)
                return r;
        r = client_try_connect(client);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(client);
        return 0;
}

/* ---------------------------------------------------------------- calls */

int varlink_client_call(VarlinkClient *client, const char *method, JsonValue *parameters, bool more, usec_t timeout,
                        VarlinkReplyHandler handler, void *userdata) {
        _cleanup_(json_freep) JsonValue *owned = parameters;
        int r;

        if (client->state == CLIENT_CLOSED)
                return -ENOTCONN;
        if (client->calling)
                return -EBUSY;

        client->timeout = timeout;
        r = client_set_deadline(client);
        if (r < 0)
                return r;
        client->request.size = 0;
        r = varlink_request_format(&client->request, method, owned, more);
        if (r < 0)
                return r;

        if (client->state == CLIENT_OPEN) {
                r = client_send_request(client);
                if (r < 0) {
                        client_close(client);
                        return r == -EPIPE ? -ECONNRESET : r;
                }
        }

        client->calling = true;
        client->more = more;
        client->handler = handler;
        client->userdata = userdata;
        return 0;
}

int varlink_client_push_fd(VarlinkClient *client, int fd) {
        if (!varlink_client_usable(client))
                return client->calling ? -EBUSY : -ENOTCONN;
        return varlink_fds_push(&client->fds, fd);
}

bool varlink_client_usable(const VarlinkClient *client) {
        return client->state != CLIENT_CLOSED && !client->calling;
}

void varlink_client_set_closed_handler(VarlinkClient *client, VarlinkClosedHandler handler, void *userdata) {
        client->closed = handler;
        client->closed_userdata = userdata;
}
