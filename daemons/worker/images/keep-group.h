/* Images made durable in groups, as commits are: while one group is being synced the next gathers, and nothing waits by
 * a timer. On a file system that journals little, an fsync costs much the same for one file as for a hundred. */
#pragma once

#include "images/image-store.h"
#include "io/thread-pool.h"

typedef struct KeepGroup KeepGroup;
typedef struct Keep Keep;

/* Embedded in whatever waits for its images. `done` gets 0 once all of them are durable, or what went wrong first. */
struct Keep {
        TemporaryImage *const *images;
        size_t n_images;
        void (*done)(Keep *keep, int result);
        Keep *next;
};

int keep_group_new(KeepGroup **ret, sd_event *event, ThreadPool *threads, ImageStore *images);
KeepGroup *keep_group_free(KeepGroup *group);  /* after the threads; what still waits gets -ECANCELED */
DEFINE_CLEANUP(KeepGroup *, keep_group_free);

void keep_group_add(KeepGroup *group, Keep *keep);
