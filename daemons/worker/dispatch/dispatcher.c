#include "dispatch/dispatcher.h"

#include <errno.h>

#include "base/log.h"
#include "base/text.h"
#include "dispatch/attempt-run.h"
#include "dispatch/dispatch-turn.h"
#include "dispatch/key-refusal.h"
#include "dispatch/outlook.h"
#include "dispatch/retry-policy.h"
#include "money/spending.h"
#include "priority.h"
#include "queue/picture-cache.h"
#include "queue/request-check.h"
#include "queue/uploads.h"

/* The dispatcher keeps no queue of its own: what waits stands in the store, in its order. When there is room it
 * claims jobs (one write each: in_progress, lease, a new attempt), and when the claim is durable the provider is
 * called. In memory are only the attempts under way (attempt-run.h), at most worker.concurrency.
 *
 * What can't start at once waits for an event that is known: an attempt ends, a job comes, an operator acts, or a time
 * comes for which the due timer is set (of a retry, of a deadline that ends one, of a gate that opens). Nothing is
 * looked for in between. Times of retries stand in the store by the wall clock, so a restart keeps them.
 *
 * A crash leaves jobs in progress under the lease of a process that is gone. The next start settles them: the outcome
 * is unknown, so the job goes back into the queue if its provider may be asked twice, and fails otherwise. */

#define SCAN_MAX 1024           /* jobs started or ended in one turn; the next one goes on */
#define SAVE_INTERVAL_USEC USEC_PER_SEC  /* between two tries of a store that takes nothing */
#define DUE_AHEAD_MAX_USEC RETRY_AFTER_MAX_USEC  /* no retry is due later: if one is, the clock was set back */
#define FAULT_STALL_VARIABLE "ATELIER_TEST_STALL"  /* tests: the queue stands still while the loop turns */

struct Dispatcher {
        Manager *manager;
        char lease[ID_TEXT_MAX];
        sd_event_source *wake_source, *retry_timer, *due_timer, *park_source;
        AttemptRun *runs;           /* under way */
        FairShare *share;
        AttemptTimes *times;
        size_t n_runs;
        int64_t waiting, held, following;
        bool waiting_held;          /* waiting jobs, or a pause, keep the daemon from exiting */
        usec_t blocked_until;       /* monotonic: nothing of what waits can start before; 0: it can */
        bool paused, quiesced, held_back, stall_for_test;
        bool backing_off;           /* until the retry timer */
        void (*parked)(void *userdata);      /* NULL: not parked, or not parking */
        void *parked_userdata;
        usec_t progress_at;         /* monotonic: when something was last started or ended */
};

static const Settings *settings_of(const Dispatcher *dispatcher) {
        return service_settings(dispatcher->manager->service);
}

static bool may_start(const Dispatcher *dispatcher) {
        return !dispatcher->paused && !dispatcher->quiesced && !dispatcher->held_back && !dispatcher->backing_off &&
               !dispatcher->parked &&
               !dispatcher->stall_for_test &&
               dispatcher->n_runs < (size_t) settings_of(dispatcher)->worker.concurrency;
}

void dispatcher_look(Dispatcher *dispatcher) {
        if (may_start(dispatcher))
                (void) sd_event_source_set_enabled(dispatcher->wake_source, SD_EVENT_ONESHOT);
}

static void retry_later(Dispatcher *dispatcher) {
        (void) sd_event_source_set_time_relative(dispatcher->retry_timer, SAVE_INTERVAL_USEC);
        (void) sd_event_source_set_enabled(dispatcher->retry_timer, SD_EVENT_ONESHOT);
}

/* The store does not take claims: the disk is full, say. To ask again at once would keep the processor busy. */
static void back_off(Dispatcher *dispatcher) {
        dispatcher->backing_off = true;
        retry_later(dispatcher);
}

static void update_hold(Dispatcher *dispatcher) {
        bool hold = (dispatcher->waiting > 0 || dispatcher->paused) && !dispatcher->quiesced;

        if (hold == dispatcher->waiting_held)
                return;
        dispatcher->waiting_held = hold;
        if (hold)
                service_hold(dispatcher->manager->service);
        else
                service_release(dispatcher->manager->service);
}

void dispatcher_add_waiting(Dispatcher *dispatcher, int64_t change) {
        if (dispatcher->waiting == 0 && change > 0)
                dispatcher->progress_at = time_now_monotonic();
        dispatcher->waiting += change;
        update_hold(dispatcher);
        if (change > 0)
                dispatcher_look(dispatcher);
        service_status_changed(dispatcher->manager->service);
}

int64_t dispatcher_waiting(const Dispatcher *dispatcher) {
        return dispatcher->waiting;
}

void dispatcher_add_held(Dispatcher *dispatcher, int64_t change) {
        dispatcher->held += change;
        service_status_changed(dispatcher->manager->service);
}

int64_t dispatcher_held(const Dispatcher *dispatcher) {
        return dispatcher->held;
}

void dispatcher_add_following(Dispatcher *dispatcher, int64_t change) {
        dispatcher->following += change;
}

int64_t dispatcher_following(const Dispatcher *dispatcher) {
        return dispatcher->following;
}

int dispatcher_foresee(const Dispatcher *dispatcher, Job *job) {
        bool moving = !dispatcher->paused && !dispatcher->parked && !dispatcher->held_back;

        return outlook_set(dispatcher->manager, dispatcher->share, dispatcher->times, moving, job);
}

size_t dispatcher_running(const Dispatcher *dispatcher) {
        return dispatcher->n_runs;
}

/* ------------------------------------------------------------------ parking */

static void look_whether_parked(Dispatcher *dispatcher) {
        if (dispatcher->parked && dispatcher->n_runs == 0 && uploads_idle(dispatcher->manager->uploads))
                (void) sd_event_source_set_enabled(dispatcher->park_source, SD_EVENT_ONESHOT);
}

void dispatcher_uploads_idle(Dispatcher *dispatcher) {
        look_whether_parked(dispatcher);
}

static int on_parked(_unused_ sd_event_source *source, void *userdata) {
        Dispatcher *dispatcher = userdata;

        if (dispatcher->parked)
                dispatcher->parked(dispatcher->parked_userdata);
        return 0;
}

void dispatcher_park(Dispatcher *dispatcher, void (*parked)(void *userdata), void *userdata) {
        dispatcher->parked = parked;
        dispatcher->parked_userdata = userdata;
        look_whether_parked(dispatcher);
}

void dispatcher_unpark(Dispatcher *dispatcher) {
        dispatcher->parked = NULL;
        dispatcher->progress_at = time_now_monotonic();
        dispatcher_look(dispatcher);
}

bool dispatcher_parked(const Dispatcher *dispatcher) {
        return dispatcher->parked;
}

/* ------------------------------------------------------------------ attempts under way */

static void run_started(AttemptRun *run, void *userdata) {
        Dispatcher *dispatcher = userdata;

        dispatcher->progress_at = time_now_monotonic();
        dispatcher_add_waiting(dispatcher, -1);
        metrics_set(dispatcher->manager->metrics, METRIC_ACTIVE_GENERATIONS, NULL, (double) dispatcher->n_runs);
        watchers_notify(dispatcher->manager->watchers, run->job);
}

static void run_answered(AttemptRun *run, const GenerationResult *result, _unused_ void *userdata) {
        if (run->gate)
                gate_end(run->gate, run->probe, result, time_now_monotonic());
        run->probe = false;
}

static void forget_run(Dispatcher *dispatcher, AttemptRun *run) {
        for (AttemptRun **link = &dispatcher->runs; *link; link = &(*link)->next)
                if (*link == run) {
                        *link = run->next;
                        break;
                }
        dispatcher->n_runs--;
        if (run->probe)
                gate_end(run->gate, true, NULL, time_now_monotonic());
        look_whether_parked(dispatcher);
        dispatcher->progress_at = time_now_monotonic();
        metrics_set(dispatcher->manager->metrics, METRIC_ACTIVE_GENERATIONS, NULL, (double) dispatcher->n_runs);
        service_release(dispatcher->manager->service);
}

/* The job is there as it was, or somebody has cancelled it. */
static void run_not_started(AttemptRun *run, int result, void *userdata) {
        Dispatcher *dispatcher = userdata;

        forget_run(dispatcher, run);
        if (result < 0)
                back_off(dispatcher);
        dispatcher_look(dispatcher);
}

/* What took memory that is not there is missing from a mean. */
static void time_attempt(Dispatcher *dispatcher, const Job *job) {
        const Attempt *attempt = &job->attempts[job->n_attempts - 1];

        if (attempt->outcome == ATTEMPT_COMPLETED)
                (void) attempt_times_add(dispatcher->times, attempt->provider, attempt->model ?: job->model,
                                         attempt->started_at, attempt->ended_at);
}

static void run_ended(AttemptRun *run, void *userdata) {
        Dispatcher *dispatcher = userdata;
        Manager *manager = dispatcher->manager;

        forget_run(dispatcher, run);
        time_attempt(dispatcher, run->job);
        if (run->job->status == JOB_QUEUED) {
                dispatcher_add_waiting(dispatcher, 1);
                (void) dispatcher_foresee(dispatcher, run->job);
        } else
                metrics_add(manager->metrics, METRIC_JOBS_TOTAL,
                            METRIC_VALUES(job_status_name(run->job->status)), 1);
        service_status_changed(manager->service);
        watchers_notify(manager->watchers, run->job);
        picture_cache_ended(manager, run->job);
        dispatcher_look(dispatcher);
}

/* The end could not be written: the disk is full, or the store is closed. What came back is kept and tried again. */
static void run_unsaved(_unused_ AttemptRun *run, void *userdata) {
        retry_later(userdata);
}

static void save_again(Dispatcher *dispatcher) {
        for (AttemptRun *run = dispatcher->runs, *next; run; run = next) {
                next = run->next;
                if (run->state == ATTEMPT_RUN_UNSAVED)
                        attempt_run_save(run);
        }
}

static int on_retry_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Dispatcher *dispatcher = userdata;

        dispatcher->backing_off = false;
        if (!dispatcher->held_back)
                save_again(dispatcher);
        dispatcher_look(dispatcher);
        return 0;
}

static const AttemptRunHooks run_hooks = {
        .started = run_started,
        .not_started = run_not_started,
        .answered = run_answered,
        .ended = run_ended,
        .unsaved = run_unsaved,
};

/* ------------------------------------------------------------------ starting jobs */

/* A job that ends without being sent: nothing here can ever make it, or it is too late to try again. */
typedef struct Rejection {
        Write write;
        Dispatcher *dispatcher;
        Job *job;
} Rejection;

static int apply_rejection(Write *write, Store *store) {
        return store_end_queued(store, CONTAINER_OF(write, Rejection, write)->job);
}

static int settle_rejection(Write *write, Store *store) {
        int r = apply_rejection(write, store);

        return r < 0 ? r : WRITE_STANDS;
}

static void on_rejected(Write *write, int result) {
        Rejection *rejection = CONTAINER_OF(write, Rejection, write);
        Dispatcher *dispatcher = rejection->dispatcher;

        if (result == 0) {
                dispatcher_add_waiting(dispatcher, -1);
                metrics_add(dispatcher->manager->metrics, METRIC_JOBS_TOTAL, METRIC_VALUES("failed"), 1);
                watchers_notify(dispatcher->manager->watchers, rejection->job);
                picture_cache_ended(dispatcher->manager, rejection->job);
        } else if (result < 0)
                back_off(dispatcher);
        (void) job_free(rejection->job);
        free(rejection);
}

/* Gone from the configuration since the job was accepted. */
static int fail_unavailable(Failure *failure) {
        return failure_set(failure, 503, "server_error", "model_unavailable", NULL,
                           "The model or its provider is not configured any more.");
}

/* Ends a waiting job for the reason that `fail` gives; without one, since its provider has no good key. */
static int reject_job(Dispatcher *dispatcher, const WaitingJob *waiting, int (*fail)(Failure *failure),
                      const ProviderSlot *slot) {
        _cleanup_(job_freep) Job *job = NULL;
        Rejection *rejection;
        int r;

        r = store_get(commit_group_store(dispatcher->manager->group), waiting->id, &job);
        if (r != 0)
                return r;
        job->status = JOB_FAILED;
        job->ended_at = time_now_realtime();
        r = fail ? fail(&job->failure) : key_refusal_failure(slot->provider, KEY_FAULT_NONE, &job->failure);
        if (r < 0)
                return r;
        rejection = calloc(1, sizeof(*rejection));
        if (!rejection)
                return -ENOMEM;

        *rejection = (Rejection) {
                .write = { .apply = apply_rejection, .settle = settle_rejection, .done = on_rejected },
                .dispatcher = dispatcher,
                .job = TAKE_PTR(job),
        };
        commit_group_add(dispatcher->manager->group, &rejection->write);
        return 0;
}

static int start_job(Dispatcher *dispatcher, const DispatchJob *job) {
        AttemptRun *run;
        int r;

        r = attempt_run_new(&run, dispatcher->manager, job->slot, job->waiting.id, dispatcher->lease, &run_hooks,
                            dispatcher);
        if (r < 0)
                return r;
        r = attempt_run_set_model(run, job->model, job->note);
        if (r < 0) {
                (void) attempt_run_free(run);
                return r;
        }
        run->gate = gate_ref(job->gate);
        run->probe = run->gate && gate_begin(run->gate, job->images, time_now_monotonic());
        run->next = dispatcher->runs;
        dispatcher->runs = run;
        dispatcher->n_runs++;
        service_hold(dispatcher->manager->service);
        attempt_run_start(run);
        return 0;
}

/* Ends what waits to be tried again and would begin after its deadline. *ret_wake (monotonic) is lowered to when the
 * next one comes to that. */
static int reject_late(Dispatcher *dispatcher, Store *store, usec_t *ret_wake) {
        usec_t timeout = settings_of(dispatcher)->worker.job_timeout, now = time_now_realtime(), started_at;
        int64_t last = 0;
        WaitingJob job;
        int r;

        for (unsigned n = 0; n < SCAN_MAX; n++) {
                r = store_oldest_retry(store, &job, &started_at);
                if (r != 0)
                        return MIN(r, 0);
                if (started_at + timeout > now) {
                        *ret_wake = MIN(*ret_wake, time_now_monotonic() + (started_at + timeout - now));
                        return 0;
                }
                /* What could not be ended is not ended by trying at once again. */
                if (job.sequence == last)
                        return -EIO;
                last = job.sequence;
                r = reject_job(dispatcher, &job, attempt_failure_deadline, NULL);
                if (r < 0)
                        return r;
        }
        *ret_wake = 0;
        return 0;
}

/* *ret_wake is lowered to when the next retry is due; *ret_now is by which clock they are. */
static int look_for_retries(Store *store, usec_t *ret_now, usec_t *ret_wake) {
        usec_t due;
        int r;

        *ret_now = time_now_realtime();
        r = store_next_retry_time(store, *ret_now, &due);
        if (r != 0)
                return MIN(r, 0);
        if (due > *ret_now + DUE_AHEAD_MAX_USEC)
                *ret_now = USEC_INFINITY;
        else
                *ret_wake = MIN(*ret_wake, time_now_monotonic() + (due - *ret_now));
        return 0;
}

static int take_job(Dispatcher *dispatcher, const DispatchJob *job) {
        if (!job->slot)
                return reject_job(dispatcher, &job->waiting, fail_unavailable, NULL);
        if (provider_keys_all_aside(job->slot->provider))
                return reject_job(dispatcher, &job->waiting, NULL, job->slot);
        return start_job(dispatcher, job);
}

/* Starts what may start. *ret_wake is lowered to when there may be more. */
static int start_jobs(Dispatcher *dispatcher, usec_t now, usec_t *ret_wake) {
        _cleanup_(dispatch_turn_freep) DispatchTurn *turn = NULL;
        DispatchJob job;
        int r;

        r = dispatch_turn_new(&turn, dispatcher->manager, dispatcher->share, now);
        if (r < 0)
                return r;
        for (unsigned n = 0; may_start(dispatcher); n++) {
                if (n == SCAN_MAX) {
                        *ret_wake = 0;
                        return 0;
                }
                r = dispatch_turn_next(turn, &job);
                if (r != 0)
                        break;
                r = take_job(dispatcher, &job);
                if (r < 0) {
                        (void) log_error_errno(r, "job %s can't be started", job.waiting.id);
                        back_off(dispatcher);
                        return 0;
                }
        }
        *ret_wake = MIN(*ret_wake, dispatch_turn_wake(turn));
        return MIN(r, 0);
}

static void set_due_timer(Dispatcher *dispatcher, usec_t wake) {
        usec_t now = time_now_monotonic();

        (void) sd_event_source_set_enabled(dispatcher->due_timer, SD_EVENT_OFF);
        if (wake == USEC_INFINITY)
                return;
        (void) sd_event_source_set_time_relative(dispatcher->due_timer, wake > now ? wake - now : 0);
        (void) sd_event_source_set_enabled(dispatcher->due_timer, SD_EVENT_ONESHOT);
}

static int on_due_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        dispatcher_look(userdata);
        return 0;
}

static int on_wake(_unused_ sd_event_source *source, void *userdata) {
        Dispatcher *dispatcher = userdata;
        Store *store = commit_group_store(dispatcher->manager->group);
        usec_t wake = USEC_INFINITY, now;
        int r;

        if (!store || !may_start(dispatcher))
                return 0;
        r = reject_late(dispatcher, store, &wake);
        if (r >= 0)
                r = look_for_retries(store, &now, &wake);
        if (r >= 0)
                r = start_jobs(dispatcher, now, &wake);
        if (r < 0) {
                (void) log_error_errno(r, "the queue can't be read");
                back_off(dispatcher);
                return 0;
        }
        dispatcher->blocked_until = dispatcher->n_runs == 0 ? wake : 0;
        set_due_timer(dispatcher, wake);
        return 0;
}

/* ------------------------------------------------------------------ recovery */

/* A held job waits for an operator, who sees what became of its attempt and decides. */
static int settle_orphan(Dispatcher *dispatcher, Store *store, Job *job) {
        Attempt *attempt = &job->attempts[job->n_attempts - 1];
        ProviderSlot *slot = provider_table_find(dispatcher->manager->providers, attempt->provider);
        Budget budget = {};
        bool again = job->held || (slot && slot->retry_unknown &&
                                   job->n_attempts < (size_t) settings_of(dispatcher)->worker.interruptions_max);
        int r;

        attempt->outcome = ATTEMPT_UNKNOWN;
        attempt->ended_at = time_now_realtime();
        free(attempt->cause);
        attempt->cause = strdup("the worker ended before the outcome was known");
        if (!attempt->cause)
                return -ENOMEM;

        job->status = again ? JOB_QUEUED : JOB_FAILED;
        if (!again) {
                job->ended_at = attempt->ended_at;
                r = attempt_failure_unknown(&job->failure);
                if (r < 0)
                        return r;
        }

        (void) log_record(LOG_WARNING, 0,
                          LOG_FIELDS({ "ATELIER_JOB", job->id }, { "ATELIER_KEY", job->key },
                                     { "ATELIER_MODEL", job->model }),
                          "Job %s was in progress when the worker ended; %s", job->id,
                          job->held ? "it may have been charged and is held"
                          : again ? "it is tried again" : "it may have been charged and is not tried again");
        if (job->cost_before.day > 0)
                spending_budget(dispatcher->manager->spending, job->model, job->key, job->cost_before.day, &budget);
        return store_end_attempt(store, job, &budget, NULL);
}

int dispatcher_recover(Dispatcher *dispatcher) {
        Store *store = commit_group_store(dispatcher->manager->group);
        int r;

        r = store_group_begin(store);
        if (r < 0)
                return r;
        for (;;) {
                _cleanup_(job_freep) Job *job = NULL;

                r = store_next_orphan(store, dispatcher->lease, &job);
                if (r != 0)
                        break;
                r = job->n_attempts > 0 ? settle_orphan(dispatcher, store, job) : -EUCLEAN;
                if (r != 0)
                        break;
        }
        if (r != STORE_NOT_FOUND) {
                store_group_rollback(store);
                return r < 0 ? r : -EUCLEAN;
        }
        r = store_group_commit(store);
        if (r < 0)
                return r;

        r = store_count_waiting(store, &dispatcher->waiting);
        if (r >= 0)
                r = store_count_held(store, &dispatcher->held);
        if (r >= 0)
                r = store_count_following(store, &dispatcher->following);
        if (r < 0)
                return r;
        update_hold(dispatcher);
        service_status_changed(dispatcher->manager->service);
        dispatcher_look(dispatcher);
        return 0;
}

/* ------------------------------------------------------------------ state */

void dispatcher_set_paused(Dispatcher *dispatcher, bool paused) {
        dispatcher->paused = paused;
        dispatcher->progress_at = time_now_monotonic();
        update_hold(dispatcher);
        dispatcher_look(dispatcher);
        service_status_changed(dispatcher->manager->service);
}

bool dispatcher_paused(const Dispatcher *dispatcher) {
        return dispatcher->paused;
}

void dispatcher_quiesce(Dispatcher *dispatcher) {
        dispatcher->quiesced = true;
        update_hold(dispatcher);
}

void dispatcher_abandon(Dispatcher *dispatcher) {
        dispatcher->quiesced = true;
        for (AttemptRun *run = dispatcher->runs; run; run = run->next)
                run->freeing = true;
}

void dispatcher_hold_back(Dispatcher *dispatcher) {
        dispatcher->held_back = true;
}

/* What was in doubt may have changed the queue unseen: it is counted afresh. */
void dispatcher_resume(Dispatcher *dispatcher) {
        int64_t waiting = dispatcher->waiting;

        (void) store_count_waiting(commit_group_store(dispatcher->manager->group), &waiting);
        (void) store_count_held(commit_group_store(dispatcher->manager->group), &dispatcher->held);
        (void) store_count_following(commit_group_store(dispatcher->manager->group), &dispatcher->following);
        dispatcher->held_back = false;
        dispatcher->progress_at = time_now_monotonic();
        dispatcher_add_waiting(dispatcher, waiting - dispatcher->waiting);
        save_again(dispatcher);
        dispatcher_look(dispatcher);
}

bool dispatcher_stalled(const Dispatcher *dispatcher) {
        usec_t stall = settings_of(dispatcher)->worker.stall_timeout, now = time_now_monotonic();

        if (dispatcher->paused || dispatcher->quiesced || dispatcher->held_back || dispatcher->parked)
                return false;
        if (dispatcher->waiting > 0 && dispatcher->n_runs == 0 && now > dispatcher->progress_at + stall &&
            now > dispatcher->blocked_until && now - dispatcher->blocked_until > stall)
                return true;
        if (http_client_paused(dispatcher->manager->http) > 0)
                return false;  /* such a one may end after its deadline */
        for (const AttemptRun *run = dispatcher->runs; run; run = run->next)
                if (run->deadline > 0 && now > run->deadline + stall)
                        return true;
        return false;
}

bool dispatcher_runs(const Dispatcher *dispatcher, const char *id) {
        for (const AttemptRun *run = dispatcher->runs; run; run = run->next)
                if (text_equal(run->id, id))
                        return true;
        return false;
}

bool dispatcher_needs_image(const Dispatcher *dispatcher, const char *sha256, ImageFormat format) {
        for (const AttemptRun *run = dispatcher->runs; run; run = run->next)
                if (attempt_run_needs_image(run, sha256, format))
                        return true;
        return false;
}

int dispatcher_new(Dispatcher **ret, Manager *manager) {
        _cleanup_(dispatcher_freep) Dispatcher *dispatcher = NULL;
        sd_event *event = service_event(manager->service);
        int r;

        dispatcher = calloc(1, sizeof(*dispatcher));
        if (!dispatcher)
                return -ENOMEM;
        dispatcher->manager = manager;
        dispatcher->progress_at = time_now_monotonic();
        dispatcher->stall_for_test = getenv(FAULT_STALL_VARIABLE);
        (void) id_new(dispatcher->lease);
        r = fair_share_new(&dispatcher->share);
        if (r >= 0)
                r = attempt_times_new(&dispatcher->times);
        if (r < 0)
                return r;

        r = sd_event_add_defer(event, &dispatcher->wake_source, on_wake, dispatcher);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(dispatcher->wake_source, "dispatch");
        (void) sd_event_source_set_priority(dispatcher->wake_source, PRIORITY_DISPATCH);
        (void) sd_event_source_set_enabled(dispatcher->wake_source, SD_EVENT_OFF);
        r = sd_event_add_time_relative(event, &dispatcher->retry_timer, CLOCK_MONOTONIC, 0, 0, on_retry_timer,
                                       dispatcher);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(dispatcher->retry_timer, SD_EVENT_OFF);
        r = sd_event_add_time_relative(event, &dispatcher->due_timer, CLOCK_MONOTONIC, 0, 1, on_due_timer, dispatcher);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(dispatcher->due_timer, "due");
        (void) sd_event_source_set_enabled(dispatcher->due_timer, SD_EVENT_OFF);
        r = sd_event_add_defer(event, &dispatcher->park_source, on_parked, dispatcher);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(dispatcher->park_source, "park");
        (void) sd_event_source_set_enabled(dispatcher->park_source, SD_EVENT_OFF);

        *ret = TAKE_PTR(dispatcher);
        return 0;
}

Dispatcher *dispatcher_free(Dispatcher *dispatcher) {
        if (!dispatcher)
                return NULL;

        while (dispatcher->runs) {
                AttemptRun *run = dispatcher->runs;

                dispatcher->runs = run->next;
                (void) attempt_run_free(run);
        }
        (void) sd_event_source_disable_unref(dispatcher->park_source);
        (void) sd_event_source_disable_unref(dispatcher->due_timer);
        (void) sd_event_source_disable_unref(dispatcher->retry_timer);
        (void) sd_event_source_disable_unref(dispatcher->wake_source);
        (void) attempt_times_free(dispatcher->times);
        (void) fair_share_free(dispatcher->share);
        free(dispatcher);
        return NULL;
}
