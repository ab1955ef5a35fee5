#include "dispatch/outlook.h"

#include <errno.h>

#include "store/store.h"

#define JOBS_TIMES_MAX INT64_C(1000000)  /* what estimates are multiplied by, at most: no product of theirs overflows */
#define MEAN_USEC_MAX (USEC_PER_DAY)

/* Those that run are on the average halfway through, so a place becomes free each mean / concurrency. */
usec_t outlook_estimate(const OutlookFacts *facts) {
        usec_t mean = MIN(facts->mean, (usec_t) MEAN_USEC_MAX), places = MAX(facts->concurrency, (size_t) 1), start = 0;
        usec_t free_places = places > facts->running ? places - facts->running : 0;
        usec_t position = (usec_t) MIN(facts->position, JOBS_TIMES_MAX);

        if (mean == 0 || facts->wait == USEC_INFINITY)
                return 0;
        if (position > free_places)
                start = (position - free_places) * mean / places;
        if (facts->images_per_minute > 0 && position > 0)
                start = MAX(start, (position - 1) * USEC_PER_MINUTE / facts->images_per_minute);
        return MAX(start, facts->wait) + mean;
}

static bool waits(const Job *job) {
        return job->status == JOB_QUEUED && !job->held && !job->cache.follows && !job->awaits_budget;
}

static int find_position(Manager *manager, const FairShare *share, usec_t now, Job *job) {
        Store *store = commit_group_store(manager->group);
        int64_t ahead;
        int r;

        if (!store || job->not_before > now)
                return 0;
        r = store_count_ahead(store, job, fair_share_last(share, job->model), now, OUTLOOK_POSITION_MAX, &ahead);
        if (r < 0)
                return r;
        if (ahead < OUTLOOK_POSITION_MAX)
                job->outlook.position = ahead + 1;
        else
                job->outlook.position_above = OUTLOOK_POSITION_MAX;
        return 0;
}

/* When the gate opens, as far as that is known. */
static usec_t wait_at_gate(Gate *gate) {
        usec_t now = time_now_monotonic(), until = gate ? gate_wait(gate, now) : 0;

        return until == USEC_INFINITY ? USEC_INFINITY : until > now ? until - now : 0;
}

static void estimate(Manager *manager, const AttemptTimes *times, usec_t now, Job *job) {
        const Settings *settings = service_settings(manager->service);
        const ModelConf *model = settings_find_model(settings, job->model);
        const ProviderConf *conf = model ? settings_find_provider(settings, model->provider) : NULL;
        const ProviderSlot *slot = model ? provider_table_find(manager->providers, model->provider) : NULL;
        OutlookFacts facts;

        if (!conf || !slot)
                return;
        facts = (OutlookFacts) {
                .position = job->outlook.position,
                .mean = attempt_times_mean(times, model->provider, model->name),
                .concurrency = MIN((size_t) slot->concurrency, (size_t) settings->worker.concurrency),
                .running = slot->running,
                .images_per_minute = (uint64_t) conf->images_per_minute,
                .wait = wait_at_gate(gates_find(manager->gates, model->name)),
        };
        if (job->not_before > now)
                facts.wait = MAX(facts.wait, job->not_before - now);
        job->outlook.eta = outlook_estimate(&facts);
}

int outlook_set(Manager *manager, const FairShare *share, const AttemptTimes *times, bool moving, Job *job) {
        usec_t now = time_now_realtime();
        int r;

        job->outlook = (JobOutlook) {};
        if (!waits(job))
                return 0;
        r = find_position(manager, share, now, job);
        if (r < 0 || !moving || job->outlook.position_above > 0)
                return r;
        estimate(manager, times, now, job);
        return 0;
}
