/* Jobs that wait for their budget: stored without a reservation, in none of the indexes of what is dispatched, until one can be
 * made. How much that must be stands beside the job, so that it outlives a restart and a restore. */
#pragma once

#include "store/store.h"

/* Submits a job that did not fit: it is to reserve `amount` once it does. As store_submit(). */
int store_submit_waiting_for_budget(Store *store, Job *job, micros_t amount);

/* The next one behind that sequence, with what it must reserve. STORE_NOT_FOUND. */
int store_next_waiting_for_budget(Store *store, int64_t after, Job **ret, micros_t *ret_amount);

/* It reserves that much, on the day of cost_before, and waits to be dispatched. STORE_OVER_BUDGET: nothing changes. */
int store_admit(Store *store, Job *job, micros_t amount, const Budget *budget, BudgetVerdict *verdict);

int store_count_waiting_for_budget(Store *store, int64_t *ret);
