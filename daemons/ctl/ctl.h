/* atelierctl: it owns no state and only speaks to the daemons' sockets. One file a subcommand group. */
#pragma once

#include "base/json.h"
#include "base/macro.h"

typedef struct Ctl {
        bool json;           /* for programs */
        const char *folder;  /* of the configuration; NULL: the usual one */
} Ctl;

/* Exit codes beside EXIT_SUCCESS and EXIT_FAILURE. */
#define CTL_USAGE 2

/* Each gets what follows its name and returns the exit code; errors are said on standard error. */
int ctl_status(const Ctl *ctl, int argc, char *argv[]);
int ctl_reload(const Ctl *ctl, int argc, char *argv[]);
int ctl_config(const Ctl *ctl, int argc, char *argv[]);
int ctl_queue(const Ctl *ctl, int argc, char *argv[]);

/* Calls a method of a daemon ("worker"). EXIT_SUCCESS with *ret (may be NULL), or a message and EXIT_FAILURE. Takes
 * parameters over. */
int ctl_call(const char *daemon, const char *method, JsonValue *parameters, JsonValue **ret);

/* The daemons, in the order in which people think of them; ended by NULL. */
extern const char *const ctl_daemons[];
bool ctl_is_daemon(const char *name);
