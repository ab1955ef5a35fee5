/* The worker's part of /metrics, without ever waking it: its text as last seen. */
#pragma once

#include <stdbool.h>

#include "base/macro.h"
#include "base/time.h"

#define WORKER_METRICS_BYTES_MAX (1024 * 1024)

typedef struct WorkerMetrics WorkerMetrics;

/* `folder` is where a file keeps the text when we exit; NULL: memory only. */
int worker_metrics_new(WorkerMetrics **ret, const char *folder);
WorkerMetrics *worker_metrics_free(WorkerMetrics *metrics);
DEFINE_CLEANUP(WorkerMetrics *, worker_metrics_free);

/* Whether the worker runs, so that asking it wakes nobody. Where no systemd says so, it is taken to run. */
bool worker_metrics_awake(void);

/* Takes a new text from the worker. */
int worker_metrics_update(WorkerMetrics *metrics, const char *text);

/* The text as last seen; where the worker sleeps, with no generation active, and at no cost once its day is over. */
const char *worker_metrics_text(const WorkerMetrics *metrics);
int worker_metrics_sleeping_text(const WorkerMetrics *metrics, usec_t now, char **ret);

/* Generations that the text calls active. */
double worker_metrics_active(const WorkerMetrics *metrics);

/* For tests: the folder of the unit beside ours, from the text of /proc/self/cgroup. False when that names no unit. */
bool worker_metrics_sibling(const char *cgroup, const char *unit, char *path, size_t size);
