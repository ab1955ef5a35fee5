/* Who may call what on a daemon's socket: one table a daemon, judged by what the kernel says of the peer.
 *
 * The socket's mode lets in root and group atelier. Of those, a rule names who may call a method. Root may call
 * everything. The first rule whose method matches decides; a method without a rule is refused. */
#pragma once

#include "io/varlink-server.h"

typedef enum AccessWho {
        ACCESS_NOBODY = 0,                /* root alone */
        ACCESS_MEMBER = 1 << 0,           /* whoever the socket lets in */
        ACCESS_ADMIN = 1 << 1,            /* group atelier-admin */
        ACCESS_API = 1 << 2,              /* user atelier-api, and so on */
        ACCESS_WORKER = 1 << 3,
        ACCESS_SCHEDULER = 1 << 4,
        ACCESS_ALERTER = 1 << 5,
        ACCESS_ALERT = 1 << 6,            /* user atelier-alert, who reports failed units: no member, though let in */
} AccessWho;

typedef struct AccessRule {
        const char *method;  /* "io.atelier.Queue.Submit", or a whole interface: "io.atelier.Queue.*" */
        unsigned who;        /* AccessWho, or-ed */
} AccessRule;

/* io.atelier.Daemon is the same for all: the first rules of each daemon's table. */
#define ACCESS_DAEMON \
        { "io.atelier.Daemon.Ping", ACCESS_MEMBER }, \
        { "io.atelier.Daemon.GetStatus", ACCESS_MEMBER }, \
        { "io.atelier.Daemon.GetMetrics", ACCESS_MEMBER }, \
        { "io.atelier.Daemon.Reload", ACCESS_ADMIN }, \
        { "io.atelier.Daemon.SetLogLevel", ACCESS_NOBODY }

typedef struct AccessTable AccessTable;

/* `rules` end with {} and outlive the table. Users and groups that do not exist match nobody. */
int access_table_new(AccessTable **ret, const AccessRule *rules);
AccessTable *access_table_free(AccessTable *table);
DEFINE_CLEANUP(AccessTable *, access_table_free);

/* What the first rule for the method says; ACCESS_NOBODY without one. */
unsigned access_rule_who(const AccessRule *rules, const char *method);

bool access_allowed(const AccessTable *table, const VarlinkPeer *peer, const char *method);
