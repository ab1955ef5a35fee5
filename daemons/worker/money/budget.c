#include "money/budget.h"

#include "base/calendar.h"
#include "base/text.h"

static const char *const scope_names[_BUDGET_SCOPES] = {
        [BUDGET_ALL] = "all", [BUDGET_MODEL] = "model", [BUDGET_KEY] = "key",
};

const char *budget_scope_name(BudgetScope scope) {
        return (unsigned) scope < _BUDGET_SCOPES ? scope_names[scope] : NULL;
}

bool budget_period_is_month(int period) {
        return period > BUDGET_PERIOD_EVER && period < 1000000;
}

const char *budget_period_name(int period) {
        return period == BUDGET_PERIOD_EVER ? "total" : budget_period_is_month(period) ? "month" : "day";
}

/* A share of an amount, rounded down, without leaving 64 bits. */
static micros_t share_of(micros_t limit, int64_t millionths) {
        return limit / MICROS_PER_DOLLAR * millionths + limit % MICROS_PER_DOLLAR * millionths / MICROS_PER_DOLLAR;
}

static void add_limit(Budget *budget, const Settings *settings, BudgetScope scope, const char *name, int period,
                      micros_t limit) {
        if (limit == MICROS_INFINITY)
                return;
        budget->limits[budget->n++] = (BudgetLimit) {
                .scope = scope,
                .name = name,
                .period = period,
                .limit = limit,
                .alert = share_of(limit, settings->worker.budget_alert),
        };
}

void budget_of(const Settings *settings, const char *model_name, const KeyBudget *key, int day, Budget *ret) {
        const ModelConf *model = settings_find_model(settings, model_name);
        const WorkerSettings *all = &settings->worker;
        int month = calendar_month_of(day);

        *ret = (Budget) {};
        add_limit(ret, settings, BUDGET_ALL, "", day, all->daily_budget);
        add_limit(ret, settings, BUDGET_ALL, "", month, all->monthly_budget);
        add_limit(ret, settings, BUDGET_ALL, "", BUDGET_PERIOD_EVER, all->total_budget);
        if (model) {
                add_limit(ret, settings, BUDGET_MODEL, model_name, day, model->daily_budget);
                add_limit(ret, settings, BUDGET_MODEL, model_name, month, model->monthly_budget);
                add_limit(ret, settings, BUDGET_MODEL, model_name, BUDGET_PERIOD_EVER, model->total_budget);
        }
        if (key) {
                add_limit(ret, settings, BUDGET_KEY, key->key, day, key->daily);
                add_limit(ret, settings, BUDGET_KEY, key->key, month, key->monthly);
                add_limit(ret, settings, BUDGET_KEY, key->key, BUDGET_PERIOD_EVER, key->total);
        }
}

bool budget_limit_fits(const BudgetLimit *limit, const LedgerAmounts *amounts, micros_t amount) {
        return amount <= limit->limit && ledger_committed(amounts) <= limit->limit - amount;
}

bool budget_limit_crossed(const BudgetLimit *limit, const LedgerAmounts *before, const LedgerAmounts *after) {
        return ledger_gone(before) < limit->alert && ledger_gone(after) >= limit->alert;
}

int64_t budget_limit_share(const BudgetLimit *limit, micros_t amount) {
        if (amount >= limit->limit)
                return MICROS_PER_DOLLAR;
        if (amount <= INT64_MAX / MICROS_PER_DOLLAR)
                return amount * MICROS_PER_DOLLAR / limit->limit;
        return amount / (limit->limit / MICROS_PER_DOLLAR);
}

int budget_limit_describe(const BudgetLimit *limit, Buffer *text) {
        char amount[MONEY_TEXT_MAX];
        const char *period = limit->period == BUDGET_PERIOD_EVER ? "total"
                             : budget_period_is_month(limit->period) ? "monthly" : "daily";
        int r;

        r = buffer_printf(text, "the %s budget", period);
        if (r >= 0 && limit->scope != BUDGET_ALL)
                r = buffer_printf(text, " of %s %s", budget_scope_name(limit->scope), limit->name);
        return r < 0 ? r : buffer_printf(text, " of %s", money_format(limit->limit, amount));
}

bool budget_may_have_room(const BudgetVerdict *verdict, micros_t amount) {
        const BudgetLimit *limit = verdict->exceeded;

        return !limit || (limit->period != BUDGET_PERIOD_EVER && amount <= limit->limit);
}
