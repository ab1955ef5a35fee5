/* What a provider says of its own rates, for one model: how many requests remain, and when nothing more is to be sent.
 * Pure: the clock is handed in.
 *
 * x-ratelimit-remaining-requests and -reset-requests are taken for a bucket that has so many left and is full again
 * after the reset: it fills steadily, each attempt takes one. Tokens can't be foreseen, so they count when none is
 * left. A refusal for the rate (429) holds all of the model's jobs back for as long as it says, or for pauses that grow from
 * one refusal to the next. All of it is advice and wears off: after RATE_HOLD_MAX_USEC at most somebody asks again. */
#pragma once

#include "base/macro.h"
#include "providers/provider.h"

#define RATE_HOLD_MAX_USEC (120 * USEC_PER_SEC)

/* All zero: nothing was said. Times are monotonic. */
typedef struct RateWindow {
        int64_t left;            /* requests, at told_at, less those that have begun since */
        usec_t told_at, full_at, interval;
        usec_t hold_until;
        unsigned refusals;       /* in a row */
} RateWindow;

typedef struct RateLimits {
        usec_t pause_min, pause_max;  /* after refusals that name no time */
} RateLimits;

/* 0: an attempt may begin; else when one may. */
usec_t rate_window_wait(const RateWindow *window, usec_t now);

/* An attempt begins. */
void rate_window_take(RateWindow *window);

/* An answer has come. */
void rate_window_tell(RateWindow *window, const RateLimits *limits, const GenerationResult *result, usec_t now);
