/* Budgets: which limits a job counts against, and whether it fits. Pure.
 *
 * A budget is a limit on what is spent, reserved and possibly charged (ledger_committed()) within one scope and one
 * period. A job counts against all of its scopes at once; none is ever exceeded by a reservation. */
#pragma once

#include "base/buffer.h"
#include "base/macro.h"
#include "conf/settings.h"
#include "money/ledger.h"

/* The numbers stand in the database. */
typedef enum BudgetScope {
        BUDGET_ALL = 0,
        BUDGET_MODEL = 1,
        BUDGET_KEY = 2,
        _BUDGET_SCOPES,
} BudgetScope;

#define BUDGET_PERIOD_EVER 0       /* beside days and months of calendar.h */
#define BUDGET_PERIODS 3           /* day, month, ever */
#define BUDGET_LIMITS_MAX (_BUDGET_SCOPES * BUDGET_PERIODS)

const char *budget_scope_name(BudgetScope scope);   /* "all", "model", "key"; NULL: there is no such scope */
const char *budget_period_name(int period);         /* "day", "month", "total" */
bool budget_period_is_month(int period);

typedef struct BudgetLimit {
        BudgetScope scope;
        const char *name;          /* of the model or key; "" for all */
        int period;
        micros_t limit;
        micros_t alert;            /* once so much has gone, somebody is told */
} BudgetLimit;

/* All limits of one job; none that is infinite. */
typedef struct Budget {
        bool paused;               /* nothing fits */
        BudgetLimit limits[BUDGET_LIMITS_MAX];
        size_t n;
} Budget;

/* What a client key may spend; MICROS_INFINITY: no limit of its own. */
typedef struct KeyBudget {
        const char *key;
        micros_t daily, monthly, total;
} KeyBudget;

/* What became of an entry: of the budget's limits, the one that it would have exceeded, those whose alert it has
 * crossed. */
typedef struct BudgetVerdict {
        const BudgetLimit *exceeded;   /* NULL: spending is paused */
        LedgerAmounts amounts;     /* of the one exceeded, as they are */
        const BudgetLimit *crossed[BUDGET_LIMITS_MAX];
        size_t n_crossed;
} BudgetVerdict;

/* Of one that did not fit: may there be room for `amount` some day? */
bool budget_may_have_room(const BudgetVerdict *verdict, micros_t amount);

/* Of a job with that model accepted on that day. `key` may be NULL. The strings of *ret are the arguments'. */
void budget_of(const Settings *settings, const char *model, const KeyBudget *key, int day, Budget *ret);

/* Does an entry that commits `amount` more fit? */
bool budget_limit_fits(const BudgetLimit *limit, const LedgerAmounts *amounts, micros_t amount);

/* Does what has gone cross the alert by an entry that makes `before` into `after`? */
bool budget_limit_crossed(const BudgetLimit *limit, const LedgerAmounts *before, const LedgerAmounts *after);

/* How much of it so much is: a share in millionths, rounded down and at most one whole. */
int64_t budget_limit_share(const BudgetLimit *limit, micros_t amount);

/* "the daily budget of $50.00", "the monthly budget of key K of $5.00". -ENOMEM. */
int budget_limit_describe(const BudgetLimit *limit, Buffer *text);
