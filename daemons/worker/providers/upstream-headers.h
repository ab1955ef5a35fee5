/* What an images API says in the headers of an answer about asking again: when, whether, and how much of its rates is
 * left. Pure. What can't be read counts as not said. */
#pragma once

#include "providers/provider.h"

#define UPSTREAM_NUMBER_BYTES_MAX 32                      /* of a number or a duration */
#define UPSTREAM_DURATION_MAX_USEC (24 * USEC_PER_HOUR)   /* what is longer counts as this */

typedef struct UpstreamHeaders {
        usec_t retry_after_ms, retry_after;  /* by the header's name; 0: not said */
        RetryHint hint;
        RateFacts requests, tokens;
} UpstreamHeaders;

/* `name` in lower case; others than those above are passed over. `now` is the wall clock, for HTTP dates. */
void upstream_headers_take(UpstreamHeaders *headers, const char *name, const char *value, usec_t now);

/* Into the result's fields of the same meaning. */
void upstream_headers_give(const UpstreamHeaders *headers, GenerationResult *result);
