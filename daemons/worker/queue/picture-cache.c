#include "queue/picture-cache.h"

#include <errno.h>

#include "base/calendar.h"
#include "base/log.h"
#include "dispatch/dispatcher.h"
#include "money/spending.h"
#include "queue/picture-key.h"
#include "queue/request-check.h"
#include "store/store-cache.h"

/* An entry made then or earlier is too old now. */
static usec_t made_after(const WorkerSettings *settings, usec_t now) {
        return now > settings->cache_ttl ? now - settings->cache_ttl : 0;
}

static bool image_is_there(const ImageFacts *image, void *userdata) {
        Manager *manager = userdata;

        return image_store_has(manager->images, image->sha256, image->format);
}

int picture_cache_terms(Manager *manager, const Translation *translation, const Caller *caller, CacheWish wish,
                        JobCache *ret) {
        const WorkerSettings *worker = &service_settings(manager->service)->worker;
        GenerationRequest generation;

        *ret = (JobCache) {};
        if (worker->cache_ttl == 0 || wish.no_store)
                return 0;
        ret->lookup = !wish.no_cache;
        ret->made_after = made_after(worker, time_now_realtime());
        ret->is_there = image_is_there;
        ret->userdata = manager;
        request_to_generation(translation->request, translation->model, &generation);
        return picture_key(translation->model, &generation, worker->cache_per_key ? caller->key : NULL, ret->picture);
}

/* What another model made in its place serves who waits for it, and nobody later. */
void picture_cache_prepare_end(const Settings *settings, Job *job) {
        const WorkerSettings *worker = &settings->worker;
        bool by_fallback = job->n_attempts > 0 && job->attempts[job->n_attempts - 1].model;

        job->cache.made_after = made_after(worker, job->ended_at);
        job->cache.bytes_max = worker->cache_ttl > 0 && !by_fallback ? worker->cache_bytes_max : 0;
}

/* ------------------------------------------------------------------ followers */

static void tell_ended(Manager *manager, const Job *job) {
        metrics_add(manager->metrics, METRIC_JOBS_TOTAL, METRIC_VALUES(job_status_name(job->status)), 1);
        watchers_notify(manager->watchers, job);
}

void picture_cache_ended(Manager *manager, const Job *leader) {
        const JobCache *cache = &leader->cache;

        if (cache->n_ended == 0)
                return;
        dispatcher_add_following(manager->dispatcher, -(int64_t) cache->n_ended);
        for (size_t i = 0; i < cache->n_ended; i++) {
                Store *store = commit_group_store(manager->group);
                _cleanup_(job_freep) Job *job = NULL;
                int r = store ? store_get(store, cache->ended[i], &job) : -EIO;

                if (r == 0)
                        tell_ended(manager, job);
                else
                        (void) log_warning_errno(MIN(r, 0), "who waits for job %s can't be told of its end",
                                                 cache->ended[i]);
        }
}

/* ------------------------------------------------------------------ another leader */

static int set_over_budget(Job *follower, const BudgetVerdict *verdict) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_free_ char *message = NULL;
        int r;

        r = buffer_append_text(&text, "The request whose image this one was to share was cancelled, and ");
        if (r >= 0 && verdict->exceeded)
                r = budget_limit_describe(verdict->exceeded, &text);
        if (r >= 0)
                r = buffer_append_text(&text, verdict->exceeded ? " has no room for another." : "spending is paused.");
        message = r < 0 ? NULL : buffer_take_text(&text);
        if (!message)
                return -ENOMEM;
        return failure_set(&follower->failure, 429, "insufficient_quota", "budget_exceeded", NULL, message);
}

static int fail_follower(Store *store, Job *follower, const BudgetVerdict *verdict, Succession *succession) {
        Job **failed;
        int r;

        failed = reallocarray(succession->failed, succession->n_failed + 1, sizeof(*failed));
        if (!failed)
                return -ENOMEM;
        succession->failed = failed;
        follower->status = JOB_FAILED;
        follower->ended_at = time_now_realtime();
        follower->cost_before = (JobCost) {};
        r = set_over_budget(follower, verdict);
        if (r >= 0)
                r = store_end_queued(store, follower);
        if (r == 0)
                succession->failed[succession->n_failed++] = follower;
        return r;
}

int picture_cache_succeed(Manager *manager, Store *store, const Job *leader, micros_t amount, bool held,
                          Succession *ret) {
        for (;;) {
                _cleanup_(job_freep) Job *follower = NULL;
                BudgetVerdict verdict = {};
                Budget budget = {};
                int r;

                r = store_next_follower(store, leader, &follower);
                if (r != 0)
                        return r == STORE_NOT_FOUND ? 0 : r;
                follower->cost_before.day = amount > 0 ? calendar_day(time_now_realtime()) : 0;
                if (amount > 0)
                        spending_budget(manager->spending, follower->model, follower->key, follower->cost_before.day,
                                        &budget);
                r = store_promote(store, follower, leader, amount, held, &budget, &verdict);
                if (r == 0)
                        ret->promoted = TAKE_PTR(follower);
                if (r != STORE_OVER_BUDGET)
                        return r;
                r = fail_follower(store, follower, &verdict, ret);
                if (r != 0)
                        return r;
                follower = NULL;
        }
}

void picture_cache_succeeded(Manager *manager, const Succession *succession) {
        int64_t gone = (int64_t) succession->n_failed + (succession->promoted ? 1 : 0);

        if (gone > 0)
                dispatcher_add_following(manager->dispatcher, -gone);
        for (size_t i = 0; i < succession->n_failed; i++)
                tell_ended(manager, succession->failed[i]);
        if (succession->promoted && succession->promoted->held)
                dispatcher_add_held(manager->dispatcher, 1);
        else if (succession->promoted)
                dispatcher_add_waiting(manager->dispatcher, 1);
}

void succession_done(Succession *succession) {
        (void) job_free(succession->promoted);
        for (size_t i = 0; i < succession->n_failed; i++)
                (void) job_free(succession->failed[i]);
        free(succession->failed);
        *succession = (Succession) {};
}
