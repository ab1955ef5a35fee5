/* A few helper threads for what would block the loop: image fsync, drawing, hashing of whole files.
 *
 * A task's `work` runs in a helper and touches nothing but its own data; `done` runs on the loop afterwards. */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"

typedef struct ThreadPool ThreadPool;

typedef int (*ThreadWork)(void *task);                 /* in a helper thread; its result goes to `done` */
typedef void (*ThreadDone)(void *task, int result);    /* on the loop */

/* Threads are started with the first tasks, up to n_threads, and end with the pool. */
int thread_pool_new(ThreadPool **ret, sd_event *event, const char *description, unsigned n_threads);

/* Waits for what is running; tasks that have not begun get `done` with -ECANCELED. */
ThreadPool *thread_pool_free(ThreadPool *pool);
DEFINE_CLEANUP(ThreadPool *, thread_pool_free);

int thread_pool_run(ThreadPool *pool, ThreadWork work, ThreadDone done, void *task);
size_t thread_pool_pending(const ThreadPool *pool);
