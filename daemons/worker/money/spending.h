/* Spending: which budget a job has, whether anything may be spent at all, and who is told when money goes. */
#pragma once

#include "manager.h"
#include "money/budget.h"
#include "store/store-ledger.h"

typedef struct Spending Spending;

/* Takes the time zone of budgets from the settings and the pause from the store. */
int spending_new(Spending **ret, Manager *manager);
Spending *spending_free(Spending *spending);
DEFINE_CLEANUP(Spending *, spending_free);

/* The settings have changed, or the store has. */
int spending_reload(Spending *spending);

/* Of a job with that model, and key (NULL: none), that counts on that day. */
void spending_budget(Spending *spending, const char *model, const char *key, int day, Budget *ret);

/* What the tightest budget of a job that came now has left, MICROS_INFINITY where nothing limits it; and whether all
 * spending is paused. -EIO while there is no store. */
int spending_left(Spending *spending, const char *model, const char *key, micros_t *ret, bool *ret_paused);

/* How much of the tightest budget of such a job is spent, reserved or possibly charged: a share in millionths, at most
 * one whole; 0 where nothing limits it. -EIO while there is no store. */
int spending_share_gone(Spending *spending, const char *model, const char *key, int64_t *ret);

/* Entries with that verdict are durable: alerts that were crossed are told. */
void spending_booked(Spending *spending, const BudgetVerdict *verdict);

/* Why a job that may cost `amount` was refused (STORE_OVER_BUDGET), in words for its client. One that met the end of
 * the daily budget may pause all spending (worker.budget_pause). NULL when memory is short. */
char *spending_refused(Spending *spending, const BudgetVerdict *verdict, micros_t amount);

/* The pause in force; since 0: none. Its strings are the spending's. */
const BudgetPause *spending_pause(Spending *spending);

/* Pauses until resumed, or ends a pause; `done` is told once it is durable. */
int spending_set_pause(Spending *spending, const char *reason, void (*done)(int result, void *userdata),
                       void *userdata);
int spending_resume(Spending *spending, void (*done)(int result, void *userdata), void *userdata);

/* Sets the gauges of cost and budgets as they are now. */
void spending_measure(Spending *spending, Metrics *metrics);

/* "$4.10 of $50.00 today"; nothing where nothing costs money. */
int spending_status(Spending *spending, Buffer *text);
