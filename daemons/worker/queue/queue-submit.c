#include "queue/queue-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/calendar.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "money/budget-wait.h"
#include "money/spending.h"
#include "queue/forbidden-terms.h"
#include "queue/picture-cache.h"
#include "queue/request-check.h"
#include "queue/request-price.h"
#include "queue/request-rate.h"
#include "queue/request-translate.h"
#include "store/store-budget-wait.h"
#include "webhooks/webhooks.h"

#define STORAGE_CHECK_USEC USEC_PER_SEC
#define REFUSAL_LOG_INTERVAL_USEC (10 * USEC_PER_SEC)

typedef struct Submission {
        QueueRequest request;        /* first: it is freed as this */
        RequestPrice price;
        Budget budget;
        BudgetVerdict verdict;
        RateClaim rates[_RATE_KINDS];
        bool took_rates;             /* it was not there before */
        unsigned n_images;           /* that it asks for */
        bool may_wait;
} Submission;

/* From its insertion on, the job keeps the daemon from exiting, even if its client goes at once. */
void queue_hold_uncommitted(Queue *queue, int64_t jobs) {
        queue->uncommitted += jobs;
        service_hold(queue->manager->service);
        dispatcher_look(queue->manager->dispatcher);
}

void queue_release_uncommitted(Queue *queue, int64_t jobs) {
        queue->uncommitted -= jobs;
        service_release(queue->manager->service);
}

/* With whom nobody waits, and for what there may be room some day. */
static bool may_wait(const Submission *submission) {
        return submission->may_wait && budget_may_have_room(&submission->verdict, submission->price.ceiling);
}

/* What the cache has costs no image of the rate. */
static int submit_within_rates(Store *store, void *userdata) {
        Submission *submission = userdata;
        Job *job = submission->request.job;
        int r;

        submission->verdict = (BudgetVerdict) {};
        submission->took_rates = false;
        r = store_submit(store, job, &submission->budget, &submission->verdict);
        if (r == STORE_OVER_BUDGET && may_wait(submission)) {
                /* A budget that is met may pause all spending, whether the job waits or not. */
                free(spending_refused(submission->request.queue->manager->spending, &submission->verdict,
                                      submission->price.ceiling));
                r = store_submit_waiting_for_budget(store, job, submission->price.ceiling);
        }
        if (r == 0)
                r = request_rates_take(store, job->key, submission->rates,
                                       job->status == JOB_QUEUED && !job->cache.follows ? submission->n_images : 0);
        submission->took_rates = r == 0;
        return r;
}

static int apply_submission(Write *write, Store *store) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        Submission *submission = CONTAINER_OF(request, Submission, request);
        int r;

        r = store_run_in_savepoint(store, submit_within_rates, submission);
        if (r == STORE_EXISTS) {
                /* Submitted again by an api whose worker went away, or by its client: it is the same job. */
                (void) strcpy(request->id, request->job->id);
                return queue_request_get_job(request, store);
        }
        if (r != 0)
                return r;
        request->followed = request->job->cache.follows;
        if (request->job->status == JOB_QUEUED) {
                request->inserted = true;
                queue_hold_uncommitted(request->queue, 1);
        }
        return 0;
}

/* It will be refused: should it have reached the disk all the same, it must not run. */
static int settle_submission(Write *write, Store *store) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        _cleanup_(job_freep) Job *job = NULL;
        int r;

        if (!request->inserted)
                return 0;
        r = store_get(store, request->id, &job);
        if (r != 0 || job->status != JOB_QUEUED)
                return MIN(r, 0);

        job->status = JOB_CANCELLED;
        job->ended_at = time_now_realtime();
        succession_done(&request->succession);
        r = store_end_queued(store, job);
        if (r == 0)
                r = picture_cache_succeed(request->queue->manager, store, job, job->cost_before.reserved, false,
                                          &request->succession);
        return MIN(r, 0);
}

/* Clients can bring this about as often as they like while the disk is full. */
static void log_refusal(Queue *queue, int error) {
        usec_t now = time_now_monotonic();

        if (queue->refusal_logged_at > 0 && now < queue->refusal_logged_at + REFUSAL_LOG_INTERVAL_USEC)
                return;
        queue->refusal_logged_at = now;
        (void) log_warning_errno(error, "submissions are refused");
}

static int refuse_over_budget(Submission *submission, VarlinkCall *call) {
        QueueRequest *request = &submission->request;
        _cleanup_free_ char *message = NULL;

        if (submission->price.gone > 0)
                message = text_format("%" PRIi64 " %% of a budget that the request counts against are gone: only what "
                                      "the cache has is served now (worker.optimise). It is not in the cache.",
                                      submission->price.gone / (MICROS_PER_DOLLAR / 100));
        else
                message = spending_refused(request->queue->manager->spending, &submission->verdict,
                                           request->job->cost_before.reserved);
        if (!call)
                return 0;
        if (!message)
                return varlink_call_error_errno(call, -ENOMEM);
        return queue_refuse_text(call, 429, "insufficient_quota", "budget_exceeded", message);
}

static int answer(Submission *submission, VarlinkCall *call, int result) {
        QueueRequest *request = &submission->request;

        if (result == STORE_OVER_BUDGET)
                return refuse_over_budget(submission, call);
        if (!call)
                return 0;
        if (result == STORE_OVER_RATE)
                return request_rates_refuse(call, submission->rates);
        if (result == STORE_KEY_REUSED)
                return queue_refuse_text(call, 409, "invalid_request_error", "idempotency_key_reused",
                                         "Another request came with this Idempotency-Key before; a new request needs a "
                                         "key of its own.");
        if (result != 0)
                return queue_reply_result(call, request->id, result);
        if (submission->took_rates && request->job->key)
                request->job->rates = rate_claims_to_json(submission->rates);
        return watchers_add(request->queue->manager->watchers, request->job, call, request->with_partials);
}

void queue_count_cache_use(Metrics *metrics, const Job *job) {
        if (!*job->cache.picture)
                return;
        metrics_add(metrics, METRIC_CACHE_REQUESTS, METRIC_VALUES(job_origin_name(job->cache.origin)), 1);
        if (job_status_ended(job->status))
                metrics_add(metrics, METRIC_JOBS_TOTAL, METRIC_VALUES(job_status_name(job->status)), 1);
}

void queue_count_saved(Metrics *metrics, const char *model, micros_t saved) {
        if (saved == 0)
                return;
        metrics_add(metrics, METRIC_OPTIMISED_TOTAL, METRIC_VALUES(model), 1);
        metrics_add(metrics, METRIC_OPTIMISED_SAVED, METRIC_VALUES(model),
                    (double) saved / (double) MICROS_PER_DOLLAR);
}

static void on_submitted(Write *write, int result) {
        QueueRequest *request = CONTAINER_OF(write, QueueRequest, write);
        VarlinkCall *call = queue_request_take_call(request);
        Queue *queue = request->queue;

        if (request->inserted) {
                if (result == 0 && request->followed)
                        dispatcher_add_following(queue->manager->dispatcher, 1);
                else if (result == 0 && request->job->awaits_budget)
                        budget_wait_recount(queue->manager->budget_wait);
                else if (result == 0)
                        dispatcher_add_waiting(queue->manager->dispatcher, 1);
                else
                        picture_cache_succeeded(queue->manager, &request->succession);
                queue_release_uncommitted(queue, 1);
        }
        if (result == 0)
                queue_count_cache_use(queue->manager->metrics, request->job);
        if (result == 0 && request->inserted && !request->followed)
                queue_count_saved(queue->manager->metrics, request->job->model,
                                  CONTAINER_OF(request, Submission, request)->price.saved);
        if (result < 0 && result != -ECANCELED)
                log_refusal(queue, result);
        queue_log_unanswered(answer(CONTAINER_OF(request, Submission, request), call, result), request->id);
        queue_request_free(request);
}

/* Checked at most once a second: it costs a system call, and what fills the disk in between meets the store's own
 * check. */
static bool storage_is_low(Queue *queue) {
        usec_t now = time_now_monotonic();
        struct statvfs fs;

        if (queue->storage_checked_at == 0 || now > queue->storage_checked_at + STORAGE_CHECK_USEC) {
                queue->storage_checked_at = now;
                queue->storage_low = statvfs(state_folder_current(queue->manager->state), &fs) == 0 &&
                                     (uint64_t) fs.f_bavail * fs.f_frsize <
                                             queue_settings(queue)->worker.storage_free_min;
        }
        return queue->storage_low;
}

/* The hash is over what the client asks for, before an alias is translated. */
static int set_idempotency(Job *job, const char *key, const JsonValue *request) {
        _cleanup_free_ char *text = NULL;

        if (!key)
                return 0;
        text = json_format(request);
        job->idempotency.key = strdup(key);
        if (!text || !job->idempotency.key)
                return -ENOMEM;
        return sha256_text(text, strlen(text), job->idempotency.request);
}

bool queue_idempotency_key_valid(const char *key) {
        size_t length = strlen(key);

        for (const char *c = key; *c; c++)
                if (*c < ' ' || *c > '~')
                        return false;
        return length >= 1 && length <= IDEMPOTENCY_KEY_BYTES_MAX;
}

/* They are in the image store already, each once. */
static int set_uploads(Job *job, const JsonValue *uploads) {
        size_t n = uploads ? (size_t) cJSON_GetArraySize(uploads) : 0;

        if (n == 0)
                return 0;
        job->uploads = calloc(n, sizeof(job->uploads[0]));
        if (!job->uploads)
                return -ENOMEM;
        for (const JsonValue *upload = uploads->child; upload; upload = upload->next) {
                UploadFacts *facts = &job->uploads[job->n_uploads++];

                (void) snprintf(facts->sha256, sizeof(facts->sha256), "%s", json_get_string(upload, "sha256"));
                facts->format = image_format_from_name(json_get_string(upload, "format"));
                facts->size_bytes = (uint64_t) json_get_integer(upload, "size_bytes", 0);
        }
        return 0;
}

/* `model` is what the request names; an alias ends here. */
int queue_new_job(Job **ret, const Caller *caller, const char *request_id, const JsonValue *request,
                  const ModelConf *model, const Translation *translation, micros_t ceiling) {
        _cleanup_(job_freep) Job *job = NULL;
        int r;

        job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        (void) stpcpy(stpcpy(job->id, JOB_ID_PREFIX), request_id);
        job->status = JOB_QUEUED;
        job->created_at = time_now_realtime();
        if (ceiling > 0)
                job->cost_before = (JobCost) { .reserved = ceiling, .day = calendar_day(job->created_at) };
        job->model = strdup(translation->model->name);
        job->response_format = strdup(request_response_format(request, model));
        job->request = json_format(translation->request);
        job->asked = translation->asked ? json_format(translation->asked) : NULL;
        job->optimised = translation->optimised ? json_format(translation->optimised) : NULL;
        if (!job->model || !job->response_format || !job->request || (translation->asked && !job->asked) ||
            (translation->optimised && !job->optimised))
                return -ENOMEM;
        if (*caller->key && !(job->key = strdup(caller->key)))
                return -ENOMEM;
        r = set_uploads(job, json_get_array(translation->request, "uploads"));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(job);
        return 0;
}

int queue_refuse_webhook(VarlinkCall *call) {
        return queue_refuse_text(call, 400, "invalid_request_error", "invalid_webhook",
                                 "There is no webhook of that name; the operator of this gateway names them.");
}

int queue_check_room(Queue *queue, VarlinkCall *call, int64_t jobs) {
        int r = 0;

        if (dispatcher_waiting(queue->manager->dispatcher) + dispatcher_following(queue->manager->dispatcher) +
                    budget_wait_count(queue->manager->budget_wait) + queue->uncommitted + jobs >
            queue_settings(queue)->worker.queue_max)
                r = queue_refuse_text(call, 503, "server_error", "queue_full",
                                      "Too many jobs are waiting (worker.queue_max). Try again later.");
        else if (dispatcher_parked(queue->manager->dispatcher))
                r = queue_refuse_text(call, 503, "server_error", "restoring",
                                      "A restored state is being put in place; nothing was accepted. Try again in a moment.");
        else if (storage_is_low(queue))
                r = queue_reply_result(call, NULL, -ENOSPC);
        else
                return 0;
        return r < 0 ? r : QUEUE_REFUSED;
}

/* GET /v1/models does not list it either. */
const Failure *queue_refuses_model(Queue *queue, const Caller *caller, const ModelConf *model) {
        const ProviderSlot *slot = provider_table_find(queue->manager->providers, model->provider);
        static const Failure failure = {
                .status = 404,
                .type = (char *) "invalid_request_error",
                .code = (char *) "model_not_found",
                .param = (char *) "model",
                .message = (char *) "The model's provider has no key here; GET /v1/models lists what can be used.",
        };

        if (!caller_may_ask_for(queue->manager, caller, model))
                return &caller_model_refused;
        return slot && provider_has_key(slot->provider) ? NULL : &failure;
}

/* Which term it was is not told: the list is nobody's business who meets it. */
int queue_judge_prompt(Queue *queue, const JsonValue *request, const Failure **ret) {
        static const Failure failure = {
                .status = 400,
                .type = (char *) "invalid_request_error",
                .code = (char *) "content_policy_violation",
                .param = (char *) "prompt",
                .message = (char *) "The prompt has a term in it that is not allowed here. Please ask in other words.",
        };
        bool found;
        int r;

        r = forbidden_terms_find(queue->manager->forbidden, json_get_string(request, "prompt") ?: "", &found);
        *ret = r >= 0 && found ? &failure : NULL;
        return r;
}

static int check_prompt(Queue *queue, VarlinkCall *call, const JsonValue *request) {
        const Failure *failure;
        int r;

        r = queue_judge_prompt(queue, request, &failure);
        if (r < 0 || !failure)
                return r;
        r = queue_refuse(call, failure);
        return r < 0 ? r : QUEUE_REFUSED;
}

static int check_model(Queue *queue, VarlinkCall *call, const Caller *caller, const ModelConf *model) {
        const Failure *failure = queue_refuses_model(queue, caller, model);
        int r;

        if (!failure)
                return 0;
        r = queue_refuse(call, failure);
        return r < 0 ? r : QUEUE_REFUSED;
}

/* The request as it is asked: is it well formed, may it wait here? */
static int check_submission(Queue *queue, VarlinkCall *call, const Caller *caller, const JsonValue *request,
                            const ModelConf **ret) {
        _cleanup_(failure_done) Failure failure = {};
        int r;

        r = request_check(queue_settings(queue), request, time_now_realtime(), ret, &failure);
        if (r == REQUEST_INVALID) {
                r = queue_refuse(call, &failure);
                return r < 0 ? r : QUEUE_REFUSED;
        }
        if (r == 0)
                r = check_model(queue, call, caller, *ret);
        if (r == 0)
                r = check_prompt(queue, call, request);
        return r != 0 ? r : queue_check_room(queue, call, 1);
}

int queue_check(Queue *queue, VarlinkCall *call, const Caller *caller, const JsonValue *request) {
        const ModelConf *model;

        return check_submission(queue, call, caller, request, &model);
}

static int price_submission(Queue *queue, VarlinkCall *call, const Caller *caller, OptimiseWish wish,
                            Translation *translation, RequestPrice *ret) {
        _cleanup_(buffer_done) Buffer reason = {};
        int r;

        r = request_price(queue->manager, caller, wish, translation, ret, &reason);
        if (r != PRICE_MISSING)
                return r;
        r = queue_refuse_without_price(call, &reason);
        return r < 0 ? r : QUEUE_REFUSED;
}

/* One that only the cache may serve reserves nothing: to every other it is as if spending were paused. */
static void set_budget(Submission *submission, const Job *job) {
        Spending *spending = submission->request.queue->manager->spending;

        if (submission->price.ceiling == 0)
                return;
        spending_budget(spending, job->model, job->key, job->cost_before.day, &submission->budget);
        if (submission->price.gone > 0)
                submission->budget.paused = true;
}

int queue_submit(Queue *queue, VarlinkCall *call, const Caller *caller, const char *request_id,
                 const char *idempotency_key, const JsonValue *request, const SubmitTerms *terms,
                 bool with_partials) {
        _cleanup_(translation_done) Translation translation = {};
        _cleanup_(job_freep) Job *job = NULL;
        Submission *submission;
        const ModelConf *model;
        RequestPrice price;
        int r;

        if (!id_valid(request_id))
                return varlink_call_invalid_parameter(call, "request_id");
        if (idempotency_key && !queue_idempotency_key_valid(idempotency_key))
                return varlink_call_invalid_parameter(call, "idempotency_key");
        if (terms->priority == JOB_PRIORITY_INVALID)
                return varlink_call_invalid_parameter(call, "priority");
        /* What this process accepted now nobody would start: the caller asks again and reaches the next one. */
        if (service_stopping(queue->manager->service)) {
                varlink_call_abandon(call);
                return 0;
        }
        r = check_submission(queue, call, caller, request, &model);
        if (r == 0)
                r = request_translate(queue_settings(queue), request, model, &translation);
        if (r == 0)
                r = price_submission(queue, call, caller, terms->optimise, &translation, &price);
        if (r != 0)
                return MIN(r, 0);

        r = queue_new_job(&job, caller, request_id, request, model, &translation, price.ceiling);
        if (r >= 0)
                job->priority = terms->priority;
        if (r >= 0)
                r = set_idempotency(job, idempotency_key, request);
        if (r >= 0)
                r = picture_cache_terms(queue->manager, &translation, caller, terms->cache, &job->cache);
        if (r >= 0)
                r = webhooks_of_job(queue->manager->webhooks, terms->webhook, &job->webhooks);
        if (r == -ENOENT)
                return queue_refuse_webhook(call);
        if (r < 0)
                return r;
        submission = calloc(1, sizeof(*submission));
        if (!submission)
                return -ENOMEM;
        queue_request_init(&submission->request, queue, call, caller, job->id, apply_submission, on_submitted);
        submission->request.write.settle = settle_submission;
        submission->price = price;
        submission->may_wait = queue_settings(queue)->worker.over_budget == OVER_BUDGET_HOLD && !varlink_call_wants_more(call);
        set_budget(submission, job);
        request_rates_find(queue->manager, caller, submission->rates);
        submission->n_images = (unsigned) json_get_integer(translation.request, "n", 1);
        submission->request.job = TAKE_PTR(job);
        submission->request.with_partials = with_partials;
        commit_group_add(queue->manager->group, &submission->request.write);
        return 0;
}
