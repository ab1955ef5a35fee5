#include "dispatch/attempt-run.h"

#include <errno.h>
#include <stdio.h>

#include "alert-reporter.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatch/attempt-defects.h"
#include "dispatch/attempt-judge.h"
#include "dispatch/fallback.h"
#include "money/job-price.h"
#include "money/spending.h"
#include "queue/picture-cache.h"
#include "queue/request-check.h"

int attempt_failure_unknown(Failure *failure) {
        return failure_set(failure, 502, "server_error", "provider_outcome_unknown", NULL,
                           "The provider was asked and its answer was lost. The request may have been charged and is "
                           "not repeated by itself.");
}

int attempt_failure_deadline(Failure *failure) {
        return failure_set(failure, 504, "server_error", "job_deadline_exceeded", NULL,
                           "The attempts at the provider failed, and the job's deadline (worker.job_timeout) came "
                           "before another one. The job's attempts say why.");
}

int attempt_run_new(AttemptRun **ret, Manager *manager, ProviderSlot *slot, const char *id, const char *lease,
                    const AttemptRunHooks *hooks, void *userdata) {
        AttemptRun *run;

        run = calloc(1, sizeof(*run));
        if (!run)
                return -ENOMEM;
        run->manager = manager;
        run->providers = provider_table_ref(slot->table);
        run->slot = slot;
        run->slot->running++;
        run->lease = lease;
        run->hooks = hooks;
        run->userdata = userdata;
        (void) memcpy(run->id, id, strlen(id) + 1);

        *ret = run;
        return 0;
}

AttemptRun *attempt_run_free(AttemptRun *run) {
        if (!run)
                return NULL;

        run->freeing = true;
        if (run->generation)
                generation_cancel(run->generation);
        for (unsigned i = 0; i < run->n_images; i++)
                (void) temporary_image_free(run->images[i]);
        run->slot->running--;
        (void) provider_table_unref(run->providers);
        (void) gate_unref(run->gate);
        (void) json_free(run->request);
        free(run->model);
        free(run->note);
        (void) job_free(run->job);
        free(run);
        return NULL;
}

int attempt_run_set_model(AttemptRun *run, const char *model, const char *note) {
        run->model = model ? strdup(model) : NULL;
        run->note = note ? strdup(note) : NULL;
        return (model && !run->model) || (note && !run->note) ? -ENOMEM : 0;
}

/* The model that is asked; NULL: it is not configured any more. */
static const ModelConf *asked_model(const AttemptRun *run) {
        const Settings *settings = service_settings(run->manager->service);
        const ModelConf *model = settings_find_model(settings, run->model ?: run->job->model);

        return model ? settings_model_asked(settings, model) : NULL;
}

/* ------------------------------------------------------------------ the end */

static int apply_end(Write *write, Store *store) {
        AttemptRun *run = CONTAINER_OF(write, AttemptRun, write);

        run->booked = (BudgetVerdict) {};
        return store_end_attempt(store, run->job, &run->budget, &run->booked);
}

/* After a commit that failed, the end may be there already, and the job may be even gone: that is as good. */
static int settle_end(Write *write, Store *store) {
        int r = apply_end(write, store);

        return r < 0 ? r : WRITE_STANDS;
}

/* What a provider says may quote the prompt, which does not belong in the journal: of an answer only its status is
 * told here, and the code that the client gets. The job has the rest. */
static char *end_reason(AttemptRun *run) {
        const Attempt *attempt = attempt_run_current(run);
        const Failure *failure = &run->job->failure;

        if (attempt->outcome == ATTEMPT_REFUSED && failure->status > 0)
                return text_format(": %d %s", failure->status, failure->code ?: "without a code");
        if (attempt->outcome == ATTEMPT_REFUSED)
                return text_format(": HTTP %d", run->http_status);
        return attempt->cause ? text_format(": %s", attempt->cause) : NULL;
}

static char *end_consequence(AttemptRun *run) {
        usec_t delay = attempt_run_current(run)->retry_delay;

        if (delay > 0)
                return text_format("; it is made again in %.3f s", (double) delay / (double) USEC_PER_SEC);
        if (run->verdict == RETRY_NEXT_MODEL)
                return text_format("; %s is asked in its place", attempt_run_current(run)->next_model);
        if (run->verdict == RETRY_NEXT_KEY)
                return text_format("; it is made again at once, with the next key");
        if (run->verdict != RETRY_LATER)
                return text_format("; it is not made again, since %s", retry_verdict_reason(run->verdict));
        return NULL;
}

static void log_end(AttemptRun *run) {
        const Attempt *attempt = attempt_run_current(run);
        const Job *job = run->job;
        _cleanup_free_ char *why = end_reason(run), *consequence = end_consequence(run);
        char cost[24] = "";

        if (job->cost.entry > 0)
                (void) snprintf(cost, sizeof(cost), "%lld", (long long) attempt->cost);

        (void) log_record(job->status == JOB_COMPLETED && job->n_defects == 0 ? LOG_INFO : LOG_WARNING, 0,
                          LOG_FIELDS({ "ATELIER_JOB", job->id }, { "ATELIER_KEY", job->key },
                                     { "ATELIER_MODEL", job->model },
                                     { "ATELIER_PROVIDER", attempt->provider },
                                     { "ATELIER_PROVIDER_REQUEST", attempt->provider_request_id },
                                     { "ATELIER_COST_MICROS", *cost ? cost : NULL }),
                          "Job %s: attempt %lld at %s %s%s%s", job->id, (long long) attempt->number,
                          attempt->provider, attempt_outcome_name(attempt->outcome), why ?: "", consequence ?: "");
}

static void on_end_written(Write *write, int result) {
        AttemptRun *run = CONTAINER_OF(write, AttemptRun, write);

        if (result < 0) {
                if (run->state == ATTEMPT_RUN_SAVING)
                        (void) log_error_errno(result, "the end of job %s can't be written; trying again", run->id);
                run->state = ATTEMPT_RUN_UNSAVED;
                run->hooks->unsaved(run, run->userdata);
                return;
        }

        metrics_add(run->manager->metrics, METRIC_ATTEMPTS_TOTAL,
                    METRIC_VALUES(attempt_run_current(run)->provider,
                                  attempt_outcome_name(attempt_run_current(run)->outcome)), 1);
        attempt_count_defects(run);
        log_end(run);
        spending_booked(run->manager->spending, &run->booked);
        run->hooks->ended(run, run->userdata);
        (void) attempt_run_free(run);
}

void attempt_run_save(AttemptRun *run) {
        if (run->freeing)
                return;
        if (run->state != ATTEMPT_RUN_UNSAVED)
                run->state = ATTEMPT_RUN_SAVING;
        commit_group_add(run->manager->group, &run->write);
}

static void end_attempt(AttemptRun *run, AttemptOutcome outcome, JobStatus status) {
        Attempt *attempt = attempt_run_current(run);

        attempt->outcome = outcome;
        attempt->ended_at = time_now_realtime();
        run->deadline = 0;
        run->job->status = status;
        run->job->ended_at = job_status_ended(status) ? attempt->ended_at : 0;
        picture_cache_prepare_end(service_settings(run->manager->service), run->job);
        if (run->job->cost_before.day > 0)
                spending_budget(run->manager->spending, run->job->model, run->job->key, run->job->cost_before.day, &run->budget);
        run->write = (Write) { .apply = apply_end, .settle = settle_end, .done = on_end_written };
        attempt_run_save(run);
}

/* ------------------------------------------------------------------ images */

/* The provider has made the images and we can't store them: said as what it is, and not repeated by itself. */
static void fail_storing(AttemptRun *run, int error) {
        free(attempt_run_current(run)->cause);
        attempt_run_current(run)->cause = text_format("the image can't be stored: %s", strerror(-error));
        (void) failure_set(&run->job->failure, 503, "server_error", "storage_unavailable", NULL,
                           "The image was made but can't be stored here.");
        (void) log_record(LOG_ERR, error, LOG_FIELDS({ "ATELIER_JOB", run->id }), "job %s: its image can't be stored",
                          run->id);
        end_attempt(run, ATTEMPT_UNKNOWN, JOB_FAILED);
}

static int take_facts(AttemptRun *run) {
        run->job->images = calloc(run->n_images, sizeof(run->job->images[0]));
        if (!run->job->images)
                return -ENOMEM;
        run->job->n_images = run->n_images;
        for (unsigned i = 0; i < run->n_images; i++)
                run->job->images[i].facts = *temporary_image_facts(run->images[i]);
        return 0;
}

/* What a model costs that came for nothing is asked as well: its price may have begun since. */
static void price_images(AttemptRun *run) {
        const ModelConf *model = asked_model(run);
        GenerationRequest request;
        int r;

        if (model)
                request_to_generation(run->request, model, &request);
        r = job_price_settle(run->manager->prices, model, &request, run->job);
        if (r < 0) {
                attempt_run_current(run)->cost = run->job->cost_before.reserved;
                (void) log_record(LOG_WARNING, r, LOG_FIELDS({ "ATELIER_JOB", run->id }),
                                  "job %s is booked as reserved: its price can't be found", run->id);
        }
}

/* It is booked in full all the same. */
static void tell_drift(AttemptRun *run) {
        micros_t drift = job_price_drift(run->job);
        const char *provider = provider_name(run->slot->provider), *model = run->model ?: run->job->model;
        _cleanup_free_ char *key = NULL, *summary = NULL;
        char text[MONEY_TEXT_MAX];

        if (drift <= 0)
                return;
        metrics_add(run->manager->metrics, METRIC_PRICE_DRIFT_JOBS, METRIC_VALUES(provider, model), 1);
        metrics_add(run->manager->metrics, METRIC_PRICE_DRIFT, METRIC_VALUES(provider, model),
                    (double) drift / (double) MICROS_PER_DOLLAR);
        key = text_format("price drift %s %s", provider, model);
        summary = text_format("job %s cost %s more than was reserved for it: the price of %s in prices.conf is too low",
                              run->id, money_format(drift, text), model);
        if (!key || !summary)
                return;
        (void) log_record(LOG_WARNING, 0, LOG_FIELDS({ "ATELIER_JOB", run->id }, { "ATELIER_PROVIDER", provider }), "%s",
                          summary);
        alert_report(run->manager->alerts, key, "PriceDrift", "warning", summary);
}

static void on_kept(Keep *keep, int result) {
        AttemptRun *run = CONTAINER_OF(keep, AttemptRun, keep);

        if (run->freeing)
                return;
        if (result < 0) {
                /* Images of a failed job are nobody's. */
                for (size_t i = 0; i < run->job->n_images; i++)
                        free(run->job->images[i].revised_prompt);
                run->job->n_images = 0;
                job_forget_defects(run->job);
                fail_storing(run, result);
                return;
        }
        price_images(run);
        tell_drift(run);
        end_attempt(run, ATTEMPT_COMPLETED, JOB_COMPLETED);
}

static void begin_keeping(AttemptRun *run, GenerationResult *result) {
        int r;

        for (unsigned i = 0; i < result->n_images; i++)
                run->images[run->n_images++] = TAKE_PTR(result->images[i].file);
        r = take_facts(run);
        if (r < 0) {
                fail_storing(run, r);
                return;
        }
        for (unsigned i = 0; i < result->n_images; i++)
                run->job->images[i].revised_prompt = TAKE_PTR(result->images[i].revised_prompt);
        attempt_find_defects(run, result);
        attempt_run_current(run)->cost_told = result->cost_told;
        attempt_run_current(run)->cost = result->cost;
        run->job->usage = TAKE_PTR(result->usage);
        run->job->reply = TAKE_PTR(result->reply);

        run->state = ATTEMPT_RUN_KEEPING;
        run->keep = (Keep) { .images = run->images, .n_images = run->n_images, .done = on_kept };
        keep_group_add(run->manager->keeps, &run->keep);
}

bool attempt_run_needs_image(const AttemptRun *run, const char *sha256, ImageFormat format) {
        for (size_t i = 0; run->job && i < run->job->n_images; i++)
                if (text_equal(run->job->images[i].facts.sha256, sha256) && run->job->images[i].facts.format == format)
                        return true;
        return false;
}

/* ------------------------------------------------------------------ the provider */

static void take_failure(AttemptRun *run, GenerationResult *result) {
        failure_done(&run->job->failure);
        run->job->failure = (Failure) {
                .status = result->status ?: 502,
                .type = TAKE_PTR(result->type),
                .code = TAKE_PTR(result->code),
                .param = TAKE_PTR(result->param),
                .message = TAKE_PTR(result->message),
        };
}

static void end_failed(AttemptRun *run, const GenerationResult *result) {
        static const AttemptOutcome outcomes[] = {
                [GENERATION_REFUSED] = ATTEMPT_REFUSED,
                [GENERATION_UNSENT] = ATTEMPT_UNSENT,
                [GENERATION_UNKNOWN] = ATTEMPT_UNKNOWN,
        };

        run->http_status = result->http_status;
        attempt_judge(run, result);
        end_attempt(run, outcomes[result->outcome], run->verdict <= RETRY_NEXT_MODEL ? JOB_QUEUED : JOB_FAILED);
}

static void on_partial(PartialImage *image, void *userdata) {
        AttemptRun *run = userdata;

        if (!run->freeing)
                watchers_show(run->manager->watchers, run->job, image);
}

static void on_generated(GenerationResult *result, void *userdata) {
        AttemptRun *run = userdata;
        Attempt *attempt = attempt_run_current(run);

        run->generation = NULL;
        if (run->freeing)
                return;

        run->hooks->answered(run, result, run->userdata);
        attempt->provider_request_id = TAKE_PTR(result->provider_request_id);
        attempt->cause = TAKE_PTR(result->cause);
        if (result->outcome == GENERATION_COMPLETED) {
                begin_keeping(run, result);
                return;
        }

        take_failure(run, result);
        attempt_find_unusable(run);
        end_failed(run, result);
}

/* What keeps a claimed job from being sent is ours: nothing was charged. */
static void fail_unsent(AttemptRun *run, int error) {
        attempt_run_current(run)->cause = text_format("not sent: %s", strerror(-error));
        (void) failure_set(&run->job->failure, 500, "server_error", "internal_error", NULL,
                           "The request could not be sent to the provider.");
        end_attempt(run, ATTEMPT_UNSENT, JOB_FAILED);
}

/* It fitted when the attempt was chosen; a reload may have come between. */
static int translate_request(AttemptRun *run) {
        _cleanup_(translation_done) Translation translation = {};
        _cleanup_free_ char *why = NULL;
        int r;

        r = fallback_translate(service_settings(run->manager->service), run->request, run->model, &translation, &why);
        if (r != 0)
                return r < 0 ? r : -EINVAL;
        (void) json_free(run->request);
        run->request = TAKE_PTR(translation.owned);
        return 0;
}

static int send_request(AttemptRun *run) {
        const ModelConf *model = asked_model(run);
        GenerationRequest request;
        int r;

        if (!model)
                return -ENOENT;
        r = json_parse(run->job->request, strlen(run->job->request), &run->request, NULL);
        if (r >= 0 && run->model)
                r = translate_request(run);
        if (r < 0)
                return r;

        request_to_generation(run->request, model, &request);
        request.job_id = run->id;
        request.timeout = run->slot->timeout;
        request.partial = on_partial;
        run->deadline = time_now_monotonic() + run->slot->timeout;
        r = provider_generate(run->slot->provider, &request, on_generated, run, &run->generation);
        run->key = provider_key_number(run->slot->provider);
        return r;
}

/* ------------------------------------------------------------------ the claim */

static int apply_start(Write *write, Store *store) {
        AttemptRun *run = CONTAINER_OF(write, AttemptRun, write);
        int r;

        r = store_start_fallback(store, run->id, provider_name(run->slot->provider), run->model, run->note, run->lease,
                                 time_now_realtime(), &run->job);
        if (r == 0)
                run->number = attempt_run_current(run)->number;
        return r;
}

/* Nothing was sent: should the claim stand, the job goes back into the queue. */
static int settle_start(Write *write, Store *store) {
        AttemptRun *run = CONTAINER_OF(write, AttemptRun, write);
        _cleanup_(job_freep) Job *job = NULL;
        Attempt *attempt;
        int r;

        r = store_get(store, run->id, &job);
        if (r != 0 || job->status != JOB_IN_PROGRESS || job->n_attempts == 0)
                return MIN(r, 0);
        attempt = &job->attempts[job->n_attempts - 1];
        if (attempt->number != run->number)
                return 0;

        attempt->outcome = ATTEMPT_UNSENT;
        attempt->ended_at = time_now_realtime();
        attempt->cause = strdup("not sent: the store failed");
        job->status = JOB_QUEUED;
        return attempt->cause ? MIN(store_end_attempt(store, job, NULL, NULL), 0) : -ENOMEM;
}

static void on_start_written(Write *write, int result) {
        AttemptRun *run = CONTAINER_OF(write, AttemptRun, write);
        int r;

        if (result != 0) {
                run->hooks->not_started(run, result, run->userdata);
                (void) attempt_run_free(run);
                return;
        }
        /* The process ends: who would take the answer? The next start settles it. */
        if (run->freeing)
                return;

        run->state = ATTEMPT_RUN_SENT;
        run->hooks->started(run, run->userdata);
        r = send_request(run);
        if (r < 0)
                fail_unsent(run, r);
}

void attempt_run_start(AttemptRun *run) {
        run->write = (Write) { .apply = apply_start, .settle = settle_start, .done = on_start_written };
        commit_group_add(run->manager->group, &run->write);
}
