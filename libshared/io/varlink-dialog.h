/* A Varlink client without a loop, for command-line programs and helper threads: one connection, calls one after
 * another, descriptors in both directions. Used by one thread at a time, but for varlink_dialog_interrupt(). */
#pragma once

#include "base/json.h"
#include "base/macro.h"
#include "base/time.h"
#include "io/varlink.h"

typedef struct VarlinkDialog VarlinkDialog;

/* One reply. `error` is NULL or the qualified name; `parameters` is never NULL. `fds` are closed by
 * varlink_answer_done() unless taken (TAKE_FD(answer.fds[i])). */
typedef struct VarlinkAnswer {
        char *error;
        JsonValue *parameters;
        bool continues;
        int fds[VARLINK_FDS_MAX];
        size_t n_fds;
} VarlinkAnswer;

void varlink_answer_done(VarlinkAnswer *answer);

/* Connects; a full backlog is tried again until `timeout` is over. -ENOENT, -ECONNREFUSED, -EACCES, -ETIMEDOUT, … */
int varlink_dialog_open(VarlinkDialog **ret, const char *path, usec_t timeout);
VarlinkDialog *varlink_dialog_free(VarlinkDialog *dialog);
DEFINE_CLEANUP(VarlinkDialog *, varlink_dialog_free);

/* A duplicate travels with the next call; -E2BIG past VARLINK_FDS_MAX. */
int varlink_dialog_push_fd(VarlinkDialog *dialog, int fd);

/* Takes parameters over, also on failure (NULL = {}). -EBUSY while replies of the former call are outstanding. */
int varlink_dialog_send(VarlinkDialog *dialog, const char *method, JsonValue *parameters, bool more, usec_t timeout);

/* The next reply, whatever it is; *ret is to be given to varlink_answer_done() after a 0. -ETIMEDOUT (`timeout` may be
 * USEC_INFINITY), -ECONNRESET, -EBADMSG (no Varlink, or more replies than were asked for), -ECANCELED (interrupted). */
int varlink_dialog_receive(VarlinkDialog *dialog, usec_t timeout, VarlinkAnswer *ret);

/* Send and receive the only reply. */
int varlink_dialog_call(VarlinkDialog *dialog, const char *method, JsonValue *parameters, usec_t timeout,
                        VarlinkAnswer *ret);

/* From any thread, while the dialog lives: what blocks in it, and every later use, returns -ECANCELED. */
void varlink_dialog_interrupt(VarlinkDialog *dialog);
