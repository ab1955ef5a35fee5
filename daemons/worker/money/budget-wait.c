/* The problem: a job that nobody waits for may as well wait itself for tomorrow's budget, and must not go past it then either.
 *
 * The model: such a job is stored without a reservation and is none of the dispatcher's (store-budget-wait.h). When there may be
 * room, all of them are gone through in the order in which they came, some at a time in one write of the commit group each: one
 * that fits now reserves and goes to the dispatcher, one that does not stays, and one for which there never will be room (its
 * budget was lowered, its key revoked) fails. There may be room when a day of budgets begins, when an attempt has given back
 * what it did not cost, when spending is resumed, and when the configuration was read again. The first is waited for, and the
 * daemon with it; the others look within a second, however many of them come. */
#include "money/budget-wait.h"

#include <errno.h>

#include "base/calendar.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "money/spending.h"
#include "store/store-budget-wait.h"

#define ADMITTED_AT_ONCE 64     /* looked at in one write */
#define LOOK_WAIT USEC_PER_SEC

struct BudgetWait {
        Manager *manager;
        sd_event_source *timer;      /* CLOCK_REALTIME */
        int64_t count;
        bool holding, quiesced;

        Write write;                 /* of a pass */
        bool passing, again;         /* one is under way; another one shall follow */
        int64_t cursor;              /* its place: a job's sequence */
        int64_t admitted;            /* by its last write */
        Job *failed[ADMITTED_AT_ONCE];
        size_t n_failed;
};

static void update_hold(BudgetWait *wait) {
        bool hold = wait->count > 0 && !wait->quiesced;

        if (hold == wait->holding)
                return;
        wait->holding = hold;
        if (hold)
                service_hold(wait->manager->service);
        else
                service_release(wait->manager->service);
}

static void arm(BudgetWait *wait, usec_t at) {
        (void) sd_event_source_set_time(wait->timer, at);
        (void) sd_event_source_set_enabled(wait->timer, wait->count > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

void budget_wait_recount(BudgetWait *wait) {
        Store *store = commit_group_store(wait->manager->group);

        if (!store || store_count_waiting_for_budget(store, &wait->count) != 0)
                return;
        update_hold(wait);
        service_status_changed(wait->manager->service);
        if (wait->count > 0)
                arm(wait, calendar_day_end(time_now_realtime()));
}

int64_t budget_wait_count(const BudgetWait *wait) {
        return wait->count;
}

/* ------------------------------------------------------------------ a pass */

static void forget_failed(BudgetWait *wait) {
        for (size_t i = 0; i < wait->n_failed; i++)
                (void) job_free(wait->failed[i]);
        wait->n_failed = 0;
}

static int fail(BudgetWait *wait, Store *store, Job **job, const BudgetVerdict *verdict, micros_t amount) {
        _cleanup_free_ char *message = spending_refused(wait->manager->spending, verdict, amount);
        int r;

        if (!message)
                return -ENOMEM;
        (*job)->status = JOB_FAILED;
        (*job)->ended_at = time_now_realtime();
        (*job)->awaits_budget = false;
        (*job)->cost_before = (JobCost) {};
        r = failure_set(&(*job)->failure, 429, "insufficient_quota", "budget_exceeded", NULL, message);
        if (r >= 0)
                r = store_end_queued(store, *job);
        if (r == 0)
                wait->failed[wait->n_failed++] = TAKE_PTR(*job);
        return r;
}

static int admit_next(BudgetWait *wait, Store *store) {
        Spending *spending = wait->manager->spending;
        _cleanup_(job_freep) Job *job = NULL;
        BudgetVerdict verdict = {};
        Budget budget = {};
        micros_t amount;
        int r;

        r = store_next_waiting_for_budget(store, wait->cursor, &job, &amount);
        if (r != 0)
                return r;
        wait->cursor = job->sequence;
        job->cost_before.day = calendar_day(time_now_realtime());
        spending_budget(spending, job->model, job->key, job->cost_before.day, &budget);
        r = store_admit(store, job, amount, &budget, &verdict);
        if (r == 0)
                wait->admitted++;
        if (r != STORE_OVER_BUDGET)
                return r;
        return budget_may_have_room(&verdict, amount) ? 0 : fail(wait, store, &job, &verdict, amount);
}

static int apply_pass(Write *write, Store *store) {
        BudgetWait *wait = CONTAINER_OF(write, BudgetWait, write);
        int r = 0;

        wait->admitted = 0;
        forget_failed(wait);
        for (int i = 0; i < ADMITTED_AT_ONCE && r == 0; i++)
                r = admit_next(wait, store);
        if (r == STORE_NOT_FOUND)
                wait->cursor = INT64_MAX;
        return r == STORE_NOT_FOUND ? 0 : r;
}

static void tell_failed(BudgetWait *wait) {
        for (size_t i = 0; i < wait->n_failed; i++) {
                metrics_add(wait->manager->metrics, METRIC_JOBS_TOTAL, METRIC_VALUES("failed"), 1);
                watchers_notify(wait->manager->watchers, wait->failed[i]);
        }
        forget_failed(wait);
}

static void begin_pass(BudgetWait *wait) {
        wait->passing = true;
        wait->again = false;
        wait->cursor = 0;
        commit_group_add(wait->manager->group, &wait->write);
}

static void on_passed(Write *write, int result) {
        BudgetWait *wait = CONTAINER_OF(write, BudgetWait, write);

        if (result == -ECANCELED)
                return;
        if (result == 0) {
                dispatcher_add_waiting(wait->manager->dispatcher, wait->admitted);
                tell_failed(wait);
                if (wait->admitted > 0)
                        log_info("%lld jobs fit into their budgets now", (long long) wait->admitted);
        } else
                (void) log_warning_errno(MIN(result, 0), "jobs that wait for their budget can't be looked at");
        if (result == 0 && wait->cursor != INT64_MAX && !wait->quiesced) {
                commit_group_add(wait->manager->group, &wait->write);
                return;
        }
        wait->passing = false;
        budget_wait_recount(wait);
        if (wait->again)
                budget_wait_look(wait);
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        BudgetWait *wait = userdata;

        if (wait->quiesced || wait->count == 0)
                return 0;
        if (wait->passing)
                wait->again = true;
        else
                begin_pass(wait);
        return 0;
}

void budget_wait_look(BudgetWait *wait) {
        if (!wait || wait->count == 0 || wait->quiesced)
                return;
        if (wait->passing)
                wait->again = true;
        else
                arm(wait, MIN(time_now_realtime() + LOOK_WAIT, calendar_day_end(time_now_realtime())));
}

void budget_wait_quiesce(BudgetWait *wait) {
        wait->quiesced = true;
        update_hold(wait);
}

/* ------------------------------------------------------------------ building */

int budget_wait_new(BudgetWait **ret, Manager *manager) {
        _cleanup_(budget_wait_freep) BudgetWait *wait = calloc(1, sizeof(*wait));
        int r;

        if (!wait)
                return -ENOMEM;
        wait->manager = manager;
        wait->write = (Write) { .apply = apply_pass, .done = on_passed };
        r = sd_event_add_time(service_event(manager->service), &wait->timer, CLOCK_REALTIME, UINT64_MAX, USEC_PER_SEC, on_timer,
                              wait);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(wait->timer, "budgets");
        *ret = TAKE_PTR(wait);
        return 0;
}

BudgetWait *budget_wait_free(BudgetWait *wait) {
        if (!wait)
                return NULL;
        forget_failed(wait);
        (void) sd_event_source_disable_unref(wait->timer);
        free(wait);
        return NULL;
}
