/* SubmitBatch: each item is checked, translated and priced as a request of its own is, and all are stored in one
 * transaction, each with its reservation; or none is. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/calendar.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "money/budget-wait.h"
#include "money/spending.h"
#include "queue/batch-request.h"
#include "queue/request-check.h"
#include "queue/request-rate.h"
#include "webhooks/webhooks.h"

typedef struct BatchSubmission {
        BatchRequest base;
        VarlinkCall *call;           /* while it is prepared */
        Batch *submitted;
        BatchItem *items;
        RequestPrice *prices;        /* of the items */
        unsigned *n_images;          /* the same: that they ask for */
        RateClaim rates[_RATE_KINDS];
        size_t n_items, fits;
        bool inserted;
} BatchSubmission;

static BatchSubmission *submission_of(Write *write) {
        return CONTAINER_OF(batch_request_of(write), BatchSubmission, base);
}

static BatchSubmission *batch_submission_free(BatchSubmission *submission) {
        if (!submission)
                return NULL;
        (void) batch_free(submission->submitted);
        batch_items_free(submission->items, submission->n_items);
        free(submission->prices);
        free(submission->n_images);
        batch_request_done(&submission->base);
        queue_request_free(&submission->base.request);
        return NULL;
}
DEFINE_CLEANUP(BatchSubmission *, batch_submission_free);

/* ------------------------------------------------------------------ in the transaction */

/* A budget that is met may pause all spending, whether what met it waits or not. */
static void pause_if_met(const BatchSubmission *submission) {
        Spending *spending = submission->base.request.queue->manager->spending;

        for (size_t i = 0; i < submission->n_items; i++)
                if (submission->items[i].job->awaits_budget) {
                        free(spending_refused(spending, &submission->items[i].verdict, submission->prices[i].ceiling));
                        return;
                }
}

/* A batch is one request, of as many images as the cache does not have. */
static int submit_within_rates(Store *store, void *userdata) {
        BatchSubmission *submission = userdata;
        unsigned images = 0;
        int r;

        r = store_submit_batch(store, submission->submitted, submission->items, submission->n_items, &submission->fits);
        for (size_t i = 0; i < submission->n_items && r == 0; i++) {
                const Job *job = submission->items[i].job;

                images += job->status == JOB_QUEUED && !job->cache.follows ? submission->n_images[i] : 0;
        }
        return r != 0 ? r : request_rates_take(store, submission->submitted->key, submission->rates, images);
}

static int apply_submission(Write *write, Store *store) {
        BatchSubmission *submission = submission_of(write);
        int r;

        r = store_run_in_savepoint(store, submit_within_rates, submission);
        submission->inserted = r == 0;
        if (r == 0) {
                pause_if_met(submission);
                queue_hold_uncommitted(submission->base.request.queue, (int64_t) submission->n_items);
        }
        if (r != 0 && r != STORE_EXISTS)
                return r;
        (void) strcpy(submission->base.id, submission->submitted->id);
        return batch_request_read(&submission->base, store);
}

/* It was one transaction: if the batch is there all of it is, and it is good; else nothing is. */
static int settle_submission(Write *write, Store *store) {
        BatchSubmission *submission = submission_of(write);
        int r;

        if (!submission->inserted)
                return 0;
        r = batch_request_read(&submission->base, store);
        return r < 0 ? r : r == 0 ? WRITE_STANDS : 0;
}

static void count_accepted(BatchSubmission *submission) {
        Manager *manager = submission->base.request.queue->manager;
        int64_t waiting = 0, following = 0;

        for (size_t i = 0; i < submission->n_items; i++) {
                const Job *job = submission->items[i].job;

                if (job->cache.follows)
                        following++;
                else if (!job_status_ended(job->status)) {
                        waiting += !job->awaits_budget;
                        queue_count_saved(manager->metrics, job->model, submission->prices[i].saved);
                }
                queue_count_cache_use(manager->metrics, job);
        }
        if (following > 0)
                dispatcher_add_following(manager->dispatcher, following);
        if (waiting > 0)
                dispatcher_add_waiting(manager->dispatcher, waiting);
        budget_wait_recount(manager->budget_wait);
}

static int refuse_over_budget(BatchSubmission *submission, VarlinkCall *call) {
        const BatchItem *item = &submission->items[submission->fits];
        Manager *manager = submission->base.request.queue->manager;
        _cleanup_free_ char *reason = NULL, *message = NULL;

        if (submission->prices[submission->fits].gone > 0)
                reason = strdup("Of what the cache does not have nothing is served now (worker.optimise).");
        else
                reason = spending_refused(manager->spending, &item->verdict, item->job->cost_before.reserved);
        if (reason)
                message = text_format("Of the batch's %zu items only the first %zu fit, and nothing was accepted. %s",
                                      submission->n_items, submission->fits, reason);
        return message ? queue_refuse_text(call, 429, "insufficient_quota", "budget_exceeded", message) : -ENOMEM;
}

static int refuse(BatchSubmission *submission, VarlinkCall *call, int result) {
        if (result == STORE_OVER_BUDGET)
                return refuse_over_budget(submission, call);
        if (result == STORE_OVER_RATE)
                return request_rates_refuse(call, submission->rates);
        if (result == STORE_KEY_REUSED)
                return queue_refuse_text(call, 409, "invalid_request_error", "idempotency_key_reused",
                                         "Another batch came with this Idempotency-Key before; a new batch needs a "
                                         "key of its own.");
        return batch_reply_result(call, submission->base.id, result);
}

static void on_submitted(Write *write, int result) {
        BatchSubmission *submission = submission_of(write);
        VarlinkCall *call;

        if (submission->inserted) {
                if (result == 0)
                        count_accepted(submission);
                queue_release_uncommitted(submission->base.request.queue, (int64_t) submission->n_items);
        }
        if (result == 0 && submission->inserted)
                submission->base.rates = submission->rates;
        if (result == 0)
                batch_request_answer(&submission->base, 0);
        else if ((call = queue_request_take_call(&submission->base.request)))
                queue_log_unanswered(refuse(submission, call, result), submission->base.id);
        (void) batch_submission_free(submission);
}

/* ------------------------------------------------------------------ before it */

/* The failure of an item names it. */
static int refuse_item(VarlinkCall *call, size_t number, const Failure *failure) {
        _cleanup_free_ char *param = text_format("requests.%zu%s%s", number, failure->param ? "." : "",
                                                 failure->param ?: "");
        _cleanup_free_ char *message = text_format("Item %zu: %s", number, failure->message ?: "");
        Failure named = *failure;
        int r;

        if (!param || !message)
                return -ENOMEM;
        named.param = param;
        named.message = message;
        r = queue_refuse(call, &named);
        return r < 0 ? r : QUEUE_REFUSED;
}

static int price_item(BatchSubmission *submission, const SubmitTerms *terms, size_t i, Translation *translation) {
        _cleanup_(buffer_done) Buffer reason = {};
        _cleanup_free_ char *message = NULL;
        int r;

        r = request_price(submission->base.request.queue->manager, &submission->base.request.caller, terms->optimise,
                          translation, &submission->prices[i], &reason);
        if (r != PRICE_MISSING)
                return r;
        message = buffer_take_text(&reason);
        if (!message)
                return -ENOMEM;
        return refuse_item(submission->call, i + 1, &(Failure) {
                .status = 400,
                .type = (char *) "invalid_request_error",
                .code = (char *) "price_unknown",
                .message = message,
        });
}

/* The job of one item, and what its budgets are. */
static int make_job(BatchSubmission *submission, const SubmitTerms *terms, size_t i, const JsonValue *request,
                    const ModelConf *model, Translation *translation) {
        Manager *manager = submission->base.request.queue->manager;
        const Caller *caller = &submission->base.request.caller;
        BatchItem *item = &submission->items[i];
        micros_t ceiling = submission->prices[i].ceiling;
        char id[ID_TEXT_MAX];
        int r;

        r = queue_new_job(&item->job, caller, id_new(id), request, model, translation, ceiling);
        if (r < 0)
                return r;
        submission->n_images[i] = (unsigned) json_get_integer(translation->request, "n", 1);
        item->job->priority = terms->priority;
        item->may_wait = queue_settings(submission->base.request.queue)->worker.over_budget == OVER_BUDGET_HOLD;
        if (ceiling > 0) {
                spending_budget(manager->spending, item->job->model, item->job->key, item->job->cost_before.day,
                                &item->budget);
                item->budget.paused |= submission->prices[i].gone > 0;
        }
        r = picture_cache_terms(manager, translation, caller, terms->cache, &item->job->cache);
        if (r >= 0)
                r = webhooks_of_job(manager->webhooks, terms->webhook, &item->job->webhooks);
        if (r == -ENOENT) {
                r = queue_refuse_webhook(submission->call);
                return r < 0 ? r : QUEUE_REFUSED;
        }
        return r;
}

static int prepare_item(BatchSubmission *submission, const SubmitTerms *terms, size_t i, const JsonValue *entry) {
        Queue *queue = submission->base.request.queue;
        const JsonValue *request = json_get_object(entry, "request");
        _cleanup_(translation_done) Translation translation = {};
        _cleanup_(failure_done) Failure failure = {};
        const char *custom_id = json_get_string(entry, "custom_id");
        const Failure *missing;
        const ModelConf *model;
        int r;

        if (json_has(request, "uploads"))
                return refuse_item(submission->call, i + 1, &(Failure) {
                        .status = 400,
                        .type = (char *) "invalid_request_error",
                        .code = (char *) "unknown_parameter",
                        .param = (char *) "uploads",
                        .message = (char *) "A batch takes no uploads.",
                });
        submission->items[i].number = (int64_t) i + 1;
        if (custom_id && !(submission->items[i].custom_id = strdup(custom_id)))
                return -ENOMEM;
        r = request_check(queue_settings(queue), request, time_now_realtime(), &model, &failure);
        if (r == REQUEST_INVALID)
                return refuse_item(submission->call, i + 1, &failure);
        if (r < 0)
                return r;
        missing = queue_refuses_model(queue, &submission->base.request.caller, model);
        if (!missing)
                r = queue_judge_prompt(queue, request, &missing);
        if (r < 0)
                return r;
        if (missing)
                return refuse_item(submission->call, i + 1, missing);
        r = request_translate(queue_settings(queue), request, model, &translation);
        if (r == 0)
                r = price_item(submission, terms, i, &translation);
        if (r == 0)
                r = make_job(submission, terms, i, request, model, &translation);
        if (r == 0 && i == 0)
                submission->submitted->model = strdup(model->name);
        else if (r == 0 && !text_equal(submission->submitted->model, model->name)) {
                free(submission->submitted->model);
                submission->submitted->model = NULL;
        }
        return r;
}

static int prepare_batch(BatchSubmission *submission, const char *request_id, const BatchTerms *terms,
                         const JsonValue *items) {
        const char *key = submission->base.request.caller.key;
        _cleanup_free_ char *text = NULL;
        Batch *batch;

        batch = submission->submitted = calloc(1, sizeof(*batch));
        if (!batch)
                return -ENOMEM;
        (void) stpcpy(stpcpy(batch->id, BATCH_ID_PREFIX), request_id);
        batch->created_at = time_now_realtime();
        batch->n_items = (int64_t) submission->n_items;
        if (*key && !(batch->key = strdup(key)))
                return -ENOMEM;
        if (terms->metadata && !(batch->metadata = json_format(terms->metadata)))
                return -ENOMEM;
        if (!terms->idempotency_key)
                return 0;
        text = json_format(items);
        batch->idempotency.key = strdup(terms->idempotency_key);
        if (!text || !batch->idempotency.key)
                return -ENOMEM;
        return sha256_text(text, strlen(text), batch->idempotency.request);
}

static int refuse_batch(VarlinkCall *call, const char *code, const char *param, const char *message) {
        const Failure failure = {
                .status = 400,
                .type = (char *) "invalid_request_error",
                .code = (char *) code,
                .param = (char *) param,
                .message = (char *) message,
        };

        return queue_refuse(call, &failure);
}

/* OpenAI's limits. */
static bool metadata_fits(const JsonValue *metadata) {
        int members = 0;

        for (const JsonValue *member = metadata ? metadata->child : NULL; member; member = member->next)
                if (++members > BATCH_METADATA_MAX || !cJSON_IsString(member) ||
                    strlen(member->string) > BATCH_METADATA_NAME_BYTES_MAX ||
                    strlen(member->valuestring) > BATCH_METADATA_BYTES_MAX)
                        return false;
        return true;
}

/* Each tells one item of the batch from the others. */
static int check_custom_ids(const JsonValue *items, bool *ret) {
        _cleanup_(map_freep) Map *seen = NULL;
        const JsonValue *item;
        int r;

        *ret = false;
        r = map_new(&seen);
        if (r < 0)
                return r;
        cJSON_ArrayForEach(item, items) {
                const char *id = json_get_string(item, "custom_id");

                if (!id)
                        continue;
                if (!*id || strlen(id) > BATCH_CUSTOM_ID_BYTES_MAX)
                        return 0;
                r = map_put(seen, id, (void *) item);
                if (r < 0)
                        return r == -EEXIST ? 0 : r;
        }
        *ret = true;
        return 0;
}

static int check_items(VarlinkCall *call, const JsonValue *items, const JsonValue *metadata) {
        int count = cJSON_GetArraySize(items), r;
        bool fits;

        r = check_custom_ids(items, &fits);
        if (r < 0)
                return r;
        if (count < 1 || count > BATCH_ITEMS_MAX)
                r = refuse_batch(call, "invalid_batch_size", "requests", "A batch takes 1 to 1000 requests.");
        else if (!fits)
                r = refuse_batch(call, "invalid_custom_id", "requests",
                                 "A custom_id has 1 to 64 bytes, and no two requests of a batch have the same.");
        else if (!metadata_fits(metadata))
                r = refuse_batch(call, "invalid_metadata", "metadata",
                                 "metadata takes up to 16 strings of up to 512 bytes, with names of up to 64 bytes.");
        else
                return 0;
        return r < 0 ? r : QUEUE_REFUSED;
}

static int check_batch(Queue *queue, VarlinkCall *call, const char *request_id, const BatchTerms *terms,
                       const JsonValue *items) {
        int r;

        if (!id_valid(request_id))
                r = varlink_call_invalid_parameter(call, "request_id");
        else if (terms->idempotency_key && !queue_idempotency_key_valid(terms->idempotency_key))
                r = varlink_call_invalid_parameter(call, "idempotency_key");
        else if (terms->submit.priority == JOB_PRIORITY_INVALID)
                r = varlink_call_invalid_parameter(call, "priority");
        else if (service_stopping(queue->manager->service)) {
                varlink_call_abandon(call);
                r = 0;
        } else {
                r = check_items(call, items, terms->metadata);
                return r != 0 ? r : queue_check_room(queue, call, cJSON_GetArraySize(items));
        }
        return r < 0 ? r : QUEUE_REFUSED;
}

int queue_submit_batch(Queue *queue, VarlinkCall *call, const Caller *caller, const char *request_id,
                       const JsonValue *items, const BatchTerms *terms) {
        _cleanup_(batch_submission_freep) BatchSubmission *submission = NULL;
        const JsonValue *item;
        size_t i = 0;
        int r;

        r = check_batch(queue, call, request_id, terms, items);
        if (r != 0)
                return MIN(r, 0);
        submission = calloc(1, sizeof(*submission));
        if (!submission)
                return -ENOMEM;
        submission->base.request.queue = queue;
        submission->base.request.caller = *caller;
        submission->call = call;
        submission->n_items = (size_t) cJSON_GetArraySize(items);
        submission->items = calloc(submission->n_items, sizeof(*submission->items));
        submission->prices = calloc(submission->n_items, sizeof(*submission->prices));
        submission->n_images = calloc(submission->n_items, sizeof(*submission->n_images));
        request_rates_find(queue->manager, caller, submission->rates);
        if (!submission->items || !submission->prices || !submission->n_images)
                return -ENOMEM;
        r = prepare_batch(submission, request_id, terms, items);
        if (r < 0)
                return r;
        /* One that is refused answers the call, and with it the items have gone. */
        cJSON_ArrayForEach(item, items) {
                r = prepare_item(submission, &terms->submit, i++, item);
                if (r != 0)
                        return MIN(r, 0);
        }
        batch_request_init(&submission->base, queue, call, caller, submission->submitted->id, apply_submission,
                           on_submitted);
        submission->base.request.write.settle = settle_submission;
        commit_group_add(queue->manager->group, &TAKE_PTR(submission)->base.request.write);
        return 0;
}
