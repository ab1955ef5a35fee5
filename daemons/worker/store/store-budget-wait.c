#include "store/store-budget-wait.h"

#include <errno.h>

#include "store/store-private.h"

typedef struct Admission {
        Job *job;
        micros_t amount;
        const Budget *budget;
        BudgetVerdict *verdict;
} Admission;

int store_submit_waiting_for_budget(Store *store, Job *job, micros_t amount) {
        job->awaits_budget = true;
        job->awaited = amount;
        job->cost_before = (JobCost) {};
        return store_submit(store, job, NULL, NULL);
}

int store_add_budget_wait(Store *store, const Job *job) {
        sqlite3_stmt *statement;
        int r;

        if (!job->awaits_budget || job_status_ended(job->status) || job->cache.follows)
                return 0;
        r = store_prepare(store, STATEMENT_ADD_BUDGET_WAIT, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, job->sequence);
        (void) sqlite3_bind_int64(statement, 2, job->awaited);
        return store_step(store, statement);
}

int store_next_waiting_for_budget(Store *store, int64_t after, Job **ret, micros_t *ret_amount) {
        _cleanup_(job_freep) Job *job = NULL;
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_NEXT_WAITING_FOR_BUDGET, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, after);
        r = store_read_one_job(store, statement, &job);
        if (r != 0)
                return r;
        r = store_prepare(store, STATEMENT_GET_BUDGET_WAIT, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, job->sequence);
        r = store_step_integer(store, statement, ret_amount);
        if (r != 0)
                return r < 0 ? r : -EUCLEAN;
        *ret = TAKE_PTR(job);
        return 0;
}

static int run_on(Store *store, Statement which, int64_t sequence) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, which, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, sequence);
        return store_step(store, statement);
}

static int do_admit(Store *store, void *userdata) {
        Admission *admission = userdata;
        Job *job = admission->job;
        int r;

        r = run_on(store, STATEMENT_ADMIT, job->sequence);
        if (r < 0)
                return r;
        if (sqlite3_changes(store->database) == 0)
                return STORE_WRONG_STATE;
        r = run_on(store, STATEMENT_REMOVE_BUDGET_WAIT, job->sequence);
        return r < 0 ? r : store_book_submission(store, job, admission->budget, admission->verdict);
}

int store_admit(Store *store, Job *job, micros_t amount, const Budget *budget, BudgetVerdict *verdict) {
        job->cost_before.reserved = amount;
        return store_run_in_savepoint(store, do_admit, &(Admission) { job, amount, budget, verdict });
}

int store_count_waiting_for_budget(Store *store, int64_t *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_COUNT_WAITING_FOR_BUDGET, &statement);
        return r < 0 ? r : store_step_integer(store, statement, ret);
}
