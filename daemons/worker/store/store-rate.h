/* What keys have used of their rates (key-rates.h): in the store, and written by the transaction that accepts what is asked
 * for, so that neither a restart nor a crash gives anything back, and nothing is used by what was not accepted. */
#pragma once

#include "keys/key-rates.h"
#include "store/store.h"

/* Takes all claims that have a limit, or, with STORE_OVER_RATE, none. */
int store_take_rates(Store *store, const char *key, RateClaim claims[static _RATE_KINDS], usec_t now);
