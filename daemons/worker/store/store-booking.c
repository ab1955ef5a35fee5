/* What becomes of a job's money, in the savepoint that changes the job (ledger.h has the table). */
#include <errno.h>

#include "base/calendar.h"
#include "store/store-private.h"

static int set_cost(Store *store, const Job *job) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_SET_COST, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->id);
        (void) sqlite3_bind_int64(statement, 2, job->cost.reserved);
        (void) sqlite3_bind_int64(statement, 3, job->cost.charged);
        (void) sqlite3_bind_int64(statement, 4, job->cost.unknown);
        (void) sqlite3_bind_int64(statement, 5, job->cost.day);
        (void) sqlite3_bind_int64(statement, 6, job->cost.entry);
        return store_step(store, statement);
}

/* One entry about the job; `provider` and `note` may be NULL. */
static int book(Store *store, Job *job, LedgerKind kind, const char *provider, const LedgerAmounts *change,
                const char *note, const Budget *budget, BudgetVerdict *verdict) {
        /* Without a day it was to cost nothing when it was accepted. */
        int day = job->cost.day ?: calendar_day(time_now_realtime());
        LedgerEntry entry = {
                .kind = kind,
                .day = day,
                .job = job->id,
                .key = job->key,
                .model = job->model,
                .provider = (char *) provider,
                .change = *change,
                .note = (char *) note,
        };
        int r;

        r = store_ledger_append(store, &entry, budget, verdict);
        if (r != 0)
                return r;
        job->cost.reserved += change->reserved;
        job->cost.charged += change->spent;
        job->cost.unknown += change->unknown;
        job->cost.day = day;
        job->cost.entry = entry.number;
        return store_receipt_add_entry(store, job, entry.number);
}

static int book_reservation(Store *store, Job *job, micros_t amount, const Budget *budget, BudgetVerdict *verdict) {
        return book(store, job, LEDGER_RESERVE, NULL, &(LedgerAmounts) { .reserved = amount }, NULL, budget, verdict);
}

static int book_release(Store *store, Job *job, const char *provider) {
        const LedgerAmounts change = { .reserved = -job->cost.reserved };

        return book(store, job, LEDGER_RELEASE, provider, &change, NULL, NULL, NULL);
}

static int book_settlement(Store *store, Job *job, const Attempt *attempt, const Budget *budget,
                           BudgetVerdict *verdict) {
        LedgerAmounts change = {
                .reserved = -job->cost.reserved,
                .spent = attempt->cost,
                .images = (int64_t) job->n_images,
        };

        int r;

        r = book(store, job, LEDGER_SETTLE, attempt->provider, &change, attempt->cost_note, budget, verdict);
        return r != 0 ? r : store_receipt_settle(store, job, attempt, budget);
}

static int fail_over_budget(Job *job, const BudgetVerdict *verdict) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_free_ char *message = NULL;
        int r;

        r = buffer_append_text(&text, "The last attempt may have been charged, and ");
        if (r >= 0 && verdict->exceeded)
                r = budget_limit_describe(verdict->exceeded, &text);
        if (r >= 0)
                r = buffer_append_text(&text, verdict->exceeded ? " has no room for another." : "spending is paused.");
        message = r < 0 ? NULL : buffer_take_text(&text);
        if (!message)
                return -ENOMEM;
        job->status = JOB_FAILED;
        job->ended_at = job->attempts[job->n_attempts - 1].ended_at;
        job->attempts[job->n_attempts - 1].retry_delay = 0;
        job->not_before = 0;
        return failure_set(&job->failure, 429, "insufficient_quota", "budget_exceeded", NULL, message);
}

/* It may have been charged, and what it may cost again is reserved anew. */
static int book_unknown(Store *store, Job *job, const Attempt *attempt, const Budget *budget, BudgetVerdict *verdict) {
        micros_t amount = job->cost.reserved;
        BudgetVerdict again = {};
        int r;

        r = book(store, job, LEDGER_UNKNOWN, attempt->provider,
                 &(LedgerAmounts) { .reserved = -amount, .unknown = amount }, attempt->cost_note, budget, verdict);
        if (r != 0 || job->status != JOB_QUEUED)
                return r;
        r = book_reservation(store, job, amount, budget, &again);
        return r == STORE_OVER_BUDGET ? fail_over_budget(job, &again) : r;
}

int store_book_submission(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict) {
        micros_t amount = job->cost_before.reserved;
        int r;

        if (amount == 0)
                return 0;
        job->cost = (JobCost) { .day = job->cost_before.day };
        r = book_reservation(store, job, amount, budget, verdict);
        return r != 0 ? r : set_cost(store, job);
}

int store_book_withdrawal(Store *store, Job *job) {
        int r;

        job->cost = job->cost_before;
        if (job->cost.reserved == 0)
                return 0;
        r = book_release(store, job, NULL);
        return r != 0 ? r : set_cost(store, job);
}

int store_book_end(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict) {
        const Attempt *attempt = &job->attempts[job->n_attempts - 1];
        int r;

        job->cost = job->cost_before;
        if (attempt->outcome == ATTEMPT_COMPLETED && (attempt->cost > 0 || job->cost.reserved > 0))
                r = book_settlement(store, job, attempt, budget, verdict);
        else if (job->cost.reserved == 0)
                return 0;
        else if (attempt->outcome == ATTEMPT_UNKNOWN)
                r = book_unknown(store, job, attempt, budget, verdict);
        else if (job_status_ended(job->status))
                r = book_release(store, job, attempt->provider);
        else
                return 0;
        return r != 0 ? r : set_cost(store, job);
}
