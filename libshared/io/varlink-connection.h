/* The connections of one Varlink server: reading calls, sending replies, noticing who has gone. Private to the
 * server; what methods see is varlink-server.h. */
#pragma once

#include <sys/types.h>

#include <systemd/sd-event.h>

#include "base/json.h"
#include "base/macro.h"
#include "base/time.h"
#include "io/poll-set.h"
#include "io/varlink-peer.h"
#include "io/varlink-server.h"
#include "io/varlink-stream.h"

typedef struct VarlinkPool VarlinkPool;
typedef struct VarlinkConnection VarlinkConnection;

typedef struct VarlinkPoolHooks {
        int (*called)(VarlinkCall *call, void *userdata);  /* a negative errno becomes the answer, if there is none */
        void (*closed)(uid_t uid, void *userdata);         /* a connection of this user has gone */
        void (*busy)(bool busy, void *userdata);
} VarlinkPoolHooks;

/* `hooks` outlives the pool. */
int varlink_pool_new(VarlinkPool **ret, sd_event *event, PollSet *set, const VarlinkPoolHooks *hooks, void *userdata);
VarlinkPool *varlink_pool_free(VarlinkPool *pool);
DEFINE_CLEANUP(VarlinkPool *, varlink_pool_free);

/* Takes fd over, also on failure, and the peer's groups. */
int varlink_pool_add(VarlinkPool *pool, int fd, VarlinkPeer *peer);
size_t varlink_pool_count(const VarlinkPool *pool);
void varlink_pool_accept_fds(VarlinkPool *pool, VarlinkFdFilter from, void *userdata);
void varlink_pool_set_patience(VarlinkPool *pool, usec_t patience);

/* Whether a connection is busy or an event of the PollSet waits. The latter counts as busy until an event has been
 * handled, as the hook is told. */
bool varlink_pool_busy(VarlinkPool *pool);
void varlink_pool_event_handled(VarlinkPool *pool);  /* for events of the PollSet that are not the pool's own */

/* For the call of a connection. Sending: -EMSGSIZE, -EINVAL, -ENOMEM when no message could be made of it; -ECONNRESET
 * when the peer has gone: then the connection and its call are no more. */
int varlink_connection_send(VarlinkConnection *connection, const char *error, const JsonValue *parameters,
                            bool continues, VarlinkFds *fds);
void varlink_connection_end_call(VarlinkConnection *connection);
void varlink_connection_abort(VarlinkConnection *connection);  /* closes it and drops its call silently */
const VarlinkPeer *varlink_connection_peer(const VarlinkConnection *connection);
size_t varlink_connection_unsent(const VarlinkConnection *connection);
void varlink_connection_stream_out(VarlinkConnection *connection);  /* VARLINK_STREAM_BUFFER_BYTES, VARLINK_STREAM_PATIENCE_USEC */
