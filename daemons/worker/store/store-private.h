/* The inner side of store.h: the connection, its prepared statements, and the translation of SQLite's results. */
#pragma once

#include <sqlite3.h>

#include "store/store-ledger.h"

typedef enum Statement {
        STATEMENT_BEGIN,
        STATEMENT_COMMIT,
        STATEMENT_ROLLBACK,
        STATEMENT_SAVEPOINT,
        STATEMENT_RELEASE,
        STATEMENT_ROLLBACK_TO,
        STATEMENT_SUBMIT,
        STATEMENT_START_JOB,
        STATEMENT_ADD_ATTEMPT,
        STATEMENT_END_JOB,
        STATEMENT_END_ATTEMPT,
        STATEMENT_ADD_IMAGE,
        STATEMENT_END_QUEUED,
        STATEMENT_DELETE,
        STATEMENT_GET,
        STATEMENT_GET_STATUS,
        STATEMENT_GET_ATTEMPTS,
        STATEMENT_GET_IMAGES,
        STATEMENT_NEXT_WAITING_MODEL,
        STATEMENT_NEXT_DUE,
        STATEMENT_NEXT_UNTRIED,
        STATEMENT_NEXT_RETRY_TIME,
        STATEMENT_OLDEST_RETRY,
        STATEMENT_LIST,
        STATEMENT_LIST_OF_KEY,
        STATEMENT_NEXT_ORPHAN,
        STATEMENT_IMAGE_USES,
        STATEMENT_HAS_ATTEMPTS,
        STATEMENT_COUNT_WAITING,
        STATEMENT_COUNT_HELD,
        STATEMENT_RELEASE_JOB,
        STATEMENT_RELEASE_ALL,
        STATEMENT_SET_COST,
        STATEMENT_AUDIT_HEAD,
        STATEMENT_AUDIT_SET_HEAD,
        STATEMENT_AUDIT_SET_EMITTED,
        STATEMENT_AUDIT_NEW_CHAIN,
        STATEMENT_AUDIT_APPEND,
        STATEMENT_AUDIT_LIST,
        STATEMENT_AUDIT_LIST_OF_KEY,
        STATEMENT_AUDIT_HASH,
        STATEMENT_AUDIT_JOB,
        STATEMENT_LEDGER_LAST,
        STATEMENT_LEDGER_APPEND,
        STATEMENT_LEDGER_LIST,
        STATEMENT_LEDGER_HASH,
        STATEMENT_LEDGER_GET_TOTAL,
        STATEMENT_LEDGER_SET_TOTAL,
        STATEMENT_LEDGER_TOTALS,
        STATEMENT_LEDGER_JOBS_RESERVED,
        STATEMENT_BUDGET_GET_PAUSE,
        STATEMENT_BUDGET_SET_PAUSE,
        STATEMENT_BUDGET_END_PAUSE,
        STATEMENT_ADD_KEY,
        STATEMENT_MERGE_KEY,
        STATEMENT_REVOKE_KEY,
        STATEMENT_ROTATE_KEY,
        STATEMENT_USE_KEY,
        STATEMENT_DELETE_KEY,
        STATEMENT_GET_KEY,
        STATEMENT_LIST_KEYS,
        STATEMENT_HAS_KEYS,
        STATEMENT_FIND_IDEMPOTENT,
        STATEMENT_ADD_IDEMPOTENT,
        STATEMENT_CACHE_FIND,
        STATEMENT_CACHE_USE,
        STATEMENT_CACHE_ADD,
        STATEMENT_CACHE_EXPIRE,
        STATEMENT_CACHE_EVICT,
        STATEMENT_CACHE_REPLACE,
        STATEMENT_CACHE_REMOVE,
        STATEMENT_CACHE_ADD_TOTAL,
        STATEMENT_CACHE_GET_TOTAL,
        STATEMENT_CACHE_CLEAR,
        STATEMENT_FIND_LEADER,
        STATEMENT_COUNT_FOLLOWERS,
        STATEMENT_COUNT_FOLLOWING,
        STATEMENT_NEXT_FOLLOWER,
        STATEMENT_GIVE_IMAGES,
        STATEMENT_END_FOLLOWERS,
        STATEMENT_PROMOTE,
        STATEMENT_FOLLOW_ANOTHER,
        STATEMENT_RECEIPT_ADD_ENTRY,
        STATEMENT_RECEIPT_SETTLE,
        STATEMENT_RECEIPT_ENTRIES,
        STATEMENT_RECEIPT_SETTLEMENT,
        STATEMENT_RECEIPT_JOBS,
        STATEMENT_WEBHOOK_ADD,
        STATEMENT_WEBHOOK_JOB_ENDED,
        STATEMENT_WEBHOOK_FOLLOWERS_END,
        STATEMENT_WEBHOOK_NEXT,
        STATEMENT_WEBHOOK_TRIED,
        STATEMENT_WEBHOOK_COUNT,
        STATEMENT_WEBHOOK_LAST_CAUSE,
        STATEMENT_WEBHOOK_RETRY,
        STATEMENT_ADD_BUDGET_WAIT,
        STATEMENT_GET_BUDGET_WAIT,
        STATEMENT_REMOVE_BUDGET_WAIT,
        STATEMENT_NEXT_WAITING_FOR_BUDGET,
        STATEMENT_COUNT_WAITING_FOR_BUDGET,
        STATEMENT_ADMIT,
        STATEMENT_RELEASE_TO_BUDGET,
        STATEMENT_ADD_UPLOAD,
        STATEMENT_END_UPLOADS,
        STATEMENT_UPLOAD_USES,
        STATEMENT_DONE_UPLOADS,
        STATEMENT_REMOVE_UPLOAD,
        STATEMENT_HAS_UPLOADS,
        STATEMENT_COUNT_DUE,
        STATEMENT_COUNT_OF_PARTY,
        STATEMENT_FIND_BATCH,
        STATEMENT_ADD_BATCH,
        STATEMENT_ADD_BATCH_ITEM,
        STATEMENT_GET_BATCH,
        STATEMENT_COUNT_BATCH,
        STATEMENT_LIST_BATCHES,
        STATEMENT_LIST_BATCHES_OF_KEY,
        STATEMENT_LIST_BATCH_ITEMS,
        STATEMENT_CANCEL_BATCH,
        STATEMENT_NEXT_WAITING_ITEM,
        STATEMENT_RETRY_CANCELLED,
        STATEMENT_GET_RATE,
        STATEMENT_SET_RATE,
        STATEMENT_ADD_DEFECT,
        STATEMENT_LIST_DEFECTS,
        STATEMENT_LIST_JOB_DEFECTS,
        _STATEMENTS,
} Statement;

/* job.held: why a job that has not ended is not dispatched. */
enum {
        STORE_HELD = 1,     /* until an operator releases it */
        STORE_FOLLOWS = 2,  /* until the job that it follows has ended */
        STORE_AWAITS_BUDGET = 3,  /* until its budgets have room for it */
};

struct Store {
        sqlite3 *database;
        sqlite3_stmt *statements[_STATEMENTS];
        sqlite3_backup *copy;        /* under way, to copy_target; or NULL */
        sqlite3 *copy_target;
        int64_t audit_emitted;       /* the last record that is in the journal, as far as this process knows */
};

/* Negative errno for a result of SQLite that is not OK, ROW or DONE. */
int store_error(const Store *store, int result);

/* The statement, prepared once, reset and without bindings. NULL when it cannot be prepared. */
sqlite3_stmt *store_statement(Store *store, Statement statement);

/* Steps a statement that yields no rows, and resets it. */
int store_step(Store *store, sqlite3_stmt *statement);
int store_run(Store *store, Statement statement);

/* As store_statement(), with the error. */
int store_prepare(Store *store, Statement which, sqlite3_stmt **ret);
void store_bind_text(sqlite3_stmt *statement, int index, const char *text);   /* NULL is NULL; not copied */
int store_column_text(sqlite3_stmt *statement, int column, char **ret);

/* Steps a statement that yields at most one integer, and resets it. STORE_NOT_FOUND without a row. */
int store_step_integer(Store *store, sqlite3_stmt *statement, int64_t *ret);

/* The rows of job->images, or of its `sequence` those that are there. */
int store_add_images(Store *store, const Job *job, int64_t sequence);
int store_read_images(Store *store, Job *job, int64_t sequence);
int store_column_json(sqlite3_stmt *statement, int column, JsonValue **ret);  /* NULL is NULL */
int store_format_json(const JsonValue *value, char **ret);
int store_format_failure(const Job *job, char **ret);

/* The cache's side of a job that is submitted: it becomes one that has ended with a cached picture, one that follows
 * another (*ret_leader), or neither. And of one that has ended: those that follow it end as it did, and what it made
 * is put into the cache. */
int store_cache_submission(Store *store, Job *job, int64_t *ret_leader);
int store_cache_end(Store *store, Job *job, int64_t sequence);

/* The job is about to be deleted: its entries go. */
int store_cache_delete(Store *store, const char *id);

/* Steps a bound statement that yields at most one job, and resets it. STORE_NOT_FOUND. */
int store_read_one_job(Store *store, sqlite3_stmt *statement, Job **ret);

/* What a submitted job must reserve before it is dispatched, where it waits for that. */
int store_add_budget_wait(Store *store, const Job *job);

/* The webhooks of a job that is submitted, of one that ends, and of those that end with their leader (before they do). */
int store_webhook_add(Store *store, const Job *job);
int store_webhook_job_ended(Store *store, int64_t sequence, usec_t ended_at);
int store_webhook_followers_end(Store *store, int64_t leader, usec_t ended_at);

/* The ledger's side of a job that is submitted (with what cost_before reserves), taken back from the queue, or whose
 * attempt ends; job->cost is what it has then. Each begins with cost_before: what is written may have to be written
 * again. As store_ledger_append(). */
int store_book_submission(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict);
int store_book_withdrawal(Store *store, Job *job);
int store_book_end(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict);

/* Appends the entry: its number, time and hash are set, all totals follow. Of a reservation the budget's limits are
 * asked: STORE_OVER_BUDGET, and nothing is appended. `budget` and `verdict` may be NULL. -ERANGE: a total would leave
 * ±MICROS_MAX. */
int store_ledger_append(Store *store, LedgerEntry *entry, const Budget *budget, BudgetVerdict *verdict);

/* The receipt's side of what is booked about the job (store-receipt.h): that there is such an entry; what its
 * settlement was the sum of. `budget` may be NULL. */
int store_receipt_add_entry(Store *store, const Job *job, int64_t entry);
int store_receipt_settle(Store *store, const Job *job, const Attempt *attempt, const Budget *budget);
