/* When a webhook is tried again, as the specification of Standard Webhooks suggests. Pure. */
#pragma once

#include "base/time.h"

#define WEBHOOK_ATTEMPTS_MAX 10

/* The pause after so many attempts (from 1 on), more by up to a tenth as `chance` (0 to UINT32_MAX) has it; USEC_INFINITY:
 * it is given up. A receiver that names a pause itself is believed up to a day. */
usec_t webhook_pause(int64_t attempts, usec_t retry_after, uint32_t chance);
