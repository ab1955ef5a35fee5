/* The connections of one Varlink server.
 *
 * A connection reads a call, hands it on, and reads no further until the call's final reply is sent: what the client
 * writes meanwhile waits in the socket, which is the back-pressure. One recvmsg() and one sendmsg() serve a call;
 * polling for input stays on while a call runs, since most clients wait for their reply, and goes off only when one
 * writes ahead. Several calls that came with one read are answered in their order, a few a turn; then the connection
 * joins the deferred ones, so that one client that pipelines thousands does not hold up the others.
 *
 * Leaving: the kernel reports EPOLLHUP, wanted or not, when the peer has closed its socket. While a call runs that
 * ends the call (its closed handler is told), otherwise what the peer sent before is still read and done. A peer that
 * has only shut down its sending side gets its replies, since the end is not read before them.
 *
 * A connection is busy while a call runs, bytes wait to be parsed or sent, or it is deferred. It may wait for the rest
 * of a message, or for its peer to read, no longer than the pool's patience.
 *
 * A handler may reply to the calls of other connections, which closes them if their peer has gone: at any call out of
 * this file a connection may disappear. The one being served is only marked then, and freed when the serving ends. */
#include "io/varlink-connection.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/varlink-call.h"

#define CALLS_PER_TURN_MAX 8
#define SCRATCH_KEPT_BYTES_MAX (64 * 1024)
#define SWEEP_USEC_MIN (10 * USEC_PER_MSEC)

struct VarlinkConnection {
        VarlinkPool *pool;
        TAILQ_ENTRY(VarlinkConnection) list, deferred_list;

        VarlinkStream *stream;
        PollSource *source;
        VarlinkPeer peer;
        VarlinkCall *call;       /* the one that runs */
        usec_t waiting_since;    /* monotonic; for the rest of a message or for the peer to read. 0 = not */
        bool streams_out;        /* its call sends many replies */

        bool polls_input;
        bool deferred;           /* whole calls may wait in the stream; its turn comes */
        bool serving, closed;
        bool busy;
};

struct VarlinkPool {
        sd_event *event;
        PollSet *set;
        const VarlinkPoolHooks *hooks;
        void *userdata;
        usec_t patience;
        bool accepts_fds;
        VarlinkFdFilter fd_filter;      /* NULL: of all peers */
        void *fd_filter_userdata;
        sd_event_source *defer_source, *sweep_source;

        TAILQ_HEAD(, VarlinkConnection) connections, deferred;
        size_t n_connections, n_deferred, n_busy;
        bool busy;         /* as the hook was told */
        bool event_waits;  /* it was seen that the loop has not come to an event yet */
        bool freeing;

        Buffer scratch;  /* a message on its way to the socket */
};

static int connection_on_io(PollSource *source, int fd, uint32_t revents, void *userdata);
static void connection_update(VarlinkConnection *connection);

/* ---------------------------------------------------------------- busy or not */

static void pool_settle(VarlinkPool *pool) {
        bool busy = pool->n_busy > 0 || pool->event_waits;

        if (pool->busy == busy || pool->freeing)
                return;
        pool->busy = busy;
        pool->hooks->busy(busy, pool->userdata);
}

void varlink_pool_event_handled(VarlinkPool *pool) {
        pool->event_waits = false;
        pool_settle(pool);
}

bool varlink_pool_busy(VarlinkPool *pool) {
        if (!pool->busy && poll_set_ready(pool->set)) {
                pool->event_waits = true;
                pool_settle(pool);
        }
        return pool->busy;
}

static void connection_set_busy(VarlinkConnection *connection, bool busy) {
        VarlinkPool *pool = connection->pool;

        if (connection->busy != busy) {
                connection->busy = busy;
                pool->n_busy += busy ? 1 : -1;
        }
        pool_settle(pool);
}

/* ---------------------------------------------------------------- turns */

static void connection_defer(VarlinkConnection *connection) {
        VarlinkPool *pool = connection->pool;

        if (connection->deferred)
                return;
        connection->deferred = true;
        TAILQ_INSERT_TAIL(&pool->deferred, connection, deferred_list);
        if (pool->n_deferred++ == 0)
                (void) sd_event_source_set_enabled(pool->defer_source, SD_EVENT_ON);
}

static void connection_undefer(VarlinkConnection *connection) {
        VarlinkPool *pool = connection->pool;

        if (!connection->deferred)
                return;
        connection->deferred = false;
        TAILQ_REMOVE(&pool->deferred, connection, deferred_list);
        if (--pool->n_deferred == 0)
                (void) sd_event_source_set_enabled(pool->defer_source, SD_EVENT_OFF);
}

/* ---------------------------------------------------------------- begin and end */

/* Ends a connection and its call; the memory goes at once, or when the serving ends. */
static void connection_close(VarlinkConnection *connection, bool tell) {
        VarlinkPool *pool = connection->pool;
        VarlinkCall *call = TAKE_PTR(connection->call);
        uid_t uid = connection->peer.uid;

        assert(!connection->closed);
        connection->closed = true;
        TAILQ_REMOVE(&pool->connections, connection, list);
        pool->n_connections--;
        connection_undefer(connection);
        connection->source = poll_source_free(connection->source);
        connection->stream = varlink_stream_free(connection->stream);

        /* The closed handler may still ask who the peer was. */
        if (call && tell)
                varlink_call_closed(call);
        varlink_call_free(call);
        connection_set_busy(connection, false);
        varlink_peer_done(&connection->peer);
        if (!connection->serving)
                free(connection);
        pool->hooks->closed(uid, pool->userdata);
}

static bool pool_accepts_fds_of(const VarlinkPool *pool, const VarlinkPeer *peer) {
        return pool->accepts_fds && (!pool->fd_filter || pool->fd_filter(peer, pool->fd_filter_userdata));
}

int varlink_pool_add(VarlinkPool *pool, int fd, VarlinkPeer *peer) {
        VarlinkConnection *connection;
        int r;

        connection = calloc(1, sizeof(*connection));
        if (!connection) {
                fd_close(fd);
                return -ENOMEM;
        }
        connection->pool = pool;
        connection->polls_input = true;

        r = varlink_stream_new(&connection->stream, fd);
        if (r >= 0)
                r = poll_set_add(pool->set, fd, EPOLLIN, connection_on_io, connection, &connection->source);
        if (r < 0) {
                varlink_stream_free(connection->stream);
                free(connection);
                return r;
        }

        if (!pool_accepts_fds_of(pool, peer))
                varlink_stream_refuse_fds(connection->stream);
        connection->peer = *peer;
        *peer = (VarlinkPeer) {};
        TAILQ_INSERT_HEAD(&pool->connections, connection, list);
        pool->n_connections++;
        return 0;
}

/* ---------------------------------------------------------------- serving */

static int connection_dispatch(VarlinkConnection *connection, const char *text, size_t size, VarlinkFds *fds) {
        VarlinkPool *pool = connection->pool;
        VarlinkRequest request;
        int r;

        r = varlink_request_parse(&request, text, size);
        if (r < 0) {
                varlink_fds_close(fds);
                return r;
        }
        r = varlink_call_new(&connection->call, connection, &request, fds);
        if (r < 0)
                return r;

        connection_set_busy(connection, true);
        r = pool->hooks->called(connection->call, pool->userdata);
        if (r < 0 && connection->call)
                (void) varlink_call_error_errno(connection->call, r);
        return 0;
}

/* Does what has come. The connection may be gone afterwards. */
static void connection_serve(VarlinkConnection *connection) {
        VarlinkStream *stream = connection->stream;
        VarlinkFds fds;
        const char *text;
        size_t size;
        int r;

        connection->serving = true;
        for (unsigned n = 0; !connection->closed && !connection->call && varlink_stream_unsent(stream) == 0; n++) {
                if (n == CALLS_PER_TURN_MAX) {
                        connection_defer(connection);
                        break;
                }
                if (!varlink_stream_next(stream, &text, &size, &fds))
                        break;
                r = connection_dispatch(connection, text, size, &fds);
                if (r < 0) {
                        (void) log_debug_errno(r, "closing a Varlink connection of uid %u", connection->peer.uid);
                        connection_close(connection, true);
                }
        }
        connection->serving = false;

        if (connection->closed)
                free(connection);
        else
                connection_update(connection);
}

static int pool_on_defer(sd_event_source *source, void *userdata) {
        VarlinkPool *pool = userdata;

        (void) source;
        for (size_t n = pool->n_deferred; n > 0 && !TAILQ_EMPTY(&pool->deferred); n--) {
                VarlinkConnection *connection = TAILQ_FIRST(&pool->deferred);

                connection_undefer(connection);
                connection_serve(connection);
        }
        return 0;
}

/* ---------------------------------------------------------------- polling */

static bool connection_wants_input(const VarlinkConnection *connection) {
        return !connection->call && !connection->deferred && varlink_stream_unsent(connection->stream) == 0;
}

static void connection_note_waiting(VarlinkConnection *connection, bool waiting) {
        VarlinkPool *pool = connection->pool;
        int enabled;

        if (!waiting)
                connection->waiting_since = 0;
        else if (connection->waiting_since == 0) {
                connection->waiting_since = time_now_monotonic();
                if (sd_event_source_get_enabled(pool->sweep_source, &enabled) < 0 || enabled != SD_EVENT_OFF)
                        return;
                (void) sd_event_source_set_time_relative(pool->sweep_source, pool->patience);
                (void) sd_event_source_set_enabled(pool->sweep_source, SD_EVENT_ONESHOT);
        }
}

/* Makes polling, business and patience agree with the state. */
static void connection_update(VarlinkConnection *connection) {
        bool unsent = varlink_stream_unsent(connection->stream) > 0;
        bool unparsed = varlink_stream_unparsed(connection->stream) > 0;

        if (connection_wants_input(connection))
                connection->polls_input = true;

        /* Changing what is polled fails only for a descriptor that is not in the set. */
        (void) poll_source_set_events(connection->source,
                                      (unsent ? EPOLLOUT : 0) | (connection->polls_input ? EPOLLIN : 0));

        connection_note_waiting(connection, unsent || (unparsed && !connection->call && !connection->deferred));
        connection_set_busy(connection, connection->call || connection->deferred || unsent || unparsed);
}

static int connection_flush(VarlinkConnection *connection) {
        size_t before = varlink_stream_unsent(connection->stream);
        int r;

        r = varlink_stream_flush(connection->stream);
        if (varlink_stream_unsent(connection->stream) < before)
                connection->waiting_since = 0;
        return r;
}

/* The handler may send more, and may end the call and with it the connection. */
static void connection_tell_drained(VarlinkConnection *connection) {
        connection->serving = true;
        varlink_call_drained(connection->call);
        connection->serving = false;
}

static int connection_read(VarlinkConnection *connection) {
        int r;

        if (!connection_wants_input(connection)) {
                connection->polls_input = false;
                return 0;
        }

        /* Reading means that nothing is left to do or to send: the end is the end of all. */
        r = varlink_stream_read(connection->stream);
        return r == VARLINK_STREAM_ENDED ? -ECONNRESET : r;
}

static void connection_go_on(VarlinkConnection *connection) {
        if (connection->call && varlink_stream_unsent(connection->stream) == 0)
                connection_tell_drained(connection);
        if (connection->closed)
                free(connection);
        else
                connection_serve(connection);
}

static int connection_on_io(PollSource *source, int fd, uint32_t revents, void *userdata) {
        VarlinkConnection *connection = userdata;
        VarlinkPool *pool = connection->pool;
        bool hangup = revents & (EPOLLHUP | EPOLLERR);
        int r = 0;

        (void) source;
        (void) fd;

        if (connection->call && hangup)
                r = -ECONNRESET;
        else if (varlink_stream_unsent(connection->stream) > 0 && (hangup || (revents & EPOLLOUT)))
                r = connection_flush(connection);
        if (r >= 0 && (hangup || (revents & EPOLLIN)))
                r = connection_read(connection);

        if (r < 0)
                connection_close(connection, true);
        else
                connection_go_on(connection);
        varlink_pool_event_handled(pool);
        return 0;
}

static usec_t connection_patience(const VarlinkConnection *connection) {
        return connection->streams_out && connection->call ? VARLINK_STREAM_PATIENCE_USEC : connection->pool->patience;
}

/* Closes what has tried our patience, and comes again when the next one may have. */
static int pool_on_sweep(sd_event_source *source, uint64_t usec, void *userdata) {
        VarlinkPool *pool = userdata;
        VarlinkConnection *connection, *next;
        usec_t now = time_now_monotonic(), left = USEC_INFINITY;

        (void) usec;
        for (connection = TAILQ_FIRST(&pool->connections); connection; connection = next) {
                next = TAILQ_NEXT(connection, list);
                if (connection->waiting_since == 0)
                        continue;
                if (now - connection->waiting_since < connection_patience(connection)) {
                        left = MIN(left, connection->waiting_since + connection_patience(connection) - now);
                        continue;
                }
                log_debug("closing a Varlink connection of uid %u that stands still", connection->peer.uid);
                connection_close(connection, true);
                /* The closed handler may have closed any other. */
                next = TAILQ_FIRST(&pool->connections);
        }

        if (left == USEC_INFINITY)
                return 0;
        (void) sd_event_source_set_time_relative(source, MAX(left, SWEEP_USEC_MIN));
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

/* ---------------------------------------------------------------- what calls need */

int varlink_connection_send(VarlinkConnection *connection, const char *error, const JsonValue *parameters,
                            bool continues, VarlinkFds *fds) {
        Buffer *scratch = &connection->pool->scratch;
        int r;

        scratch->size = 0;
        r = varlink_response_format(scratch, error, parameters, continues);
        if (r < 0)
                return r;

        r = varlink_stream_send(connection->stream, scratch->data, scratch->size, fds);
        if (scratch->allocated > SCRATCH_KEPT_BYTES_MAX)
                buffer_done(scratch);
        if (r < 0) {
                connection_close(connection, false);
                return -ECONNRESET;
        }

        if (continues && !connection->serving)
                connection_update(connection);
        return 0;
}

void varlink_connection_end_call(VarlinkConnection *connection) {
        connection->call = varlink_call_free(connection->call);
        if (connection->serving)
                return;

        /* What came behind the call is for a turn of its own: we are in the midst of somebody's work. */
        if (varlink_stream_unparsed(connection->stream) > 0)
                connection_defer(connection);
        connection_update(connection);
}

void varlink_connection_abort(VarlinkConnection *connection) {
        connection_close(connection, false);
}

const VarlinkPeer *varlink_connection_peer(const VarlinkConnection *connection) {
        return &connection->peer;
}

void varlink_connection_stream_out(VarlinkConnection *connection) {
        int bytes = VARLINK_STREAM_BUFFER_BYTES;

        connection->streams_out = true;
        (void) setsockopt(varlink_stream_fd(connection->stream), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

size_t varlink_connection_unsent(const VarlinkConnection *connection) {
        return varlink_stream_unsent(connection->stream);
}

/* ---------------------------------------------------------------- the pool */

int varlink_pool_new(VarlinkPool **ret, sd_event *event, PollSet *set, const VarlinkPoolHooks *hooks, void *userdata) {
        _cleanup_(varlink_pool_freep) VarlinkPool *pool = NULL;
        int r;

        pool = malloc(sizeof(*pool));
        if (!pool)
                return -ENOMEM;
        *pool = (VarlinkPool) {
                .event = sd_event_ref(event),
                .set = set,
                .hooks = hooks,
                .userdata = userdata,
                .patience = VARLINK_PATIENCE_USEC,
                .connections = TAILQ_HEAD_INITIALIZER(pool->connections),
                .deferred = TAILQ_HEAD_INITIALIZER(pool->deferred),
        };

        r = sd_event_add_defer(event, &pool->defer_source, pool_on_defer, pool);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(pool->defer_source, "varlink-deferred");
        r = sd_event_source_set_enabled(pool->defer_source, SD_EVENT_OFF);
        if (r < 0)
                return r;

        r = sd_event_add_time_relative(event, &pool->sweep_source, CLOCK_MONOTONIC, 0, SWEEP_USEC_MIN, pool_on_sweep,
                                       pool);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(pool->sweep_source, "varlink-sweep");
        r = sd_event_source_set_enabled(pool->sweep_source, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(pool);
        return 0;
}

VarlinkPool *varlink_pool_free(VarlinkPool *pool) {
        if (!pool)
                return NULL;

        pool->freeing = true;
        while (!TAILQ_EMPTY(&pool->connections))
                connection_close(TAILQ_FIRST(&pool->connections), true);
        sd_event_source_disable_unref(pool->defer_source);
        sd_event_source_disable_unref(pool->sweep_source);
        sd_event_unref(pool->event);
        buffer_done(&pool->scratch);
        free(pool);
        return NULL;
}

size_t varlink_pool_count(const VarlinkPool *pool) {
        return pool->n_connections;
}

void varlink_pool_accept_fds(VarlinkPool *pool, VarlinkFdFilter from, void *userdata) {
        pool->accepts_fds = true;
        pool->fd_filter = from;
        pool->fd_filter_userdata = userdata;
}

void varlink_pool_set_patience(VarlinkPool *pool, usec_t patience) {
        pool->patience = patience;
}
