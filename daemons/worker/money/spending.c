/* The problem: a request that costs money must fit into every budget that it counts against, and once the money is
 * gone an operator wants to know it, and may want all spending to stand still.
 *
 * The model: the store judges and books (store-ledger.h); here is only what it is to judge by. A pause is one row of
 * the database and its copy here. While it lasts each budget says so, and the store refuses every reservation: in the
 * same transaction as everything else, so that a job which was accepted before stays accepted. A pause that the daily
 * budget brought about ends with its day; one that an operator wanted ends when an operator says so. What was accepted
 * goes on.
 *
 * A crash between a refusal and the pause that it brings about leaves no pause; the next refusal brings it about
 * again. */
#include "money/spending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert-reporter.h"
#include "base/calendar.h"
#include "base/log.h"
#include "base/text.h"
#include "money/budget-wait.h"

struct Spending {
        Manager *manager;
        BudgetPause pause;
        bool pausing;               /* a pause of the daily budget is being written */
};

static const Settings *settings_of(const Spending *spending) {
        return service_settings(spending->manager->service);
}

int spending_new(Spending **ret, Manager *manager) {
        _cleanup_(spending_freep) Spending *spending = calloc(1, sizeof(*spending));
        int r;

        if (!spending)
                return -ENOMEM;
        spending->manager = manager;
        r = spending_reload(spending);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(spending);
        return 0;
}

Spending *spending_free(Spending *spending) {
        if (spending)
                budget_pause_done(&spending->pause);
        free(spending);
        return NULL;
}

int spending_reload(Spending *spending) {
        Store *store = commit_group_store(spending->manager->group);
        BudgetPause pause;
        int r;

        r = calendar_set_zone(settings_of(spending)->worker.time_zone);
        if (r < 0 || !store)
                return r;
        r = store_get_budget_pause(store, &pause);
        if (r < 0)
                return r;
        budget_pause_done(&spending->pause);
        spending->pause = pause;
        return 0;
}

const BudgetPause *spending_pause(Spending *spending) {
        int until = spending->pause.until_day;

        if (until > 0 && calendar_day(time_now_realtime()) > until)
                budget_pause_done(&spending->pause);
        return &spending->pause;
}

static micros_t key_limit(micros_t budget) {
        return budget == CLIENT_KEY_NO_BUDGET ? MICROS_INFINITY : budget;
}

/* A key that is not there any more has spent what it could. */
void spending_budget(Spending *spending, const char *model, const char *key, int day, Budget *ret) {
        Store *store = commit_group_store(spending->manager->group);
        KeyBudget limits = { .key = key, .daily = 0, .monthly = MICROS_INFINITY, .total = MICROS_INFINITY };
        ClientKey found;

        if (key && store && store_get_key(store, key, &found) == 0) {
                limits.daily = key_limit(found.daily_budget);
                limits.monthly = key_limit(found.monthly_budget);
        }
        budget_of(settings_of(spending), model, key ? &limits : NULL, day, ret);
        ret->paused = spending_pause(spending)->since > 0;
}

typedef int (*LimitVisitor)(const BudgetLimit *limit, micros_t committed, void *userdata);

/* Each limit of a job that came now, with what is committed of it. */
static int visit_limits(Spending *spending, const char *model, const char *key, bool *ret_paused, LimitVisitor visit,
                        void *userdata) {
        Store *store = commit_group_store(spending->manager->group);
        Budget budget;
        int r = 0;

        if (!store)
                return -EIO;
        spending_budget(spending, model, key, calendar_day(time_now_realtime()), &budget);
        *ret_paused = budget.paused;
        for (size_t i = 0; i < budget.n && r >= 0; i++) {
                const BudgetLimit *limit = &budget.limits[i];
                LedgerAmounts used;

                r = store_ledger_total(store, limit->scope, limit->period, limit->name, &used);
                if (r >= 0)
                        r = visit(limit, ledger_committed(&used), userdata);
        }
        return MIN(r, 0);
}

static int find_least_left(const BudgetLimit *limit, micros_t committed, void *userdata) {
        micros_t *least = userdata, left = MAX(limit->limit - committed, INT64_C(0));

        *least = MIN(*least, left);
        return 0;
}

int spending_left(Spending *spending, const char *model, const char *key, micros_t *ret, bool *ret_paused) {
        *ret = MICROS_INFINITY;
        return visit_limits(spending, model, key, ret_paused, find_least_left, ret);
}

static int find_most_gone(const BudgetLimit *limit, micros_t committed, void *userdata) {
        int64_t *most = userdata, share = budget_limit_share(limit, committed);

        *most = MAX(*most, share);
        return 0;
}

int spending_share_gone(Spending *spending, const char *model, const char *key, int64_t *ret) {
        bool paused;

        *ret = 0;
        return visit_limits(spending, model, key, &paused, find_most_gone, ret);
}

/* ------------------------------------------------------------------ telling */

/* The same budget of the same day, month or ever is one alert. */
static void tell_crossed(Spending *spending, const BudgetLimit *limit) {
        _cleanup_free_ char *key = NULL, *summary = NULL, *budget = NULL;
        _cleanup_(buffer_done) Buffer text = {};
        char amount[MONEY_TEXT_MAX];

        key = text_format("budget %s %s %d", budget_scope_name(limit->scope), limit->name, limit->period);
        budget = budget_limit_describe(limit, &text) >= 0 ? buffer_take_text(&text) : NULL;
        if (budget)
                summary = text_format("%s has gone, or may have, of %s (worker.budget_alert)",
                                      money_format(limit->alert, amount), budget);
        if (!key || !summary)
                return;
        (void) log_record(LOG_WARNING, 0,
                          LOG_FIELDS({ "ATELIER_BUDGET", budget_period_name(limit->period) },
                                     { "ATELIER_BUDGET_SCOPE", budget_scope_name(limit->scope) }), "%s", summary);
        alert_report(spending->manager->alerts, key, "budget_alert", "warning", summary);
}

void spending_booked(Spending *spending, const BudgetVerdict *verdict) {
        for (size_t i = 0; i < verdict->n_crossed; i++)
                tell_crossed(spending, verdict->crossed[i]);
        service_status_changed(spending->manager->service);
        budget_wait_look(spending->manager->budget_wait);
}

int spending_status(Spending *spending, Buffer *text) {
        Store *store = commit_group_store(spending->manager->group);
        micros_t limit = settings_of(spending)->worker.daily_budget;
        char gone[MONEY_TEXT_MAX], budget[MONEY_TEXT_MAX];
        LedgerAmounts today;
        int r;

        if (!store)
                return 0;
        r = store_ledger_total(store, BUDGET_ALL, calendar_day(time_now_realtime()), "", &today);
        if (r < 0 || (ledger_committed(&today) == 0 && !provider_table_is_paid(spending->manager->providers)))
                return r;
        r = buffer_printf(text, ", %s", money_format(ledger_gone(&today), gone));
        if (r >= 0 && limit != MICROS_INFINITY)
                r = buffer_printf(text, " of %s", money_format(limit, budget));
        if (r >= 0)
                r = buffer_append_text(text, " today");
        if (r >= 0 && spending_pause(spending)->since > 0)
                r = buffer_append_text(text, ", spending paused (atelierctl budget resume)");
        return r;
}

/* ------------------------------------------------------------------ metrics */

static double dollars(micros_t amount) {
        return (double) amount / (double) MICROS_PER_DOLLAR;
}

/* What cost something once keeps its series when a new day begins: at zero. */
static void measure_models(Spending *spending, Store *store, Metrics *metrics, int day) {
        const ConfGroups *models = &settings_of(spending)->common.models;

        for (size_t i = 0; i < models->count; i++) {
                const char *name = ((const ModelConf *) models->items[i])->name;
                LedgerAmounts today;

                if (store_ledger_total(store, BUDGET_MODEL, day, name, &today) >= 0 &&
                    (today.spent > 0 || metrics_get(metrics, METRIC_COST_TOTAL, METRIC_VALUES(name)) > 0))
                        metrics_set(metrics, METRIC_COST_TOTAL, METRIC_VALUES(name), dollars(today.spent));
        }
}

static void measure_budget(Store *store, Metrics *metrics, int period, micros_t limit) {
        const char *name = budget_period_name(period);
        LedgerAmounts used;

        if (store_ledger_total(store, BUDGET_ALL, period, "", &used) < 0)
                return;
        metrics_set(metrics, METRIC_BUDGET_USED, METRIC_VALUES(name), dollars(ledger_committed(&used)));
        if (limit != MICROS_INFINITY)
                metrics_set(metrics, METRIC_BUDGET_LIMIT, METRIC_VALUES(name), dollars(limit));
}

void spending_measure(Spending *spending, Metrics *metrics) {
        Store *store = commit_group_store(spending->manager->group);
        const WorkerSettings *settings = &settings_of(spending)->worker;
        usec_t now = time_now_realtime();
        int day = calendar_day(now);

        metrics_set(metrics, METRIC_BUDGET_DAY_END, NULL, (double) (calendar_day_end(now) / USEC_PER_SEC));
        if (!store)
                return;
        measure_models(spending, store, metrics, day);
        measure_budget(store, metrics, day, settings->daily_budget);
        measure_budget(store, metrics, calendar_month_of(day), settings->monthly_budget);
        measure_budget(store, metrics, BUDGET_PERIOD_EVER, settings->total_budget);
}

/* ------------------------------------------------------------------ the pause */

typedef struct PauseWrite {
        Write write;
        Spending *spending;
        BudgetPause pause;
        bool by_budget;
        void (*done)(int result, void *userdata);
        void *userdata;
} PauseWrite;

static int apply_pause(Write *write, Store *store) {
        return store_set_budget_pause(store, &CONTAINER_OF(write, PauseWrite, write)->pause);
}

static int settle_pause(Write *write, Store *store) {
        int r = apply_pause(write, store);

        return r < 0 ? r : WRITE_STANDS;
}

static void tell_pause(const PauseWrite *pause) {
        _cleanup_free_ char *key = text_format("budget pause %d", pause->pause.until_day);

        if (pause->pause.since == 0)
                log_notice("spending goes on");
        else
                log_warning("spending is paused: %s", pause->pause.reason);
        if (pause->by_budget && key)
                alert_report(pause->spending->manager->alerts, key, "budget_exceeded", "critical",
                             "spending is paused until tomorrow: a request went past the daily budget; to go on: "
                             "atelierctl budget resume");
}

static void on_pause_written(Write *write, int result) {
        PauseWrite *pause = CONTAINER_OF(write, PauseWrite, write);
        Spending *spending = pause->spending;

        if (result == 0) {
                tell_pause(pause);
                budget_pause_done(&spending->pause);
                spending->pause = pause->pause;
                pause->pause = (BudgetPause) {};
                budget_wait_look(spending->manager->budget_wait);
                service_status_changed(spending->manager->service);
        } else if (pause->by_budget && result != -ECANCELED)
                (void) log_warning_errno(result, "the pause of spending can't be written");
        if (pause->by_budget)
                spending->pausing = false;
        if (pause->done)
                pause->done(result, pause->userdata);
        budget_pause_done(&pause->pause);
        free(pause);
}

static int write_pause(Spending *spending, BudgetPause pause, const char *reason, bool by_budget,
                       void (*done)(int result, void *userdata), void *userdata) {
        PauseWrite *write = calloc(1, sizeof(*write));

        pause.reason = reason ? strdup(reason) : NULL;
        if (!write || (reason && !pause.reason)) {
                free(write);
                free(pause.reason);
                return -ENOMEM;
        }
        *write = (PauseWrite) {
                .write = { .apply = apply_pause, .settle = settle_pause, .done = on_pause_written },
                .spending = spending,
                .pause = pause,
                .by_budget = by_budget,
                .done = done,
                .userdata = userdata,
        };
        commit_group_add(spending->manager->group, &write->write);
        return 0;
}

int spending_set_pause(Spending *spending, const char *reason, void (*done)(int, void *), void *userdata) {
        return write_pause(spending, (BudgetPause) { .since = time_now_realtime() }, reason, false, done, userdata);
}

int spending_resume(Spending *spending, void (*done)(int, void *), void *userdata) {
        return write_pause(spending, (BudgetPause) {}, NULL, false, done, userdata);
}

static void pause_for_today(Spending *spending, int day) {
        int r;

        if (spending->pausing)
                return;
        r = write_pause(spending, (BudgetPause) { .since = time_now_realtime(), .until_day = day },
                        "a request went past the daily budget (worker.budget_pause)", true, NULL, NULL);
        if (r < 0)
                (void) log_warning_errno(r, "spending can't be paused");
        spending->pausing = r >= 0;
}

/* ------------------------------------------------------------------ refusals */

static int describe_pause(const BudgetPause *pause, Buffer *text) {
        char stamp[TIME_STAMP_MAX];
        int r;

        r = buffer_printf(text, "Spending is paused since %s: %s.", time_format_stamp(pause->since, stamp),
                          pause->reason);
        if (r >= 0 && pause->until_day > 0)
                r = buffer_printf(text, " It goes on at %s.",
                                  time_format_stamp(calendar_day_end(time_now_realtime()), stamp));
        return r;
}

static int describe_exceeded(const BudgetVerdict *verdict, micros_t amount, Buffer *text) {
        const BudgetLimit *limit = verdict->exceeded;
        char cost[MONEY_TEXT_MAX], committed[MONEY_TEXT_MAX], stamp[TIME_STAMP_MAX];
        usec_t now = time_now_realtime(), end;
        int r;

        end = budget_period_is_month(limit->period) ? calendar_month_end(now) : calendar_day_end(now);
        r = buffer_printf(text, "The request may cost up to %s and does not fit into ", money_format(amount, cost));
        if (r >= 0)
                r = budget_limit_describe(limit, text);
        if (r >= 0)
                r = buffer_printf(text, ", of which %s are spent or reserved.",
                                  money_format(ledger_committed(&verdict->amounts), committed));
        if (r >= 0 && limit->period != BUDGET_PERIOD_EVER)
                r = buffer_printf(text, " It starts again at %s.", time_format_stamp(end, stamp));
        return r;
}

char *spending_refused(Spending *spending, const BudgetVerdict *verdict, micros_t amount) {
        const BudgetLimit *limit = verdict->exceeded;
        _cleanup_(buffer_done) Buffer text = {};
        int r;

        if (limit && settings_of(spending)->worker.budget_pause && limit->scope == BUDGET_ALL &&
            text_equal(budget_period_name(limit->period), "day"))
                pause_for_today(spending, limit->period);
        r = limit ? describe_exceeded(verdict, amount, &text) : describe_pause(spending_pause(spending), &text);
        return r < 0 ? NULL : buffer_take_text(&text);
}
