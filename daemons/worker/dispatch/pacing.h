/* So many images a minute and no more, in any minute. Pure: the clock is handed in.
 *
 * OpenAI states limits in images per minute and does not say how the minute is counted; its messages ("try again in
 * 12s" at five a minute) speak of a bucket that fills steadily. A sliding minute satisfies both: who never sends more
 * than the limit in any 60 seconds is within a bucket of that size as well. Where one bucket is kept on both sides, a
 * delay on the way suffices for a refusal.
 *
 * Time is counted in slots. A slot leaves the minute with its last moment, so the limit is kept to the moment, and up
 * to one slot in PACING_SLOTS of the rate is given away. */
#pragma once

#include "base/macro.h"
#include "base/time.h"

#define PACING_SLOTS 240
#define PACING_SLOT_USEC (USEC_PER_MINUTE / PACING_SLOTS)

/* All zero is without a limit. */
typedef struct Pacing {
        uint64_t images_per_minute;          /* 0: as many as come; what is taken counts once there is a limit */
        struct {
                uint64_t number;             /* since the clock began */
                uint64_t images;
        } slots[PACING_SLOTS + 1];
} Pacing;

/* 0: a request for so many images may begin at `now` (monotonic); else when it may, if nothing begins before. One that
 * is larger than the limit may begin when the minute is empty. */
usec_t pacing_wait(const Pacing *pacing, uint64_t images, usec_t now);

/* It begins. */
void pacing_take(Pacing *pacing, uint64_t images, usec_t now);
