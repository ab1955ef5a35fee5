/* The rates of a key: what is counted in a minute, and how that is told. */
#pragma once

#include "base/json.h"
#include "base/rate-limit.h"

/* The numbers stand in the database. */
typedef enum RateKind {
        RATE_REQUESTS = 0,
        RATE_IMAGES = 1,
        _RATE_KINDS,
} RateKind;

const char *rate_kind_name(RateKind kind);   /* "requests", "images" */

/* [io.atelier.Queue.Rate] of those that have a limit; NULL when memory is short. */
JsonValue *rate_claims_to_json(const RateClaim claims[static _RATE_KINDS]);
