/* The rates of the key that a submission comes with. */
#pragma once

#include "keys/caller.h"
#include "keys/key-rates.h"

/* What has a limit for the caller: its key's own, else that of everybody's. Nothing has for who shows none. */
void request_rates_find(const Manager *manager, const Caller *caller, RateClaim ret[static _RATE_KINDS]);

/* In the transaction that accepts it, with what it asks for: the key is used. STORE_OVER_RATE. */
int request_rates_take(Store *store, const char *key, RateClaim claims[static _RATE_KINDS], unsigned images);

/* 429 rate_limit_exceeded. */
int request_rates_refuse(VarlinkCall *call, const RateClaim claims[static _RATE_KINDS]);
