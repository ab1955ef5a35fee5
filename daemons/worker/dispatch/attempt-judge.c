#include "dispatch/attempt-judge.h"

#include <errno.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/text.h"
#include "dispatch/fallback.h"
#include "dispatch/key-refusal.h"

/* Pauses of retries alone are counted: what a restart interrupted says nothing about the provider. Each model of a
 * chain has its own. */
static unsigned count_retries(const Job *job) {
        const char *model = job->attempts[job->n_attempts - 1].model;
        unsigned retries = 0;

        for (size_t i = 0; i < job->n_attempts; i++)
                if (job->attempts[i].retry_delay > 0 && text_equal(job->attempts[i].model, model))
                        retries++;
        return retries;
}

static usec_t time_left(const Job *job, usec_t timeout) {
        usec_t now = time_now_realtime();

        return job->started_at + timeout > now ? job->started_at + timeout - now : 0;
}

static RetryEnd end_of(const AttemptRun *run, const GenerationResult *result) {
        return (RetryEnd) {
                .outcome = result->outcome,
                .http_status = result->http_status,
                .type = run->job->failure.type,
                .code = run->job->failure.code,
                .retry_after = result->retry_after,
                .hint = result->hint,
                .local = result->local,
        };
}

static RetryVerdict judge_failure(AttemptRun *run, const RetryEnd *end, usec_t *ret_delay) {
        const WorkerSettings *settings = &service_settings(run->manager->service)->worker;
        RetryLimits limits = {
                .retries_made = count_retries(run->job),
                .attempts_max = (unsigned) settings->attempts_max,
                .retry_unknown = run->slot->retry_unknown,
                .delay_min = settings->retry_min,
                .delay_max = settings->retry_max,
                .time_left = time_left(run->job, settings->job_timeout),
        };

        (void) !getrandom(&limits.chance, sizeof(limits.chance), GRND_NONBLOCK);
        return retry_policy(end, &limits, ret_delay);
}

/* The history tells keys by their numbers. */
static void note_key(AttemptRun *run) {
        unsigned count = provider_key_count(run->slot->provider);
        Attempt *attempt = attempt_run_current(run);
        char *cause;

        if (count < 2)
                return;
        cause = text_format("key %u of %u: %s", run->key, count, attempt->cause ?: "refused");
        if (!cause)
                return;
        free(attempt->cause);
        attempt->cause = cause;
}

/* A refusal of the key is for the operator: the job goes on with the next one, or its client learns that no key is
 * good. */
static void judge_key(AttemptRun *run, const GenerationResult *result) {
        const Failure *failure = &run->job->failure;
        KeyFault fault = KEY_FAULT_NONE;

        if (result->outcome == GENERATION_REFUSED && !result->local)
                fault = key_refusal_fault(result->http_status, failure->type, failure->code);
        if (fault == KEY_FAULT_NONE)
                return;
        note_key(run);
        if (key_refusal_take(run->manager, run->slot->provider, run->key, fault))
                run->verdict = RETRY_NEXT_KEY;
        else
                (void) key_refusal_failure(run->slot->provider, fault, &run->job->failure);
}

/* Goes on with the next model of the chain, if one fits; the cause tells of those that do not. */
static int fall_back(AttemptRun *run) {
        const WorkerSettings *settings = &service_settings(run->manager->service)->worker;
        const ModelConf *model = settings_find_model(service_settings(run->manager->service), run->job->model);
        _cleanup_(buffer_done) Buffer notes = {};
        Attempt *attempt = attempt_run_current(run);
        _cleanup_free_ char *passed_over = NULL;
        const char *next = NULL;
        char *cause;
        int r;

        if (!fallback_has(model) || time_left(run->job, settings->job_timeout) == 0)
                return 0;
        r = fallback_next(run->manager, model, run->job, fallback_position(model, run->job), &next, &notes);
        if (r < 0)
                return r;
        passed_over = notes.size > 0 ? buffer_take_text(&notes) : NULL;
        cause = passed_over ? text_format("%s%s", attempt->cause ?: "", passed_over) : NULL;
        if (cause) {
                free(attempt->cause);
                attempt->cause = cause;
        }
        if (!next)
                return 0;
        attempt->next_model = strdup(next);
        if (!attempt->next_model)
                return -ENOMEM;
        run->verdict = RETRY_NEXT_MODEL;
        return 0;
}

/* What it goes on with: the next key, else the next model, else the same after a pause. */
static void judge_all(AttemptRun *run, const GenerationResult *result, usec_t *ret_delay) {
        const RetryEnd end = end_of(run, result);
        bool may_fall_back;

        run->verdict = judge_failure(run, &end, ret_delay);
        may_fall_back = retry_may_fall_back(run->verdict, &end);
        judge_key(run, result);
        if (may_fall_back && run->verdict != RETRY_NEXT_KEY && fall_back(run) < 0)
                (void) log_error("job %s: no fallback can be looked for", run->id);
}

void attempt_judge(AttemptRun *run, const GenerationResult *result) {
        Job *job = run->job;
        usec_t delay = 0;

        judge_all(run, result, &delay);
        if (run->verdict == RETRY_NOT_IN_TIME)
                (void) attempt_failure_deadline(&job->failure);
        if (run->verdict > RETRY_NEXT_MODEL)
                return;
        failure_done(&job->failure);
        job->not_before = time_now_realtime();
        if (run->verdict != RETRY_LATER)
                return;
        job->not_before += delay;
        attempt_run_current(run)->retry_delay = delay;
}
