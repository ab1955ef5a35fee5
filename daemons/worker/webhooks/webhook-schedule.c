#include "webhooks/webhook-schedule.h"

#include "base/macro.h"

/* Together about three days: who is away over a weekend still hears of it. */
static const usec_t pauses[] = {
        5 * USEC_PER_SEC,  5 * USEC_PER_MINUTE, 30 * USEC_PER_MINUTE, 2 * USEC_PER_HOUR,  5 * USEC_PER_HOUR,
        10 * USEC_PER_HOUR, 14 * USEC_PER_HOUR, 20 * USEC_PER_HOUR,   24 * USEC_PER_HOUR,
};

_Static_assert(ELEMENTS(pauses) == WEBHOOK_ATTEMPTS_MAX - 1, "between attempts are pauses");

usec_t webhook_pause(int64_t attempts, usec_t retry_after, uint32_t chance) {
        usec_t pause;

        if (attempts < 1 || attempts >= WEBHOOK_ATTEMPTS_MAX)
                return USEC_INFINITY;
        pause = pauses[attempts - 1];
        retry_after = MIN(retry_after, USEC_PER_DAY);
        pause += (usec_t) ((double) pause / 10 * ((double) chance / UINT32_MAX));
        return MAX(pause, retry_after);
}
