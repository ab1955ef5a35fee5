/* How much somebody may do in a minute, by the generic cell rate algorithm (ITU-T I.371, annex A). Pure.
 *
 * A limit of N a minute takes N at once from one that has rested, and then one every 60 s / N: what is used comes back evenly,
 * and no moment is better than another. In any time t it admits N + N t / 60 s at most. All that is kept is one time: when
 * everything will have come back. */
#pragma once

#include <stdbool.h>

#include "base/time.h"

typedef struct RateClaim {
        unsigned per_minute;       /* 0: no limit */
        unsigned amount;           /* that is asked for */

        /* What came of it. */
        bool refused;
        unsigned remaining;        /* that would be taken at once after it */
        usec_t reset;              /* from now, until everything has come back */
        usec_t retry_after;        /* of a refused one, until it would be taken; USEC_INFINITY: it never is */
} RateClaim;

/* *full_at (realtime; 0: never used) is when everything has come back. A refused claim leaves it as it is. A clock that was set
 * back costs a minute at most. */
void rate_limit_claim(RateClaim *claim, usec_t *full_at, usec_t now);
