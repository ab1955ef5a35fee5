#include "store/store-batch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/store-budget-wait.h"
#include "store/store-private.h"

/* ------------------------------------------------------------------ submission */

typedef struct BatchSubmission {
        Batch *batch;
        BatchItem *items;
        size_t count, fits;
} BatchSubmission;

/* The batch that is meant is there: STORE_EXISTS with its id, or STORE_KEY_REUSED. 0: there is none. */
static int find_same(Store *store, Batch *batch) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_FIND_BATCH, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, batch->id);
        store_bind_text(statement, 2, batch->key ?: "");
        store_bind_text(statement, 3, batch->idempotency.key);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                const char *body = (const char *) sqlite3_column_text(statement, 1);

                r = body && !text_equal(body, batch->idempotency.request) ? STORE_KEY_REUSED : STORE_EXISTS;
                (void) snprintf(batch->id, sizeof(batch->id), "%s", sqlite3_column_text(statement, 0));
        } else
                r = store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

static int insert_batch(Store *store, Batch *batch) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_ADD_BATCH, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, batch->id);
        store_bind_text(statement, 2, batch->key);
        store_bind_text(statement, 3, batch->model);
        store_bind_text(statement, 4, batch->metadata);
        (void) sqlite3_bind_int64(statement, 5, batch->n_items);
        (void) sqlite3_bind_int64(statement, 6, (int64_t) batch->created_at);
        store_bind_text(statement, 7, batch->idempotency.key ? batch->key ?: "" : NULL);
        store_bind_text(statement, 8, batch->idempotency.key);
        store_bind_text(statement, 9, batch->idempotency.key ? batch->idempotency.request : NULL);
        r = store_step(store, statement);
        if (r >= 0)
                batch->sequence = sqlite3_last_insert_rowid(store->database);
        return r;
}

static int insert_item(Store *store, const Batch *batch, const BatchItem *item) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_ADD_BATCH_ITEM, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, batch->sequence);
        (void) sqlite3_bind_int64(statement, 2, item->number);
        (void) sqlite3_bind_int64(statement, 3, item->job->sequence);
        store_bind_text(statement, 4, item->custom_id);
        return store_step(store, statement);
}

static int submit_item(Store *store, BatchItem *item) {
        micros_t amount = item->job->cost_before.reserved;
        int r;

        item->verdict = (BudgetVerdict) {};
        r = store_submit(store, item->job, &item->budget, &item->verdict);
        if (r == STORE_OVER_BUDGET && item->may_wait && budget_may_have_room(&item->verdict, amount))
                r = store_submit_waiting_for_budget(store, item->job, amount);
        return r;
}

static int do_submit_batch(Store *store, void *userdata) {
        BatchSubmission *submission = userdata;
        int r;

        r = find_same(store, submission->batch);
        if (r == 0)
                r = insert_batch(store, submission->batch);
        for (submission->fits = 0; r == 0 && submission->fits < submission->count;) {
                BatchItem *item = &submission->items[submission->fits];

                r = submit_item(store, item);
                if (r == 0)
                        r = insert_item(store, submission->batch, item);
                if (r == 0)
                        submission->fits++;
                else if (r == STORE_EXISTS)
                        r = -EIO;  /* its id is new, and so was drawn twice */
        }
        return r;
}

int store_submit_batch(Store *store, Batch *batch, BatchItem *items, size_t count, size_t *ret_fits) {
        BatchSubmission submission = { batch, items, count, 0 };
        int r;

        r = store_run_in_savepoint(store, do_submit_batch, &submission);
        *ret_fits = submission.fits;
        return r;
}

/* ------------------------------------------------------------------ reading */

/* Adds what its jobs are. */
static int count_jobs(Store *store, Batch *batch) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_COUNT_BATCH, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, batch->sequence);
        while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
                int status = sqlite3_column_int(statement, 0);
                usec_t started_at = (usec_t) sqlite3_column_int64(statement, 5);

                if (!job_status_name((JobStatus) status)) {
                        r = -EUCLEAN;
                        break;
                }
                batch->counts[status] = sqlite3_column_int64(statement, 1);
                batch->cost.reserved += sqlite3_column_int64(statement, 2);
                batch->cost.charged += sqlite3_column_int64(statement, 3);
                batch->cost.unknown += sqlite3_column_int64(statement, 4);
                if (started_at > 0 && (batch->started_at == 0 || started_at < batch->started_at))
                        batch->started_at = started_at;
                batch->ended_at = MAX(batch->ended_at, (usec_t) sqlite3_column_int64(statement, 6));
        }
        if (r >= 0)
                r = store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

/* At the row of a statement with the columns of STATEMENT_GET_BATCH. */
static int read_batch(sqlite3_stmt *statement, Batch **ret) {
        _cleanup_(batch_freep) Batch *batch = calloc(1, sizeof(*batch));
        int r;

        if (!batch)
                return -ENOMEM;
        batch->sequence = sqlite3_column_int64(statement, 0);
        (void) snprintf(batch->id, sizeof(batch->id), "%s", sqlite3_column_text(statement, 1));
        batch->n_items = sqlite3_column_int64(statement, 5);
        batch->created_at = (usec_t) sqlite3_column_int64(statement, 6);
        batch->cancelled_at = (usec_t) sqlite3_column_int64(statement, 7);
        r = store_column_text(statement, 2, &batch->key);
        if (r >= 0)
                r = store_column_text(statement, 3, &batch->model);
        if (r >= 0)
                r = store_column_text(statement, 4, &batch->metadata);
        if (r >= 0)
                *ret = TAKE_PTR(batch);
        return r;
}

int store_get_batch(Store *store, const char *id, Batch **ret) {
        _cleanup_(batch_freep) Batch *batch = NULL;
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_GET_BATCH, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                r = read_batch(statement, &batch);
        else
                r = result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        if (r == 0)
                r = count_jobs(store, batch);
        if (r == 0)
                *ret = TAKE_PTR(batch);
        return r;
}

void batches_free(Batch **batches, size_t count) {
        for (size_t i = 0; i < count; i++)
                (void) batch_free(batches[i]);
        free(batches);
}

int store_list_batches(Store *store, const char *key, const char *after, size_t limit, Batch ***ret,
                       size_t *ret_count) {
        Batch **batches = calloc(limit + 1, sizeof(*batches));
        sqlite3_stmt *statement;
        size_t count = 0;
        int result = SQLITE_DONE, r;

        if (!batches)
                return -ENOMEM;
        r = store_prepare(store, key ? STATEMENT_LIST_BATCHES_OF_KEY : STATEMENT_LIST_BATCHES, &statement);
        if (r >= 0) {
                store_bind_text(statement, 1, after);
                (void) sqlite3_bind_int64(statement, 2, (int64_t) limit);
                if (key)
                        store_bind_text(statement, 3, key);
                while (r >= 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
                        r = read_batch(statement, &batches[count]);
                        if (r >= 0)
                                r = count_jobs(store, batches[count++]);
                }
                if (r >= 0)
                        r = store_error(store, result);
                (void) sqlite3_reset(statement);
                (void) sqlite3_clear_bindings(statement);
        }
        if (r < 0) {
                batches_free(batches, count);
                return r;
        }
        *ret = batches;
        *ret_count = count;
        return 0;
}

/* At the row of STATEMENT_LIST_BATCH_ITEMS. */
static int read_item(Store *store, sqlite3_stmt *statement, BatchItem *item) {
        const char *job = (const char *) sqlite3_column_text(statement, 2);
        int r;

        *item = (BatchItem) { .number = sqlite3_column_int64(statement, 0) };
        r = store_column_text(statement, 1, &item->custom_id);
        return r < 0 || !job ? r : MIN(store_get(store, job, &item->job), 0);
}

int store_list_batch_items(Store *store, const Batch *batch, int64_t after, size_t limit, BatchItem **ret,
                           size_t *ret_count) {
        BatchItem *items = calloc(limit + 1, sizeof(*items));
        sqlite3_stmt *statement;
        size_t count = 0;
        int result = SQLITE_DONE, r;

        if (!items)
                return -ENOMEM;
        r = store_prepare(store, STATEMENT_LIST_BATCH_ITEMS, &statement);
        if (r >= 0) {
                (void) sqlite3_bind_int64(statement, 1, batch->sequence);
                (void) sqlite3_bind_int64(statement, 2, after);
                (void) sqlite3_bind_int64(statement, 3, (int64_t) limit);
                while (r >= 0 && (result = sqlite3_step(statement)) == SQLITE_ROW)
                        r = read_item(store, statement, &items[count++]);
                if (r >= 0)
                        r = store_error(store, result);
                (void) sqlite3_reset(statement);
        }
        if (r < 0) {
                batch_items_free(items, count);
                return r;
        }
        *ret = items;
        *ret_count = count;
        return 0;
}

/* ------------------------------------------------------------------ cancellation */

int store_cancel_batch(Store *store, const Batch *batch, usec_t now) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_CANCEL_BATCH, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, batch->sequence);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) now);
        return store_step(store, statement);
}

int store_next_waiting_item(Store *store, const Batch *batch, int64_t before, int64_t *ret_number, Job **ret) {
        char id[JOB_ID_MAX] = "";
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_NEXT_WAITING_ITEM, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, batch->sequence);
        (void) sqlite3_bind_int64(statement, 2, before);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                *ret_number = sqlite3_column_int64(statement, 0);
                (void) snprintf(id, sizeof(id), "%s", sqlite3_column_text(statement, 1));
        }
        (void) sqlite3_reset(statement);
        if (result == SQLITE_DONE)
                return STORE_NOT_FOUND;
        return result == SQLITE_ROW ? store_get(store, id, ret) : store_error(store, result);
}

int store_end_retry_of_batch(Store *store, Job *job) {
        sqlite3_stmt *statement;
        int64_t cancelled;
        int r;

        r = store_prepare(store, STATEMENT_RETRY_CANCELLED, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, job->sequence);
        r = store_step_integer(store, statement, &cancelled);
        if (r != 0 || !cancelled)
                return r;
        job->status = JOB_CANCELLED;
        job->ended_at = job->attempts[job->n_attempts - 1].ended_at;
        job->attempts[job->n_attempts - 1].retry_delay = 0;
        job->not_before = 0;
        return 0;
}
