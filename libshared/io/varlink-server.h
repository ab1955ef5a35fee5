/* A Varlink server on sd-event: sockets from systemd in, method calls out to handlers.
 *
 * A handler answers at once or keeps the VarlinkCall and answers later; until the final reply nothing more is read
 * from that connection, which is the back-pressure. Parameters are checked against the interface before the handler
 * runs. File descriptors travel with the first byte of a message (SCM_RIGHTS), as systemd's Varlink does it. */
#pragma once

#include <systemd/sd-event.h>

#include "base/json.h"
#include "base/macro.h"
#include "base/time.h"
#include "io/poll-set.h"
#include "io/varlink-peer.h"
#include "io/varlink.h"

#define VARLINK_CONNECTIONS_MAX 4096
#define VARLINK_CONNECTIONS_PER_UID_MAX 1024
#define VARLINK_PATIENCE_USEC (30 * USEC_PER_SEC)  /* for the rest of a message, or for a reply to be read */
#define VARLINK_STREAM_PATIENCE_USEC (10 * USEC_PER_MINUTE)  /* the same for a reader of many replies */
#define VARLINK_STREAM_BUFFER_BYTES 8192           /* of the socket, then: a few replies are under way, not hundreds */

typedef struct VarlinkServer VarlinkServer;
typedef struct VarlinkCall VarlinkCall;

typedef struct VarlinkProduct {
        const char *vendor, *product, *version, *url;
} VarlinkProduct;

/* `parameters` (never NULL) belongs to the call and lives until its final reply. Returns 0 when it has answered or
 * will; a negative errno is answered as io.systemd.System(errno) if no final reply was given. */
typedef int (*VarlinkMethodHandler)(VarlinkCall *call, const JsonValue *parameters, void *userdata);

typedef struct VarlinkMethod {
        const char *name;  /* without the interface */
        VarlinkMethodHandler handler;
        bool needs_more;   /* answered with ExpectedMore when called without */
} VarlinkMethod;

/* Whether peer may call the method ("io.atelier.Queue.Submit"). Asked before each call of a method that exists, but
 * not for org.varlink.service's; parameters are judged only afterwards. */
typedef bool (*VarlinkAuthorizer)(const VarlinkPeer *peer, const char *method, void *userdata);

/* Called whenever the number of busy connections (a call being served, or bytes that wait) changes from or to 0: true
 * and false in turn, beginning with true, at least twice for each call on a quiet server. */
typedef void (*VarlinkBusyHandler)(bool busy, void *userdata);

int varlink_server_new(VarlinkServer **ret, sd_event *event, const VarlinkProduct *product, void *userdata);
VarlinkServer *varlink_server_free(VarlinkServer *server);
DEFINE_CLEANUP(VarlinkServer *, varlink_server_free);

/* Told of each call just before its final reply: `error` is NULL when it has none, `answer` may be NULL. Not of those that
 * end without a reply. */
typedef void (*VarlinkObserver)(VarlinkCall *call, const char *error, const JsonValue *answer, void *userdata);
void varlink_server_set_observer(VarlinkServer *server, VarlinkObserver observer, void *userdata);

void varlink_server_set_authorizer(VarlinkServer *server, VarlinkAuthorizer authorizer);
void varlink_server_set_busy_handler(VarlinkServer *server, VarlinkBusyHandler handler);
/* Peers that `from` accepts may send descriptors (NULL: all). Another connection that does is closed, and none of them is
 * ever ours: peers that may call next to nothing could fill our table with them otherwise. For the connections that come
 * from now on. */
typedef bool (*VarlinkFdFilter)(const VarlinkPeer *peer, void *userdata);
void varlink_server_accept_fds(VarlinkServer *server, VarlinkFdFilter from, void *userdata);

void varlink_server_set_patience(VarlinkServer *server, usec_t patience);  /* VARLINK_PATIENCE_USEC is the default */

/* `userdata` goes to this interface's handlers. Every method of the interface should be in `methods` (ended by {},
 * outlives the server); one that is not is MethodNotImplemented. -EBADMSG when the text is not an interface, -EINVAL
 * for a method that it does not have, -EEXIST when an interface of this name is there. */
int varlink_server_add_interface(VarlinkServer *server, const char *text, const VarlinkMethod *methods,
                                 void *userdata);

/* A listening Unix stream socket, which stays the caller's and is closed only after the server. -EINVAL otherwise. */
int varlink_server_listen(VarlinkServer *server, int fd);

/* A connected socket, taken over, also on failure. -EUSERS past the limits of connections. */
int varlink_server_adopt(VarlinkServer *server, int fd);

/* No further accept(): what waits in the socket waits for the next start. Connections that are open go on. */
void varlink_server_quiesce(VarlinkServer *server);

/* Busy as the busy handler hears it. An event that the loop has not come to yet (a call or a connection that has just
 * arrived) counts too; if it is found here, the handler is told before this returns, and told `false` once it is done.
 * To leave without losing a call that has been sent: quiesce, and leave when this says false. */
bool varlink_server_busy(VarlinkServer *server);

/* Answering. Each takes `parameters` over (NULL = {}), also on failure. -ECONNRESET when the peer has gone; the call
 * is then over as well, and its closed handler is not called. varlink_call_reply() and _error() end the call, whatever
 * they return: do not touch it afterwards. When no message can be made of the reply (-EMSGSIZE past
 * VARLINK_MESSAGE_BYTES_MAX, -EINVAL for an error that is not a qualified name, -ENOMEM) the client gets
 * io.systemd.System instead. A call with oneway is answered in the same way, and nothing is sent. */
int varlink_call_reply(VarlinkCall *call, JsonValue *parameters);
int varlink_call_error(VarlinkCall *call, const char *error, JsonValue *parameters);
int varlink_call_invalid_parameter(VarlinkCall *call, const char *field);
int varlink_call_error_errno(VarlinkCall *call, int error);  /* a negative errno, as io.systemd.System */

/* Ends the call without an answer, by closing its connection: the peer may ask again and reaches the next process. */
void varlink_call_abandon(VarlinkCall *call);

/* One of several replies ("continues": true). -EPERM when the call did not ask for more; -EMSGSIZE, -ENOMEM as above:
 * the call goes on. A peer that leaves VARLINK_OUTPUT_BYTES_MAX unread is closed. */
int varlink_call_notify(VarlinkCall *call, JsonValue *parameters);

/* Sends a duplicate (F_DUPFD_CLOEXEC) of fd with the next reply; the caller's stays its own. -E2BIG past
 * VARLINK_FDS_MAX. */
int varlink_call_push_fd(VarlinkCall *call, int fd);

/* Takes the index-th fd that came with the call; those that nobody takes are closed. -ENXIO when there is none. */
int varlink_call_take_fd(VarlinkCall *call, size_t index);

const char *varlink_call_method(const VarlinkCall *call);  /* qualified */
const JsonValue *varlink_call_parameters(const VarlinkCall *call);
bool varlink_call_wants_more(const VarlinkCall *call);
const VarlinkPeer *varlink_call_peer(const VarlinkCall *call);

/* Told when the peer goes away before the final reply, or the server is freed; the call is freed right after. For
 * calls kept for later. */
typedef void (*VarlinkCallClosed)(VarlinkCall *call, void *userdata);
void varlink_call_set_closed_handler(VarlinkCall *call, VarlinkCallClosed handler, void *userdata);

/* *ended becomes true when the call is no more: for who hands a kept call to a function that may end it, and must know
 * whether it has. NULL: nobody asks any longer. */
void varlink_call_note_end(VarlinkCall *call, bool *ended);

/* Whether all replies of the call are with the kernel. One that sends much sends no more until they are, and is told by its
 * drained handler, from the loop. With a handler set, the kernel takes only a few replies, and the peer has
 * VARLINK_STREAM_PATIENCE_USEC to read on. */
typedef void (*VarlinkCallDrained)(VarlinkCall *call, void *userdata);
bool varlink_call_is_drained(const VarlinkCall *call);
void varlink_call_set_drained_handler(VarlinkCall *call, VarlinkCallDrained handler, void *userdata);
