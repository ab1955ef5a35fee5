/* What a request may cost at most, once the optimiser has made it cheaper where that is wanted. */
#pragma once

#include "keys/caller.h"
#include "manager.h"
#include "money/price-book.h"
#include "queue/request-translate.h"

/* What a client says of it by x-atelier-optimise. */
typedef enum OptimiseWish {
        OPTIMISE_UNSAID,
        OPTIMISE_ON,
        OPTIMISE_OFF,
} OptimiseWish;

typedef struct RequestPrice {
        micros_t ceiling;          /* that of the dearest model that may make it; 0: it costs nothing */
        micros_t saved;            /* by the optimiser's changes */
        int64_t gone;              /* of a request that must be served by the cache or not at all: the share of its
                                    * tightest budget, in millionths; 0: of any other */
} RequestPrice;

/* Prices the translated request. What the optimiser changes is changed in *translation, which tells of it in
 * `optimised`. PRICE_MISSING with the reason, -ERANGE, -EIO, -ENOMEM. */
int request_price(Manager *manager, const Caller *caller, OptimiseWish wish, Translation *translation,
                  RequestPrice *ret, Buffer *reason);
