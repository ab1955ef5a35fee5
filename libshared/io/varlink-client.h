/* A Varlink client on sd-event: one connection, one call at a time, replies to a handler. For programs without a loop
 * there is varlink-dialog.h. */
#pragma once

#include <systemd/sd-event.h>

#include "base/json.h"
#include "base/macro.h"
#include "base/time.h"
#include "io/poll-set.h"
#include "io/varlink.h"

typedef struct VarlinkClient VarlinkClient;

/* One reply. `error` is NULL or the qualified name. `continues` says that more will follow. The fds in `fds` belong
 * to the client and are closed after the handler unless taken (TAKE_FD(reply->fds[i])). `status` is 0, or a negative
 * errno when no reply came: -ECONNRESET closed by the peer, -ETIMEDOUT, -EBADMSG protocol violation, errors of
 * connect(2); then parameters is NULL and the client is closed. */
typedef struct VarlinkReply {
        int status;
        const char *error;
        const JsonValue *parameters;
        bool continues;
        int *fds;
        size_t n_fds;
} VarlinkReply;

/* The handler may free the client or, after the final reply, start the next call. Ask varlink_client_usable() before:
 * a peer that sent more than it was asked for has been cut off. */
typedef void (*VarlinkReplyHandler)(VarlinkClient *client, const VarlinkReply *reply, void *userdata);

/* Connects without blocking; a full backlog (EAGAIN) is tried again by timer. What is known at once is returned:
 * -ENOENT, -ECONNREFUSED, -EACCES, …; -ENAMETOOLONG for a path that is no socket's. The PollSet may be shared
 * between clients and outlives them. Calls may be made at once and are sent when the connection stands. */
int varlink_client_connect(VarlinkClient **ret, sd_event *event, PollSet *set, const char *path);
VarlinkClient *varlink_client_free(VarlinkClient *client);  /* the handler of a running call is not called */
DEFINE_CLEANUP(VarlinkClient *, varlink_client_free);

/* Takes parameters over, also on failure (NULL = {}). `timeout` USEC_INFINITY = none; it counts to the next reply.
 * -EBUSY while a call runs; -ENOTCONN once the client is closed; -ECONNRESET when the peer turns out to have gone: the
 * client is then closed. -EMSGSIZE, -EINVAL, -ENOMEM when no message can be made; the client is as before.
 * The handler is called only if this has returned 0, and never from within it. */
int varlink_client_call(VarlinkClient *client, const char *method, JsonValue *parameters, bool more, usec_t timeout,
                        VarlinkReplyHandler handler, void *userdata);
int varlink_client_push_fd(VarlinkClient *client, int fd);  /* a duplicate travels with the next call; -E2BIG */
bool varlink_client_usable(const VarlinkClient *client);    /* connected or connecting, and no call running */

/* Told when an unused connection is closed by the peer (it has exited when idle). The handler may free the client. */
typedef void (*VarlinkClosedHandler)(VarlinkClient *client, void *userdata);
void varlink_client_set_closed_handler(VarlinkClient *client, VarlinkClosedHandler handler, void *userdata);
