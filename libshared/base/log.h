/* Log records with structured fields.
 *
 * Under systemd records go to journald with their fields; elsewhere (tests, a terminal) one line each goes to
 * standard error. libshared logs at debug only; a daemon logs an error once, where it is handled. Levels say who must
 * act: err = the operator, now; warning = something is degraded; info = lifecycle and audit; debug = the rest. */
#pragma once

#include <syslog.h>

#include "base/macro.h"

typedef struct LogField {
        const char *name;   /* journal field: ATELIER_JOB, MESSAGE_ID, … */
        const char *value;  /* NULL: the field is left out */
} LogField;

/* LOG_FIELDS({ "ATELIER_JOB", job->id }, { "ATELIER_MODEL", job->model }) */
#define LOG_FIELDS(...) ((const LogField[]) { __VA_ARGS__, {} })
#define LOG_FIELDS_COUNT_MAX 16

/* Decides where records go and names the program in them. Before it, records go to standard error. */
void log_open(const char *program);
void log_set_level(int level);
int log_get_level(void);

/* Writes one record. `error` is a negative errno whose text is appended to the message, or 0. Returns error. */
int log_record(int level, int error, const LogField *fields, const char *format, ...) _printf_(4, 5);

/* The same for a record of the audit trail: at info, whatever the log level is. Returns 0 or why the journal did not take
 * it. */
int log_audit(const LogField *fields, const char *format, ...) _printf_(2, 3);

#define log_error(...) ((void) log_record(LOG_ERR, 0, NULL, __VA_ARGS__))
#define log_warning(...) ((void) log_record(LOG_WARNING, 0, NULL, __VA_ARGS__))
#define log_notice(...) ((void) log_record(LOG_NOTICE, 0, NULL, __VA_ARGS__))
#define log_info(...) ((void) log_record(LOG_INFO, 0, NULL, __VA_ARGS__))
#define log_debug(...) ((void) log_record(LOG_DEBUG, 0, NULL, __VA_ARGS__))
#define log_error_errno(error, ...) log_record(LOG_ERR, error, NULL, __VA_ARGS__)
#define log_warning_errno(error, ...) log_record(LOG_WARNING, error, NULL, __VA_ARGS__)
#define log_debug_errno(error, ...) log_record(LOG_DEBUG, error, NULL, __VA_ARGS__)
