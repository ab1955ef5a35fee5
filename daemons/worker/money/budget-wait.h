/* Jobs that wait until their budgets have room for them: see budget-wait.c. */
#pragma once

#include "manager.h"
#include "money/budget.h"
#include "store/job.h"

int budget_wait_new(BudgetWait **ret, Manager *manager);
BudgetWait *budget_wait_free(BudgetWait *wait);
DEFINE_CLEANUP(BudgetWait *, budget_wait_free);

/* Counts them afresh: when the store has come into use, or what they are was changed. */
void budget_wait_recount(BudgetWait *wait);
int64_t budget_wait_count(const BudgetWait *wait);

/* There may be room now: money was given back, spending goes on, the settings have changed. */
void budget_wait_look(BudgetWait *wait);

void budget_wait_quiesce(BudgetWait *wait);
