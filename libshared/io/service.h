/* What every daemon of Atelier is made of: started by systemd, gone when idle.
 *
 * The life of a daemon:
 *
 *   arguments → settings → sockets by name → sources → READY=1 → run → quiesce → drain → STOPPING=1 → exit
 *
 * While anything holds the service (a request, a job, a busy connection) it stays. Without a hold for the idle
 * timeout, or on SIGTERM, it stops in one way: the listeners are quiesced first, so that what is not accepted yet waits in
 * systemd's socket for the next start; what was accepted is served; then the process exits. A drain that outlasts its
 * deadline is given up with a warning.
 *
 * The watchdog is fed only while ServiceKind.healthy() says that the daemon does its work.
 *
 * Environment: ATELIER_RUNTIME_DIRECTORY names the folder of the sockets (default /run/atelier). */
#pragma once

#include <systemd/sd-event.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/macro.h"
#include "conf/settings.h"
#include "io/access.h"
#include "io/varlink-server.h"

typedef struct Service Service;

typedef struct ServiceKind {
        const char *name;                     /* "worker" */
        const char *summary;                  /* one line for --help */
        const char *const *sockets;           /* names of the listening fds beside "varlink", ended by NULL; or NULL */
        const AccessRule *access;             /* who may call what; ended by {} */
        const char *const *fds_methods;       /* who may call one of these may send descriptors; or NULL: nobody */

        /* All get the userdata of service_run(); any may be NULL. */
        void (*quiesce)(void *userdata);      /* accept nothing any more; holds are released as work ends */
        bool (*healthy)(void *userdata);      /* may the watchdog be fed? */
        void (*status)(Buffer *text, void *userdata);           /* one line for systemctl status */
        int (*facts)(JsonValue *array, void *userdata);         /* objects {name, value} for GetStatus */
        int (*metrics)(Buffer *text, void *userdata);           /* for GetMetrics */
        /* New settings; 0 takes them over, negative refuses them with lines added to `errors`. */
        int (*reload)(const Settings *settings, Buffer *errors, void *userdata);

        usec_t (*idle_timeout)(const Settings *settings);
        usec_t (*drain_timeout)(const Settings *settings);
} ServiceKind;

enum {
        SERVICE_DONE = 1,  /* --help or --version was answered */
};

/* Parses arguments, loads the settings, takes the sockets, makes the loop and the daemon's own Varlink server with
 * io.atelier.Daemon. Says itself on standard error or in the journal what went wrong. */
int service_new(Service **ret, const ServiceKind *kind, int argc, char *argv[]);
Service *service_free(Service *service);
DEFINE_CLEANUP(Service *, service_free);

sd_event *service_event(Service *service);
const Settings *service_settings(Service *service);
const char *service_configuration_folder(const Service *service);  /* NULL: the usual one */
VarlinkServer *service_varlink(Service *service);

/* The fds that systemd passed under this name, in their order; they stay the service's. Returns their number. */
size_t service_sockets(Service *service, const char *name, const int **ret);

/* Path of a peer's socket: service_peer_path(s, "Worker") is /run/atelier/io.atelier.Worker. */
char *service_peer_path(Service *service, const char *daemon);

/* READY=1, then the loop until it is over. Handlers of Varlink methods get `userdata` as well. */
int service_run(Service *service, void *userdata);

/* A hold keeps the daemon from exiting when idle and a drain from ending. */
void service_hold(Service *service);
void service_release(Service *service);
bool service_stopping(const Service *service);

/* The status line may have changed: it is asked for and sent at most once a second. */
void service_status_changed(Service *service);
