/* What a webhook says of a job that has ended: its type and where the rest is to be had, so that nothing that is large or
 * private leaves by it. */
#pragma once

#include "store/job.h"

#define WEBHOOK_ID_MAX 160

/* The same at every attempt: by it a receiver knows what it has had. */
void webhook_id(const char *job, const char *endpoint, char ret[static WEBHOOK_ID_MAX]);

/* {"type": "job.completed", "timestamp": …, "data": …}. `base` (may be NULL: none) comes before links. NULL when memory is
 * short. */
char *webhook_payload(const Job *job, const char *base);
