/* Group commit: all writes of one turn of the loop share one transaction and one fsync.
 *
 * A write is applied at once, in the open transaction and in a savepoint of its own; its `done` is told after the
 * commit. The commit runs when the loop has nothing else at hand, never by a timer: one writer alone waits for one
 * fsync and nothing more, and what arrives during an fsync shares the next. A group that reaches COMMIT_GROUP_MAX is
 * committed on the spot, so that a stream of work cannot hold it open.
 *
 * A commit that fails for lack of space fails its writes and nothing else. One that fails otherwise leaves it
 * unknown what reached the disk: the store is closed and opened again, writes are refused with -EIO until that has
 * worked, and then `reopened` is called to set right what was refused. */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "store.h"

#define COMMIT_GROUP_MAX 1024

typedef struct CommitGroup CommitGroup;
typedef struct Write Write;

/* Embedded in whatever is written. `apply` returns what the store says; an outcome other than 0 (negative or
 * positive) undoes this write alone and goes to `done`, together with the others, after the commit. */
struct Write {
        int (*apply)(Write *write, Store *store);
        void (*done)(Write *write, int result);
        int result;
        Write *next;
};

typedef struct CommitGroupHooks {
        void (*committed)(size_t writes, void *userdata);  /* so many shared one commit that succeeded */
        void (*failed)(int error, void *userdata);    /* the store was closed */
        void (*reopened)(void *userdata);
} CommitGroupHooks;

int commit_group_new(CommitGroup **ret, sd_event *event, const char *path, const CommitGroupHooks *hooks,
                     void *userdata);
CommitGroup *commit_group_free(CommitGroup *group);  /* commits what is open */
DEFINE_CLEANUP(CommitGroup *, commit_group_free);

/* Never fails: errors go to `done`, later. */
void commit_group_add(CommitGroup *group, Write *write);

/* The store, for reading; reads see the writes of the open group. NULL while it is closed after a failure. */
Store *commit_group_store(CommitGroup *group);
