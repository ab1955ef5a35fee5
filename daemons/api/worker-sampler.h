/* Reads the worker's metrics again after work, so that what is kept is right when the worker goes to sleep. */
#pragma once

#include <systemd/sd-event.h>

#include "worker-client.h"
#include "worker-metrics.h"

typedef struct WorkerSampler WorkerSampler;

/* `worker` and `metrics` outlive the sampler. */
int worker_sampler_new(WorkerSampler **ret, sd_event *event, WorkerClient *worker, WorkerMetrics *metrics);
WorkerSampler *worker_sampler_free(WorkerSampler *sampler);
DEFINE_CLEANUP(WorkerSampler *, worker_sampler_free);

/* The worker has worked; cheap. */
void worker_sampler_touch(WorkerSampler *sampler);
