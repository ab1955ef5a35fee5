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
                .input_images = request->n_uploads,
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

static JsonValue *item_to_json(const PriceItem *item) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "what", item->what);
        if (r >= 0 && *item->size)
                r = json_add_string(value, "size", item->size);
        if (r >= 0 && *item->quality)
                r = json_add_string(value, "quality", item->quality);
        if (r >= 0)
                r = json_add_integer(value, "count", (int64_t) item->count);
        if (r >= 0)
                r = json_add_integer(value, "price_micros", item->amount);
        if (r >= 0)
                r = json_add_integer(value, "per", (int64_t) item->per);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int set_items(Attempt *attempt, const PriceItem *items, size_t n) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();
        int r = array ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = json_append(array, item_to_json(&items[i]));
        if (r >= 0) {
                (void) json_free(attempt->cost_items);
                attempt->cost_items = TAKE_PTR(array);
        }
        return r;
}

static int settle_at_ceiling(Job *job, Attempt *attempt, const char *why) {
        const PriceItem reserved = {
                .what = "reservation",
                .count = 1,
                .amount = job->cost_before.reserved,
                .per = 1,
        };

        attempt->cost = job->cost_before.reserved;
        if (set_items(attempt, &reserved, 1) < 0)
                return -ENOMEM;
        attempt->cost_note = text_format("booked as reserved: %s", why);
        return attempt->cost_note ? 0 : -ENOMEM;
}

/* What the provider says that it charged is what it charged. */
static int settle_as_told(Attempt *attempt) {
        const PriceItem told = { .what = "told", .count = 1, .amount = attempt->cost, .per = 1 };

        if (set_items(attempt, &told, 1) < 0)
                return -ENOMEM;
        attempt->cost_note = text_format("as the provider told");
        return attempt->cost_note ? 0 : -ENOMEM;
}

static int settle(const PriceBook *prices, const ModelConf *model, const GenerationRequest *request, Job *job) {
        Attempt *attempt = &job->attempts[job->n_attempts - 1];
        _cleanup_(buffer_done) Buffer reason = {};
        PriceItem items[PRICE_ITEMS_MAX];
        TokenUsage usage;
        PricedRequest priced;
        bool counted;
        size_t n;
        int r;

        if (attempt->cost_told && attempt->cost <= SETTLEMENT_MAX)
                return settle_as_told(attempt);
        if (attempt->cost_told)
                return settle_at_ceiling(job, attempt, "the provider reports more than can be believed");
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
        if (r == 0)
                r = price_book_itemise(prices, &priced, counted ? &usage : NULL, attempt->started_at, items, &n, &reason);
        return r != 0 ? r : set_items(attempt, items, n);
}

/* The note tells of it where the ledger is read. */
static int note_drift(Attempt *attempt, micros_t drift) {
        char text[MONEY_TEXT_MAX];
        char *note;

        note = text_format("%s%s%s above its reservation", attempt->cost_note ?: "", attempt->cost_note ? ", " : "",
                           money_format(drift, text));
        if (!note)
                return -ENOMEM;
        free(attempt->cost_note);
        attempt->cost_note = note;
        return 0;
}

int job_price_settle(const PriceBook *prices, const ModelConf *model, const GenerationRequest *request, Job *job) {
        Attempt *attempt = &job->attempts[job->n_attempts - 1];
        int r;

        r = settle(prices, model, request, job);
        return r < 0 || job_price_drift(job) <= 0 ? r : note_drift(attempt, job_price_drift(job));
}

micros_t job_price_drift(const Job *job) {
        return job->attempts[job->n_attempts - 1].cost - job->cost_before.reserved;
}
