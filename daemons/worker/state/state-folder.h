/* The folder of the worker's state, and how one state takes the place of another.
 *
 *     current        the state in use: database and images
 *     next           a state that a restore is building; or, for a moment, the one that was just replaced
 *     former-TIME    states that were replaced, kept until told otherwise
 *
 * A replacement: `next` is whole and durable; a marker is made in `current`, durably; the two names are exchanged in one
 * step (RENAME_EXCHANGE), durably; then `next`, which has the marker, is the former state and is renamed. After a crash at any
 * point the next start finds what to do by the marker alone: in `current` it is removed, since nothing was
 * exchanged; a `next` that has it is kept as a former state; a `next` without it was never in use and is removed. */
#pragma once

#include "base/macro.h"
#include "base/time.h"

typedef struct StateFolder StateFolder;

#define STATE_FORMER_NAME_MAX 64

/* Opens the folder, settles what a crash has left, and makes `current` if there is none. Negative errno. */
int state_folder_open(StateFolder **ret, const char *path);
StateFolder *state_folder_free(StateFolder *folder);
DEFINE_CLEANUP(StateFolder *, state_folder_free);

const char *state_folder_current(const StateFolder *folder);   /* paths; they live with the folder */
const char *state_folder_next(const StateFolder *folder);
int state_folder_open_current(const StateFolder *folder);      /* a new fd */

/* An empty `next`; what was there is removed, or kept as a former state if it was in use once. *ret_fd is a new fd. */
int state_folder_make_next(StateFolder *folder, int *ret_fd);
int state_folder_remove_next(StateFolder *folder);

/* Exchanges `current` and `next`, which the caller has made durable; and back again, when the new one proves bad or the
 * exchange has failed half way. */
int state_folder_exchange(StateFolder *folder);
int state_folder_exchange_back(StateFolder *folder);

/* The exchange stands: what is now `next` becomes former-TIME, whose name goes to *former. */
int state_folder_keep_former(StateFolder *folder, usec_t now, char former[static STATE_FORMER_NAME_MAX]);

/* Removes the former states; each name goes to `removed` when it has gone. */
int state_folder_discard_former(StateFolder *folder, void (*removed)(const char *name, void *userdata), void *userdata);
