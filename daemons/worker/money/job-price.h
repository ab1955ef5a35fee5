/* A job's price: at most before it is made, and what was charged once its images are there. Pure. */
#pragma once

#include "money/price-book.h"
#include "store/job.h"

/* What one job can be settled at; a provider that reports more is not believed. */
#define SETTLEMENT_MAX (1000000 * MICROS_PER_DOLLAR)

/* The ceiling of a request as the model would be asked. PRICE_MISSING with the reason, -ERANGE, -ENOMEM. */
int job_price_ceiling(const PriceBook *prices, const ModelConf *model, const GenerationRequest *request, usec_t now,
                      micros_t *ret, Buffer *reason);

/* Sets the cost of the job's last attempt, the items that it is the sum of (rounded up once), and a note where it is
 * not by the price book: what the provider says that it charged, otherwise its count of tokens, otherwise by image in the
 * size and quality that came.
 * Where neither tells, it is what was reserved: too much rather than too little. `model` NULL: it is not configured
 * any more. -ENOMEM. */
int job_price_settle(const PriceBook *prices, const ModelConf *model, const GenerationRequest *request, Job *job);

/* By how much the last attempt came to more than was reserved for it: the price book is behind. At most 0: it did not. */
micros_t job_price_drift(const Job *job);
