/* atelierctl: it owns no state and only speaks to the daemons' sockets. One file a group of commands. */
#pragma once

#include "base/json.h"
#include "base/macro.h"

typedef struct Ctl {
        bool json;           /* for programs */
        const char *folder;  /* of the configuration; NULL: the usual one */
} Ctl;

/* Exit codes beside EXIT_SUCCESS and EXIT_FAILURE. */
#define CTL_USAGE 2

/* Each gets its own name as argv[0] and what follows it, and returns the exit code; errors are said on standard
 * error. */
int ctl_status(Ctl *ctl, int argc, char *argv[]);
int ctl_reload(Ctl *ctl, int argc, char *argv[]);
int ctl_generate(Ctl *ctl, int argc, char *argv[]);
int ctl_jobs(Ctl *ctl, int argc, char *argv[]);
int ctl_jobs_resume(Ctl *ctl, int argc, char *argv[]);
int ctl_usage(Ctl *ctl, int argc, char *argv[]);
int ctl_budget(Ctl *ctl, int argc, char *argv[]);
int ctl_audit(Ctl *ctl, int argc, char *argv[]);
int ctl_ledger(Ctl *ctl, int argc, char *argv[]);
int ctl_task(Ctl *ctl, int argc, char *argv[]);
int ctl_backup(Ctl *ctl, int argc, char *argv[]);
int ctl_alerts(Ctl *ctl, int argc, char *argv[]);
int ctl_alerts_fire(Ctl *ctl, int argc, char *argv[]);
int ctl_keys(Ctl *ctl, int argc, char *argv[]);
int ctl_cache(Ctl *ctl, int argc, char *argv[]);
int ctl_batches(Ctl *ctl, int argc, char *argv[]);
int ctl_webhooks(Ctl *ctl, int argc, char *argv[]);
int ctl_config(Ctl *ctl, int argc, char *argv[]);
int ctl_queue(Ctl *ctl, int argc, char *argv[]);
int ctl_images(Ctl *ctl, int argc, char *argv[]);

/* Calls a method of a daemon ("worker"). EXIT_SUCCESS with *ret (may be NULL), or a message and EXIT_FAILURE. Takes
 * parameters over. The other forms of a call are in follow.h. */
int ctl_call(const char *daemon, const char *method, JsonValue *parameters, JsonValue **ret);

/* One JSON document and a newline on standard output. */
int ctl_print_json(const JsonValue *value);

/* "atelierctl: ", the text and a newline on standard error; returns EXIT_FAILURE or CTL_USAGE. What comes from
 * elsewhere goes through printable_text() first. */
int ctl_fail(const char *format, ...) _printf_(1, 2);
int ctl_misused(const char *format, ...) _printf_(1, 2);
int ctl_fail_errno(int error, const char *doing);

/* The daemons, in the order in which people think of them; ended by NULL. */
extern const char *const ctl_daemons[];
bool ctl_is_daemon(const char *name);
