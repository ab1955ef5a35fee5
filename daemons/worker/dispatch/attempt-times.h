/* How long attempts take: the mean of the last that made their images, by provider and model. Pure.
 *
 * It lives in memory: after a start nothing is known until the first attempt has ended, and nothing is guessed. */
#pragma once

#include "base/macro.h"
#include "base/time.h"

#define ATTEMPT_TIMES_KEPT 32  /* of each provider and model */

typedef struct AttemptTimes AttemptTimes;

int attempt_times_new(AttemptTimes **ret);
AttemptTimes *attempt_times_free(AttemptTimes *times);
DEFINE_CLEANUP(AttemptTimes *, attempt_times_free);

/* One took so long; one that seems to have ended before it began (the clock was set back) counts for nothing. */
int attempt_times_add(AttemptTimes *times, const char *provider, const char *model, usec_t started_at,
                      usec_t ended_at);

/* 0: none has ended yet. */
usec_t attempt_times_mean(const AttemptTimes *times, const char *provider, const char *model);
