#include "money/job-price.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "money/token-usage.h"

static PricedRequest priced_request(const ModelConf *model, const GenerationRequest *request) {
        return (PricedRequest) {
                .provider = model->provider,
                .model = request->model,
                .size = request->size,
                .quality = request->quality,
                .n = request->n,
                .partial_images = request->partial_images,
                .prompt_bytes = strlen(request->prompt),
        };
}

int job_price_ceiling(const PriceBook *prices, const ModelConf *model, const GenerationRequest *request, usec_t now,
                      micros_t *ret, Buffer *reason) {
        PricedRequest priced = priced_request(model, request);

        return price_book_quote(prices, &priced, now, ret, reason);
}

/* What the provider made of "auto", where its reply says so. */
static const char *as_made(const char *asked, const Job *job, const char *member) {
        if (asked && !text_equal(asked, "auto"))
                return asked;
        return json_get_string(job->reply, member) ?: asked;
}

static int settle_at_ceiling(Job *job, Attempt *attempt, const char *why) {
        attempt->cost = job->cost_before.reserved;
        attempt->cost_note = text_format("booked as reserved: %s", why);
        return attempt->cost_note ? 0 : -ENOMEM;
}

int job_price_settle(const PriceBook *prices, const ModelConf *model, const GenerationRequest *request, Job *job) {
        Attempt *attempt = &job->attempts[job->n_attempts - 1];
        _cleanup_(buffer_done) Buffer reason = {};
        TokenUsage usage;
        PricedRequest priced;
        bool counted;
        int r;

        if (!model)
                return settle_at_ceiling(job, attempt, "the model is not configured any more");
        priced = priced_request(model, request);
        priced.n = job->n_images;
        priced.size = as_made(request->size, job, "size");
        priced.quality = as_made(request->quality, job, "quality");
        counted = token_usage_parse(job->usage, &usage) == 0;
        r = price_book_settle(prices, &priced, counted ? &usage : NULL, attempt->started_at, &attempt->cost, &reason);
        if (r == -ERANGE || (r == 0 && attempt->cost > SETTLEMENT_MAX))
                return settle_at_ceiling(job, attempt, "the provider reports more than can be believed");
        if (r == PRICE_MISSING)
                return settle_at_ceiling(job, attempt, "prices.conf has no price any more");
        return r;
}
