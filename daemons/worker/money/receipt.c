#include "money/receipt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "io/varlink.h"
#include "store/store-receipt.h"

/* An answer ends early rather than become larger than a message may be. */
#define RECEIPTS_BYTES_MAX (VARLINK_MESSAGE_BYTES_MAX / 2)
#define RECEIPT_BYTES 65536     /* beside the request: entries, items, budgets, defects */

/* The image among those of the job. */
static const JobImage *find_image(const Job *job, const char *sha256) {
        for (size_t i = 0; i < job->n_images; i++)
                if (text_equal(job->images[i].facts.sha256, sha256))
                        return &job->images[i];
        return NULL;
}

/* The attempt that made the images. */
static const Attempt *find_attempt(const Job *job) {
        for (size_t i = job->n_attempts; i > 0; i--)
                if (job->attempts[i - 1].outcome == ATTEMPT_COMPLETED)
                        return &job->attempts[i - 1];
        return NULL;
}

/* Keys are never removed, and one that is of no key now was named by nobody. */
static int add_key(JsonValue *value, Store *store, const char *id) {
        ClientKey key;
        int r;

        if (!id)
                return 0;
        r = json_add_string(value, "key", id);
        if (r >= 0)
                r = store_get_key(store, id, &key);
        return r != 0 ? MIN(r, 0) : json_add_string(value, "key_name", key.name);
}

static int add_image(JsonValue *value, const Job *job, const char *sha256) {
        const JobImage *image = find_image(job, sha256);
        int r;

        if (!image)
                return -EUCLEAN;
        r = json_add_string(value, "format", image_format_name(image->facts.format));
        if (r >= 0)
                r = json_add_integer(value, "width", image->facts.width);
        if (r >= 0)
                r = json_add_integer(value, "height", image->facts.height);
        if (r >= 0)
                r = json_add_integer(value, "size_bytes", (int64_t) image->facts.size_bytes);
        return r < 0 ? r : json_add_integer(value, "images", (int64_t) job->n_images);
}

static int add_request(JsonValue *value, const Job *job) {
        const Attempt *attempt = find_attempt(job);
        int r;

        r = json_add_string(value, "model", job->model);
        if (r >= 0)
                r = json_add(value, "request", cJSON_CreateRaw(job->request));
        if (r >= 0 && job->asked)
                r = json_add(value, "asked", cJSON_CreateRaw(job->asked));
        if (r >= 0 && attempt)
                r = json_add_string(value, "provider", attempt->provider);
        if (r >= 0 && attempt)
                r = json_add_string(value, "provider_request_id", attempt->provider_request_id);
        return r;
}

static int add_entries(JsonValue *value, const ReceiptFacts *facts) {
        JsonValue *array = json_new_array();
        int r;

        r = json_add(value, "entries", array);
        for (size_t i = 0; r >= 0 && i < facts->n_entries; i++)
                r = json_append(array, ledger_entry_to_json(&facts->entries[i].entry, facts->entries[i].previous));
        return r;
}

/* Of the image, and of replies that no image could be taken from. */
static int add_defects(JsonValue *value, const char *sha256, const ReceiptFacts *facts) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();
        int r = array ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < facts->n_defects; i++)
                if (facts->defects[i].image == 0 || text_equal(facts->defects[i].sha256, sha256))
                        r = json_append(array, defect_to_json(&facts->defects[i]));
        if (r < 0 || !array->child)
                return r;
        return json_add(value, "defects", TAKE_PTR(array));
}

static int add_cost(JsonValue *value, const Job *job, ReceiptFacts *facts) {
        int r;

        r = json_add_integer(value, "charged_micros", job->cost.charged);
        if (r >= 0)
                r = json_add_integer(value, "unknown_micros", job->cost.unknown);
        if (r >= 0 && job->cost.day > 0)
                r = json_add_integer(value, "day", job->cost.day);
        if (r >= 0 && facts->items)
                r = json_add(value, "items", TAKE_PTR(facts->items));
        if (r >= 0 && facts->budgets)
                r = json_add(value, "budgets", TAKE_PTR(facts->budgets));
        return r < 0 ? r : add_entries(value, facts);
}

/* io.atelier.Ledger.Receipt */
static int receipt_new(JsonValue **ret, Store *store, const Job *job, const char *sha256, ReceiptFacts *facts) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "job", job->id);
        if (r >= 0)
                r = add_key(value, store, job->key);
        if (r >= 0)
                r = json_add_integer(value, "created_at", (int64_t) job->created_at);
        if (r >= 0)
                r = json_add_integer(value, "ended_at", (int64_t) job->ended_at);
        if (r >= 0)
                r = add_image(value, job, sha256);
        if (r >= 0)
                r = add_request(value, job);
        if (r >= 0)
                r = add_cost(value, job, facts);
        if (r >= 0)
                r = add_defects(value, sha256, facts);
        if (r >= 0)
                *ret = TAKE_PTR(value);
        return r;
}

static int append_receipt(JsonValue *array, Store *store, const Job *job, const char *sha256) {
        JsonValue *value = NULL;
        ReceiptFacts facts;
        int r;

        r = store_receipt_read(store, job, &facts);
        if (r >= 0)
                r = receipt_new(&value, store, job, sha256, &facts);
        receipt_facts_done(&facts);
        return r < 0 ? r : json_append(array, value);
}

static size_t count_that_fits(Job *const *jobs, size_t count) {
        size_t fits = 0, bytes = 0;

        for (; fits < MIN(count, (size_t) RECEIPTS_MAX); fits++) {
                bytes += strlen(jobs[fits]->request) + RECEIPT_BYTES;
                if (fits > 0 && bytes > RECEIPTS_BYTES_MAX)
                        break;
        }
        return fits;
}

static int reply_jobs(VarlinkCall *call, Store *store, Job *const *jobs, size_t count, const char *sha256) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        size_t shown = count_that_fits(jobs, count);
        JsonValue *array = json_new_array();
        int r;

        r = json_add(reply, "receipts", array);
        for (size_t i = 0; r >= 0 && i < shown; i++)
                r = append_receipt(array, store, jobs[i], sha256);
        if (r >= 0)
                r = json_add_bool(reply, "has_more", count > shown);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int not_found(VarlinkCall *call, const char *sha256) {
        JsonValue *parameters = json_new_object();
        int r = json_add_string(parameters, "sha256", sha256);

        if (r < 0) {
                (void) json_free(parameters);
                return r;
        }
        return varlink_call_error(call, "io.atelier.Ledger.ImageNotFound", parameters);
}

/* One more than is shown tells whether there are more. */
int receipts_reply(VarlinkCall *call, Store *store, const Caller *caller, const char *sha256) {
        Job **jobs;
        size_t count;
        int r;

        if (!sha256_text_valid(sha256))
                return not_found(call, sha256);
        r = store_receipt_jobs(store, sha256, *caller->key ? caller->key : NULL, RECEIPTS_MAX + 1, &jobs, &count);
        if (r < 0)
                return r;
        r = count > 0 ? reply_jobs(call, store, jobs, count, sha256) : not_found(call, sha256);
        for (size_t i = 0; i < count; i++)
                (void) job_free(jobs[i]);
        free(jobs);
        return r;
}
