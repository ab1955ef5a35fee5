/* Calls to the worker over a pool of Varlink connections, made again when the worker restarts meanwhile. */
#pragma once

#include <systemd/sd-event.h>

#include "base/json.h"
#include "base/macro.h"
#include "base/time.h"
#include "io/varlink-client.h"

#define WORKER_CALLS_MAX 32768 /* running and waiting */
#define WORKER_RETRY_MIN_USEC (10 * USEC_PER_MSEC)
#define WORKER_RETRY_MAX_USEC (500 * USEC_PER_MSEC)

typedef struct WorkerClient WorkerClient;
typedef struct WorkerCall WorkerCall;

typedef struct WorkerMethod {
        const char *name; /* "io.atelier.Queue.Submit" */
        bool more; /* several replies; such calls leave a share of the pool to the others */
        bool once; /* not made again */
        usec_t deadline; /* for the first reply; begins anew when a connection with replies is lost */
} WorkerMethod;

/* Makes the parameters, for each try anew. NULL when memory is short. */
typedef JsonValue *(*WorkerBuild)(void *userdata);

/* As VarlinkReplyHandler. After the final reply, or status < 0, the call is over and frees itself. */
typedef void (*WorkerHandler)(const VarlinkReply *reply, void *userdata);

int worker_client_new(WorkerClient **ret, sd_event *event, const char *path, size_t connections_max);
WorkerClient *worker_client_free(WorkerClient *client); /* its calls must be over or freed */
DEFINE_CLEANUP(WorkerClient *, worker_client_free);

/* `method` outlives the call. The handler is never called from in here. -EBUSY past WORKER_CALLS_MAX. */
int worker_client_call(WorkerClient *client, WorkerCall **ret, const WorkerMethod *method, WorkerBuild build,
                       WorkerHandler handler, void *userdata);
/* The same; a duplicate of fd (-1: none) travels with each try. It stays the caller's, who keeps it as long as the call. */
int worker_client_call_with_fd(WorkerClient *client, WorkerCall **ret, const WorkerMethod *method, WorkerBuild build,
                               WorkerHandler handler, void *userdata, int fd);
WorkerCall *worker_call_free(WorkerCall *call); /* gives the call up; its handler is not called */

size_t worker_client_calls(const WorkerClient *client);
size_t worker_client_connections(const WorkerClient *client);
