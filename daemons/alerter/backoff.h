/* How long to wait after so many failures in a row. */
#pragma once

#include "base/time.h"

/* Doubles with each failure from `least` to `most`, of which half is left to chance: what has failed together is not
 * tried again together. */
usec_t backoff_pause(usec_t least, usec_t most, int64_t failures);
