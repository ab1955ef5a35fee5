#include "base/rate-limit.h"

#include "base/macro.h"

void rate_limit_claim(RateClaim *claim, usec_t *full_at, usec_t now) {
        /* Rounded up: rather one too few in a long time than one too many. */
        usec_t interval = (USEC_PER_MINUTE + claim->per_minute - 1) / claim->per_minute;
        usec_t depth = interval * claim->per_minute;
        usec_t left = *full_at > now ? *full_at - now : 0, used = MIN(left, depth), wanted = interval * claim->amount;

        claim->refused = used + wanted > depth;
        claim->retry_after = 0;
        if (claim->refused)
                claim->retry_after = wanted > depth ? USEC_INFINITY : used + wanted - depth;
        else
                used += wanted;
        claim->remaining = (unsigned) ((depth - used) / interval);
        claim->reset = used;
        if (!claim->refused)
                *full_at = now + used;
}
