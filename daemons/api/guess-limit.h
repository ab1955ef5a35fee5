/* How often clients may show keys that are refused.
 *
 * Each address has a rate (base/rate-limit.h) of refusals; an address of IPv6 counts with all of its /64, which is what one
 * customer has. Whoever has used it up is refused unasked, but for tokens that were good a little while ago: so an
 * application goes on whose neighbour behind the same address has an old key. All is in memory and forgotten at an
 * exit, which comes only when nobody has been connected for a while. */
#pragma once

#include <stdbool.h>

#include "base/macro.h"
#include "base/time.h"

#define GUESS_ADDRESSES_MAX 4096      /* with more, the one that is nearest to be free again is forgotten */
#define GUESS_TOKENS_MAX 1024         /* that were good; with more, all are forgotten */
#define GUESS_TOKEN_USEC (10 * USEC_PER_MINUTE)

typedef struct GuessLimit GuessLimit;

int guess_limit_new(GuessLimit **ret);
GuessLimit *guess_limit_free(GuessLimit *limit);
DEFINE_CLEANUP(GuessLimit *, guess_limit_free);

/* Whether a request with this token (NULL: without) may be asked about; else *ret_retry is how long from now it is to wait.
 * `per_minute` 0: it always may. */
bool guess_limit_admits(const GuessLimit *limit, const char *address, const char *token, unsigned per_minute, usec_t now,
                        usec_t *ret_retry);

/* Whether the token was good within GUESS_TOKEN_USEC. NULL never was. */
bool guess_limit_knows(const GuessLimit *limit, const char *token, usec_t now);

/* It was refused, or good. Times are monotonic. */
void guess_limit_refused(GuessLimit *limit, const char *address, unsigned per_minute, usec_t now);
void guess_limit_good(GuessLimit *limit, const char *token, usec_t now);
