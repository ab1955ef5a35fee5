/* Varlink does one call at a time on a connection, so there is a pool: a call takes a connection that is free, opens
 * one, or waits for one.
 *
 * The worker may exit when idle, crash or be restarted at any moment; its socket is held by systemd, so that the next
 * connection starts it again. A call whose connection is lost before the final reply is therefore made again, with the
 * same parameters, until its deadline: submissions carry a request id that makes this safe, and the other methods
 * change nothing when repeated. A connection that had served before (a pooled one, closed by an idle exit) is replaced
 * at once; after a failure of a fresh one the whole pool pauses, longer each time, so that a worker that is down is
 * not hammered.
 *
 * Calls that wait for a job to end hold their connection for minutes. They may use all of the pool but one part in
 * SHORT_CALLS_SHARE, which keeps the others moving.
 *
 * Crash of the api: the connections close, the worker forgets the callers, the jobs go on. */
#include "worker-client.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"

#define SHORT_CALLS_SHARE 8
#define TICK_USEC (250 * USEC_PER_MSEC) /* how exactly deadlines are kept */
#define WARNING_INTERVAL_USEC (10 * USEC_PER_SEC)

typedef struct WorkerConnection {
        WorkerClient *client;
        VarlinkClient *varlink;
        WorkerCall *call; /* NULL: idle */
        bool proven; /* a reply came over it */
        LIST_ENTRY(WorkerConnection) entry;
} WorkerConnection;

struct WorkerCall {
        WorkerClient *client;
        const WorkerMethod *method;
        WorkerBuild build;
        WorkerHandler handler;
        void *userdata;
        WorkerConnection *connection; /* NULL: waits for one */
        int fd; /* that travels with it; -1: none */
        usec_t deadline; /* monotonic; USEC_INFINITY once a reply came */
        TAILQ_ENTRY(WorkerCall) entry; /* in `waiting` or `running` */
};

TAILQ_HEAD(CallList, WorkerCall);

struct WorkerClient {
        sd_event *event;
        PollSet *poll;
        char *path;
        size_t connections_max, n_connections;
        size_t n_calls, n_long; /* n_long: running calls with `more` */
        LIST_HEAD(, WorkerConnection) idle; /* the last used first */
        struct CallList waiting_short, waiting_long, running;
        sd_event_source *tick, *retry;
        usec_t pause; /* the next one's length */
        bool pausing, ticking;
        usec_t warned_at;
};

static void dispatch(WorkerClient *client);

static usec_t client_now(const WorkerClient *client) {
        uint64_t now = 0;

        (void) sd_event_now(client->event, CLOCK_MONOTONIC, &now);
        return now;
}

static void arm(sd_event_source *source, usec_t delay) {
        (void) sd_event_source_set_time_relative(source, delay);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Calls */

static struct CallList *call_queue(WorkerCall *call) {
        return call->method->more ? &call->client->waiting_long : &call->client->waiting_short;
}

/* Takes a call off its connection, or out of its queue. */
static WorkerConnection *call_detach(WorkerCall *call) {
        WorkerConnection *connection = call->connection;
        WorkerClient *client = call->client;

        if (!connection) {
                TAILQ_REMOVE(call_queue(call), call, entry);
                return NULL;
        }

        TAILQ_REMOVE(&client->running, call, entry);
        if (call->method->more)
                client->n_long--;
        connection->call = NULL;
        call->connection = NULL;
        return connection;
}

static WorkerConnection *connection_free(WorkerConnection *connection) {
        connection->client->n_connections--;
        (void) varlink_client_free(connection->varlink);
        free(connection);
        return NULL;
}

WorkerCall *worker_call_free(WorkerCall *call) {
        WorkerConnection *connection;
        WorkerClient *client;

        if (!call)
                return NULL;

        client = call->client;
        connection = call_detach(call);
        if (connection)
                (void) connection_free(connection); /* the only way to tell the worker that nobody listens */
        client->n_calls--;
        free(call);
        dispatch(client);
        return NULL;
}

/* Ends a detached call. */
static void call_finish(WorkerCall *call, const VarlinkReply *reply) {
        call->client->n_calls--;
        call->handler(reply, call->userdata);
        free(call);
}

static void call_fail(WorkerCall *call, int status) {
        call_finish(call, &(const VarlinkReply){ .status = status });
}

/* Connections */

static void connection_idle(WorkerConnection *connection) {
        LIST_INSERT_HEAD(&connection->client->idle, connection, entry);
}

static void on_closed(_unused_ VarlinkClient *varlink, void *userdata) {
        WorkerConnection *connection = userdata;

        LIST_REMOVE(connection, entry);
        (void) connection_free(connection);
}

static int connection_new(WorkerClient *client, WorkerConnection **ret) {
        WorkerConnection *connection;
        int r;

        connection = calloc(1, sizeof(*connection));
        if (!connection)
                return -ENOMEM;

        connection->client = client;
        r = varlink_client_connect(&connection->varlink, client->event, client->poll, client->path);
        if (r < 0) {
                free(connection);
                return r;
        }
        varlink_client_set_closed_handler(connection->varlink, on_closed, connection);
        client->n_connections++;
        *ret = connection;
        return 0;
}

static int connection_take(WorkerClient *client, WorkerConnection **ret) {
        WorkerConnection *connection;

        while ((connection = LIST_FIRST(&client->idle))) {
                LIST_REMOVE(connection, entry);
                if (varlink_client_usable(connection->varlink)) {
                        *ret = connection;
                        return 0;
                }
                (void) connection_free(connection);
        }
        return connection_new(client, ret);
}

/* What a client can bring about at will is said now and then only. */
static void warn(WorkerClient *client, int error) {
        usec_t now = client_now(client);

        if (client->warned_at > 0 && now < client->warned_at + WARNING_INTERVAL_USEC)
                return;
        client->warned_at = now;
        (void) log_warning_errno(error, "the worker does not answer on %s; %zu calls are tried again", client->path,
                                 client->n_calls);
}

static void pause_pool(WorkerClient *client, int error) {
        if (client->pausing)
                return;
        client->pausing = true;
        arm(client->retry, client->pause);
        client->pause = MIN(client->pause * 2, WORKER_RETRY_MAX_USEC);
        if (client->pause == WORKER_RETRY_MAX_USEC)
                warn(client, error);
}

/* Back to the head of its queue. */
static void call_again(WorkerCall *call) {
        if (call->deadline == USEC_INFINITY)
                call->deadline = client_now(call->client) + call->method->deadline;
        if (call->method->more)
                TAILQ_INSERT_HEAD(&call->client->waiting_long, call, entry);
        else
                TAILQ_INSERT_HEAD(&call->client->waiting_short, call, entry);
}

static void on_lost(WorkerConnection *connection, WorkerCall *call, int status) {
        WorkerClient *client = call->client;
        bool proven = connection->proven;

        (void) call_detach(call);
        (void) connection_free(connection);
        if (call->method->once)
                call_fail(call, status);
        else
                call_again(call);
        if (!proven)
                pause_pool(client, status);
        dispatch(client);
}

static void on_reply(_unused_ VarlinkClient *varlink, const VarlinkReply *reply, void *userdata) {
        WorkerConnection *connection = userdata;
        WorkerCall *call = connection->call;
        WorkerClient *client = connection->client;

        assert(call);

        if (reply->status < 0) {
                on_lost(connection, call, reply->status);
                return;
        }

        connection->proven = true;
        client->pause = WORKER_RETRY_MIN_USEC;
        if (reply->continues) {
                call->deadline = USEC_INFINITY;
                call->handler(reply, call->userdata);
                return;
        }

        (void) call_detach(call);
        call_finish(call, reply);
        connection_idle(connection);
        dispatch(client);
}

/* The call stands in its queue. */
static int call_start(WorkerCall *call) {
        WorkerClient *client = call->client;
        WorkerConnection *connection;
        JsonValue *parameters;
        int r;

        r = connection_take(client, &connection);
        if (r < 0)
                return r;
        if (call->fd >= 0)
                r = varlink_client_push_fd(connection->varlink, call->fd);
        parameters = r >= 0 ? call->build(call->userdata) : NULL;
        r = parameters ? varlink_client_call(connection->varlink, call->method->name, parameters, call->method->more,
                                             USEC_INFINITY, on_reply, connection)
                       : -ENOMEM;
        if (r < 0) {
                (void) connection_free(connection);
                return r;
        }

        TAILQ_REMOVE(call_queue(call), call, entry);
        TAILQ_INSERT_TAIL(&client->running, call, entry);
        call->connection = connection;
        connection->call = call;
        if (call->method->more)
                client->n_long++;
        return 0;
}

static WorkerCall *next_call(const WorkerClient *client) {
        size_t short_share = MAX(client->connections_max / SHORT_CALLS_SHARE, (size_t) 1);

        if (!TAILQ_EMPTY(&client->waiting_short))
                return TAILQ_FIRST(&client->waiting_short);
        return client->n_long + short_share < client->connections_max ? TAILQ_FIRST(&client->waiting_long) : NULL;
}

static void dispatch(WorkerClient *client) {
        WorkerCall *call;

        while (!client->pausing && (!LIST_EMPTY(&client->idle) || client->n_connections < client->connections_max) &&
               (call = next_call(client))) {
                int r = call_start(call);

                if (r < 0)
                        pause_pool(client, r);
        }
}

static int on_retry(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        WorkerClient *client = userdata;

        client->pausing = false;
        dispatch(client);
        return 0;
}

/* Deadlines */

static WorkerCall *find_overdue(const struct CallList *calls, usec_t now) {
        WorkerCall *call;

        TAILQ_FOREACH (call, calls, entry)
                if (call->deadline <= now)
                        return call;
        return NULL;
}

static void expire(WorkerClient *client, const struct CallList *calls) {
        usec_t now = client_now(client);

        for (WorkerCall *call; (call = find_overdue(calls, now));) {
                WorkerConnection *connection = call_detach(call);

                if (connection)
                        (void) connection_free(connection);
                warn(client, -ETIMEDOUT);
                call_fail(call, -ETIMEDOUT);
        }
}

static int on_tick(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        WorkerClient *client = userdata;

        expire(client, &client->waiting_short);
        expire(client, &client->waiting_long);
        expire(client, &client->running);
        dispatch(client);

        client->ticking = client->n_calls > 0;
        if (client->ticking)
                arm(client->tick, TICK_USEC);
        return 0;
}

/* The client */

static int add_timer(WorkerClient *client, sd_event_source **ret, sd_event_time_handler_t handler, const char *name) {
        int r;

        r = sd_event_add_time_relative(client->event, ret, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, handler, client);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(*ret, name);
        return sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int worker_client_new(WorkerClient **ret, sd_event *event, const char *path, size_t connections_max) {
        _cleanup_(worker_client_freep) WorkerClient *client = NULL;
        int r;

        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        client->event = sd_event_ref(event);
        client->connections_max = MAX(connections_max, (size_t) 2);
        client->pause = WORKER_RETRY_MIN_USEC;
        LIST_INIT(&client->idle);
        TAILQ_INIT(&client->waiting_short);
        TAILQ_INIT(&client->waiting_long);
        TAILQ_INIT(&client->running);

        client->path = strdup(path);
        if (!client->path)
                return -ENOMEM;
        r = poll_set_new(&client->poll, event, "worker", SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = add_timer(client, &client->tick, on_tick, "worker-deadlines");
        if (r >= 0)
                r = add_timer(client, &client->retry, on_retry, "worker-retry");
        if (r < 0)
                return r;

        *ret = TAKE_PTR(client);
        return 0;
}

WorkerClient *worker_client_free(WorkerClient *client) {
        WorkerConnection *connection;

        if (!client)
                return NULL;

        assert(client->n_calls == 0);

        while ((connection = LIST_FIRST(&client->idle))) {
                LIST_REMOVE(connection, entry);
                (void) connection_free(connection);
        }
        (void) sd_event_source_disable_unref(client->retry);
        (void) sd_event_source_disable_unref(client->tick);
        (void) poll_set_free(client->poll);
        (void) sd_event_unref(client->event);
        free(client->path);
        free(client);
        return NULL;
}

int worker_client_call(WorkerClient *client, WorkerCall **ret, const WorkerMethod *method, WorkerBuild build,
                       WorkerHandler handler, void *userdata) {
        return worker_client_call_with_fd(client, ret, method, build, handler, userdata, -1);
}

int worker_client_call_with_fd(WorkerClient *client, WorkerCall **ret, const WorkerMethod *method, WorkerBuild build,
                               WorkerHandler handler, void *userdata, int fd) {
        WorkerCall *call;

        if (client->n_calls >= WORKER_CALLS_MAX)
                return -EBUSY;
        call = malloc(sizeof(*call));
        if (!call)
                return -ENOMEM;

        *call = (WorkerCall){
                .client = client,
                .method = method,
                .build = build,
                .handler = handler,
                .userdata = userdata,
                .fd = fd,
                .deadline = client_now(client) + method->deadline,
        };
        TAILQ_INSERT_TAIL(call_queue(call), call, entry);
        client->n_calls++;
        *ret = call;

        if (!client->ticking) {
                client->ticking = true;
                arm(client->tick, TICK_USEC);
        }
        dispatch(client);
        return 0;
}

size_t worker_client_calls(const WorkerClient *client) {
        return client->n_calls;
}

size_t worker_client_connections(const WorkerClient *client) {
        return client->n_connections;
}
