/* Group commit: all writes of one turn of the loop share one transaction and one fsync.
 *
 * A write is applied at once, in the open transaction and in a savepoint of its own; its `done` is told after the
 * commit. The commit runs when the loop has nothing else at hand, never by a timer: one writer alone waits for one
 * fsync and nothing more, and what arrives during an fsync shares the next. A group that has COMMIT_GROUP_MAX writes, or
 * has been open for COMMIT_OPEN_USEC_MAX, goes before everything else: a stream of work cannot hold it open.
 *
 * A commit that fails for lack of space fails its writes and nothing else: nothing of them is in the file.
 *
 * One that fails otherwise leaves it unknown what reached the disk. The store is closed, and opened again at once and
 * then every second. Its writes are in doubt meanwhile and nobody is told anything of them: once the store is open,
 * each is settled (undone, or seen to stand), that is made durable, and only then `done` is called. So what was
 * refused never runs, even if the worker dies in between: who waited asks again and finds what is there. New writes
 * are refused with -EIO as long as the store is closed. */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"
#include "store/store.h"

#define COMMIT_GROUP_MAX 1024
#define COMMIT_OPEN_USEC_MAX (5 * USEC_PER_MSEC)

typedef struct CommitGroup CommitGroup;
typedef struct Write Write;

enum {
        WRITE_STANDS = 1,
};

/* Embedded in whatever is written. */
struct Write {
        /* Returns what the store says; an outcome other than 0 (negative or positive) undoes this write alone and
         * goes to `done`, together with the others, after the commit. */
        int (*apply)(Write *write, Store *store);

        /* A commit with this write failed and it may stand or not. 0: it does not, or not any more, and `done` gets
         * the error of the commit; WRITE_STANDS: `done` gets 0; negative: the store fails again. NULL: 0. The last
         * write of a group comes first. */
        int (*settle)(Write *write, Store *store);

        /* -ECANCELED: the group was freed with the write in doubt; nobody may be told anything. */
        void (*done)(Write *write, int result);

        int result;
        bool stands;  /* what settle() said */
        Write *next;
};

typedef struct CommitGroupHooks {
        void (*committed)(size_t writes, void *userdata);  /* so many shared one commit that succeeded */
        void (*failed)(int error, void *userdata);         /* the store was closed */
        void (*reopened)(void *userdata);                  /* and is open again, and every doubt settled */
} CommitGroupHooks;

int commit_group_new(CommitGroup **ret, sd_event *event, const char *path, const CommitGroupHooks *hooks,
                     void *userdata);
CommitGroup *commit_group_free(CommitGroup *group);  /* commits what is open */
DEFINE_CLEANUP(CommitGroup *, commit_group_free);

/* Never fails: errors go to `done`, later, never from here. */
void commit_group_add(CommitGroup *group, Write *write);

/* Puts another file in the place of the store's, between two groups: what is open is committed and told, the store is
 * closed, `replace` is called, the store is opened from the same path. When either fails, `put_back` is called and what was there
 * is opened again (as after a failed commit, if even that fails); the error is returned. -EIO when the store is closed. */
int commit_group_replace(CommitGroup *group, int (*replace)(void *userdata), void (*put_back)(void *userdata),
                         void *userdata);

/* The store, for reading; reads see the writes of the open group. NULL while it is closed after a failure. */
Store *commit_group_store(CommitGroup *group);
