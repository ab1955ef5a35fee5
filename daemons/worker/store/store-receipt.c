#include "store/store-receipt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store-private.h"

/* ------------------------------------------------------------------ writing */

int store_receipt_add_entry(Store *store, const Job *job, int64_t entry) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_RECEIPT_ADD_ENTRY, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, job->sequence);
        (void) sqlite3_bind_int64(statement, 2, entry);
        return store_step(store, statement);
}

/* io.atelier.Ledger.CountedBudget */
static JsonValue *limit_to_json(const BudgetLimit *limit) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "scope", budget_scope_name(limit->scope));
        if (r >= 0 && limit->scope != BUDGET_ALL)
                r = json_add_string(value, "name", limit->name);
        if (r >= 0)
                r = json_add_string(value, "period", budget_period_name(limit->period));
        if (r >= 0)
                r = json_add_integer(value, "limit_micros", limit->limit);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static char *format_budget(const Budget *budget) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        if (!array)
                return NULL;
        for (size_t i = 0; budget && i < budget->n; i++)
                if (json_append(array, limit_to_json(&budget->limits[i])) < 0)
                        return NULL;
        return json_format(array);
}

int store_receipt_settle(Store *store, const Job *job, const Attempt *attempt, const Budget *budget) {
        _cleanup_free_ char *items = attempt->cost_items ? json_format(attempt->cost_items) : NULL;
        _cleanup_free_ char *budgets = format_budget(budget);
        sqlite3_stmt *statement;
        int r;

        if (!budgets || (attempt->cost_items && !items))
                return -ENOMEM;
        r = store_prepare(store, STATEMENT_RECEIPT_SETTLE, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, job->sequence);
        store_bind_text(statement, 2, items);
        store_bind_text(statement, 3, budgets);
        return store_step(store, statement);
}

/* ------------------------------------------------------------------ reading */

static int column_json(sqlite3_stmt *statement, int column, JsonValue **ret) {
        const char *text = (const char *) sqlite3_column_text(statement, column);

        if (!text)
                return 0;
        return json_parse(text, strlen(text), ret, NULL) < 0 ? -EUCLEAN : 0;
}

static int read_settlement(Store *store, const Job *job, ReceiptFacts *facts) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_RECEIPT_SETTLEMENT, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, job->sequence);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                r = column_json(statement, 0, &facts->items);
                if (r >= 0)
                        r = column_json(statement, 1, &facts->budgets);
        }
        (void) sqlite3_reset(statement);
        return r < 0 ? r : store_error(store, result);
}

/* Numbers of entries, newest first. Returns how many. */
static int read_numbers(Store *store, const Job *job, int64_t numbers[static RECEIPT_ENTRIES_MAX]) {
        sqlite3_stmt *statement;
        int count = 0, result = SQLITE_DONE, r;

        r = store_prepare(store, STATEMENT_RECEIPT_ENTRIES, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, job->sequence);
        (void) sqlite3_bind_int64(statement, 2, RECEIPT_ENTRIES_MAX);
        while (count < RECEIPT_ENTRIES_MAX && (result = sqlite3_step(statement)) == SQLITE_ROW)
                numbers[count++] = sqlite3_column_int64(statement, 0);
        (void) sqlite3_reset(statement);
        r = store_error(store, result);
        return r < 0 ? r : count;
}

/* -EUCLEAN: there is no such entry; none is ever removed. */
static int read_entry(Store *store, int64_t number, ReceiptEntry *ret) {
        LedgerEntry *entries;
        size_t count;
        int r;

        r = store_ledger_list(store, number - 1, 1, &entries, &count, ret->previous);
        if (r != 0)
                return r < 0 ? r : -EUCLEAN;
        if (count == 1 && entries[0].number == number) {
                ret->entry = entries[0];
                free(entries);
                return 0;
        }
        ledger_entries_free(entries, count);
        return -EUCLEAN;
}

int store_receipt_read(Store *store, const Job *job, ReceiptFacts *ret) {
        int64_t numbers[RECEIPT_ENTRIES_MAX];
        int count, r;

        *ret = (ReceiptFacts) {};
        r = read_settlement(store, job, ret);
        if (r < 0)
                return r;
        count = read_numbers(store, job, numbers);
        for (r = MIN(count, 0); r >= 0 && count > 0; ) {
                r = read_entry(store, numbers[--count], &ret->entries[ret->n_entries]);
                if (r >= 0)
                        ret->n_entries++;
        }
        return r < 0 ? r : store_list_job_defects(store, job->id, &ret->defects, &ret->n_defects);
}

void receipt_facts_done(ReceiptFacts *facts) {
        (void) json_free(facts->items);
        (void) json_free(facts->budgets);
        for (size_t i = 0; i < facts->n_entries; i++)
                ledger_entry_done(&facts->entries[i].entry);
        defects_free(facts->defects, facts->n_defects);
        *facts = (ReceiptFacts) {};
}

/* Appends ids of jobs that have the image in this format. */
static int find_jobs(Store *store, const char *sha256, ImageFormat format, const char *key, size_t limit,
                     char (*ids)[JOB_ID_MAX], size_t *n) {
        sqlite3_stmt *statement;
        int result = SQLITE_DONE, r;

        r = store_prepare(store, STATEMENT_RECEIPT_JOBS, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, sha256);
        store_bind_text(statement, 2, image_format_name(format));
        (void) sqlite3_bind_int64(statement, 3, RECEIPT_USES_MAX);
        store_bind_text(statement, 4, key);
        (void) sqlite3_bind_int64(statement, 5, (int64_t) (limit - *n));
        while (*n < limit && (result = sqlite3_step(statement)) == SQLITE_ROW)
                (void) snprintf(ids[(*n)++], JOB_ID_MAX, "%s", sqlite3_column_text(statement, 0));
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return store_error(store, result);
}

/* The bytes tell the format: one hash has one, whatever the columns could say. */
int store_receipt_jobs(Store *store, const char *sha256, const char *key, size_t limit, Job ***ret, size_t *ret_count) {
        char (*ids)[JOB_ID_MAX] = calloc(limit + 1, sizeof(*ids));
        Job **jobs = calloc(limit + 1, sizeof(*jobs));
        size_t n = 0, count = 0;
        int r = ids && jobs ? 0 : -ENOMEM;

        for (ImageFormat format = 0; r >= 0 && format < _IMAGE_FORMATS; format++)
                r = find_jobs(store, sha256, format, key, limit, ids, &n);
        while (r >= 0 && count < n) {
                r = store_get(store, ids[count], &jobs[count]);
                if (r == 0)
                        count++;
                else if (r > 0)
                        r = -EUCLEAN;
        }
        free(ids);
        if (r < 0) {
                while (count > 0)
                        (void) job_free(jobs[--count]);
                free(jobs);
                return r;
        }
        *ret = jobs;
        *ret_count = count;
        return 0;
}
