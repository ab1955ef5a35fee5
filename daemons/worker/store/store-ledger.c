#include "store/store-ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/text.h"
#include "store/store-private.h"

/* ------------------------------------------------------------------ totals */

int store_ledger_total(Store *store, BudgetScope scope, int period, const char *name, LedgerAmounts *ret) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_LEDGER_GET_TOTAL, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int(statement, 1, scope);
        (void) sqlite3_bind_int(statement, 2, period);
        store_bind_text(statement, 3, name);
        result = sqlite3_step(statement);
        *ret = (LedgerAmounts) {};
        if (result == SQLITE_ROW)
                *ret = (LedgerAmounts) {
                        .reserved = sqlite3_column_int64(statement, 0),
                        .spent = sqlite3_column_int64(statement, 1),
                        .unknown = sqlite3_column_int64(statement, 2),
                        .images = sqlite3_column_int64(statement, 3),
                };
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return store_error(store, result);
}

static int set_total(Store *store, BudgetScope scope, int period, const char *name, const LedgerAmounts *amounts) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_LEDGER_SET_TOTAL, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int(statement, 1, scope);
        (void) sqlite3_bind_int(statement, 2, period);
        store_bind_text(statement, 3, name);
        (void) sqlite3_bind_int64(statement, 4, amounts->reserved);
        (void) sqlite3_bind_int64(statement, 5, amounts->spent);
        (void) sqlite3_bind_int64(statement, 6, amounts->unknown);
        (void) sqlite3_bind_int64(statement, 7, amounts->images);
        return store_step(store, statement);
}

static const BudgetLimit *find_limit(const Budget *budget, BudgetScope scope, int period) {
        for (size_t i = 0; budget && i < budget->n; i++)
                if (budget->limits[i].scope == scope && budget->limits[i].period == period)
                        return &budget->limits[i];
        return NULL;
}

/* Asks the limit of this scope and period, if there is one. */
static int judge(const BudgetLimit *limit, const LedgerAmounts *before, const LedgerAmounts *after,
                 const LedgerEntry *entry, BudgetVerdict *verdict) {
        if (!limit)
                return 0;
        if (entry->kind == LEDGER_RESERVE && !budget_limit_fits(limit, before, entry->change.reserved)) {
                if (verdict) {
                        verdict->exceeded = limit;
                        verdict->amounts = *before;
                }
                return STORE_OVER_BUDGET;
        }
        if (verdict && budget_limit_crossed(limit, before, after) && verdict->n_crossed < BUDGET_LIMITS_MAX)
                verdict->crossed[verdict->n_crossed++] = limit;
        return 0;
}

static const char *scope_name(const LedgerEntry *entry, BudgetScope scope) {
        return scope == BUDGET_ALL ? "" : scope == BUDGET_MODEL ? entry->model : entry->key;
}

static int add_to_totals(Store *store, const LedgerEntry *entry, const Budget *budget, BudgetVerdict *verdict) {
        const int periods[BUDGET_PERIODS] = { entry->day, calendar_month_of(entry->day), BUDGET_PERIOD_EVER };

        for (BudgetScope scope = 0; scope < _BUDGET_SCOPES; scope++) {
                const char *name = scope_name(entry, scope);

                for (size_t i = 0; name && i < BUDGET_PERIODS; i++) {
                        LedgerAmounts before, after;
                        int r;

                        r = store_ledger_total(store, scope, periods[i], name, &before);
                        if (r < 0)
                                return r;
                        after = before;
                        r = ledger_amounts_add(&after, &entry->change);
                        if (r >= 0)
                                r = judge(find_limit(budget, scope, periods[i]), &before, &after, entry, verdict);
                        if (r == 0)
                                r = set_total(store, scope, periods[i], name, &after);
                        if (r != 0)
                                return r;
                }
        }
        return 0;
}

static size_t next_allocation(size_t count) {
        return count == 0 ? 16 : 2 * count;
}

int store_ledger_totals(Store *store, BudgetScope scope, int from, int to, size_t limit, LedgerTotal **ret,
                        size_t *ret_count) {
        LedgerTotal *totals = NULL;
        size_t count = 0, allocated = 0;
        sqlite3_stmt *statement;
        int result = SQLITE_DONE, r;

        r = store_prepare(store, STATEMENT_LEDGER_TOTALS, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int(statement, 1, scope);
        (void) sqlite3_bind_int(statement, 2, from);
        (void) sqlite3_bind_int(statement, 3, to);
        (void) sqlite3_bind_int64(statement, 4, (int64_t) limit);
        while (r >= 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
                if (count == allocated) {
                        LedgerTotal *more = reallocarray(totals, next_allocation(count), sizeof(*totals));

                        if (!more) {
                                r = -ENOMEM;
                                break;
                        }
                        totals = more;
                        allocated = next_allocation(count);
                }
                totals[count] = (LedgerTotal) {
                        .scope = scope,
                        .period = sqlite3_column_int(statement, 0),
                        .amounts = {
                                .reserved = sqlite3_column_int64(statement, 2),
                                .spent = sqlite3_column_int64(statement, 3),
                                .unknown = sqlite3_column_int64(statement, 4),
                                .images = sqlite3_column_int64(statement, 5),
                        },
                };
                r = store_column_text(statement, 1, &totals[count++].name);
        }
        (void) sqlite3_reset(statement);
        if (r >= 0)
                r = store_error(store, result);
        if (r < 0) {
                ledger_totals_free(totals, count);
                return r;
        }
        *ret = totals;
        *ret_count = count;
        return 0;
}

void ledger_totals_free(LedgerTotal *totals, size_t count) {
        for (size_t i = 0; i < count; i++)
                free(totals[i].name);
        free(totals);
}

/* ------------------------------------------------------------------ entries */

int store_ledger_last(Store *store, int64_t *ret_number, char ret_hash[static SHA256_TEXT_MAX]) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_LEDGER_LAST, &statement);
        if (r < 0)
                return r;
        *ret_number = 0;
        (void) strcpy(ret_hash, LEDGER_FIRST_HASH);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                const char *hash = (const char *) sqlite3_column_text(statement, 1);

                *ret_number = sqlite3_column_int64(statement, 0);
                if (hash && strlen(hash) < SHA256_TEXT_MAX)
                        (void) strcpy(ret_hash, hash);
        }
        (void) sqlite3_reset(statement);
        return store_error(store, result);
}

static int insert_entry(Store *store, const LedgerEntry *entry) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_LEDGER_APPEND, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, entry->number);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) entry->at);
        (void) sqlite3_bind_int(statement, 3, entry->kind);
        (void) sqlite3_bind_int(statement, 4, entry->day);
        store_bind_text(statement, 5, entry->job);
        store_bind_text(statement, 6, entry->key);
        store_bind_text(statement, 7, entry->model);
        store_bind_text(statement, 8, entry->provider);
        (void) sqlite3_bind_int64(statement, 9, entry->change.reserved);
        (void) sqlite3_bind_int64(statement, 10, entry->change.spent);
        (void) sqlite3_bind_int64(statement, 11, entry->change.unknown);
        (void) sqlite3_bind_int64(statement, 12, entry->change.images);
        store_bind_text(statement, 13, entry->note);
        store_bind_text(statement, 14, entry->hash);
        return store_step(store, statement);
}

int store_ledger_append(Store *store, LedgerEntry *entry, const Budget *budget, BudgetVerdict *verdict) {
        char previous[SHA256_TEXT_MAX];
        int r;

        if (entry->kind == LEDGER_RESERVE && budget && budget->paused)
                return STORE_OVER_BUDGET;
        r = add_to_totals(store, entry, budget, verdict);
        if (r == 0)
                r = store_ledger_last(store, &entry->number, previous);
        if (r != 0)
                return r;
        entry->number++;
        entry->at = time_now_realtime();
        r = ledger_entry_hash(entry, previous, entry->hash);
        return r < 0 ? r : insert_entry(store, entry);
}

static int read_entry(sqlite3_stmt *statement, LedgerEntry *entry) {
        const char *hash = (const char *) sqlite3_column_text(statement, 13);
        int r;

        *entry = (LedgerEntry) {
                .number = sqlite3_column_int64(statement, 0),
                .at = (usec_t) sqlite3_column_int64(statement, 1),
                .kind = (LedgerKind) sqlite3_column_int(statement, 2),
                .day = sqlite3_column_int(statement, 3),
                .change = {
                        .reserved = sqlite3_column_int64(statement, 8),
                        .spent = sqlite3_column_int64(statement, 9),
                        .unknown = sqlite3_column_int64(statement, 10),
                        .images = sqlite3_column_int64(statement, 11),
                },
        };
        /* One of another length is no hash: the entry then matches none. */
        if (hash && strlen(hash) < SHA256_TEXT_MAX)
                (void) strcpy(entry->hash, hash);
        r = store_column_text(statement, 4, &entry->job);
        if (r >= 0)
                r = store_column_text(statement, 5, &entry->key);
        if (r >= 0)
                r = store_column_text(statement, 6, &entry->model);
        if (r >= 0)
                r = store_column_text(statement, 7, &entry->provider);
        return r < 0 ? r : store_column_text(statement, 12, &entry->note);
}

int store_ledger_hash(Store *store, int64_t number, char ret[static SHA256_TEXT_MAX]) {
        sqlite3_stmt *statement;
        int result, r;

        (void) strcpy(ret, LEDGER_FIRST_HASH);
        if (number == 0)
                return 0;
        r = store_prepare(store, STATEMENT_LEDGER_HASH, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, number);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                const char *hash = (const char *) sqlite3_column_text(statement, 0);

                if (hash && strlen(hash) < SHA256_TEXT_MAX)
                        (void) strcpy(ret, hash);
        }
        (void) sqlite3_reset(statement);
        return result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
}

int store_ledger_list(Store *store, int64_t after, size_t limit, LedgerEntry **ret, size_t *ret_count,
                      char ret_previous[static SHA256_TEXT_MAX]) {
        LedgerEntry *entries;
        sqlite3_stmt *statement;
        size_t count = 0;
        int result = SQLITE_DONE, r;

        r = store_ledger_hash(store, after, ret_previous);
        if (r == 0)
                r = store_prepare(store, STATEMENT_LEDGER_LIST, &statement);
        if (r != 0)
                return r;
        entries = calloc(limit + 1, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        (void) sqlite3_bind_int64(statement, 1, after);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) limit);
        while (r >= 0 && count < limit && (result = sqlite3_step(statement)) == SQLITE_ROW)
                r = read_entry(statement, &entries[count++]);
        (void) sqlite3_reset(statement);
        if (r >= 0 && count < limit)
                r = store_error(store, result);
        if (r < 0) {
                ledger_entries_free(entries, count);
                return r;
        }
        *ret = entries;
        *ret_count = count;
        return 0;
}

void ledger_entries_free(LedgerEntry *entries, size_t count) {
        for (size_t i = 0; i < count; i++)
                ledger_entry_done(&entries[i]);
        free(entries);
}

/* ------------------------------------------------------------------ the pause */

int store_get_budget_pause(Store *store, BudgetPause *ret) {
        sqlite3_stmt *statement;
        int result, r;

        *ret = (BudgetPause) {};
        r = store_prepare(store, STATEMENT_BUDGET_GET_PAUSE, &statement);
        if (r < 0)
                return r;
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                ret->since = (usec_t) sqlite3_column_int64(statement, 0);
                ret->until_day = sqlite3_column_int(statement, 1);
                r = store_column_text(statement, 2, &ret->reason);
        }
        (void) sqlite3_reset(statement);
        return r < 0 ? r : store_error(store, result);
}

int store_set_budget_pause(Store *store, const BudgetPause *pause) {
        sqlite3_stmt *statement;
        int r;

        if (pause->since == 0)
                return store_run(store, STATEMENT_BUDGET_END_PAUSE);
        r = store_prepare(store, STATEMENT_BUDGET_SET_PAUSE, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, (int64_t) pause->since);
        (void) sqlite3_bind_int(statement, 2, pause->until_day);
        store_bind_text(statement, 3, pause->reason);
        return store_step(store, statement);
}

void budget_pause_done(BudgetPause *pause) {
        free(pause->reason);
        *pause = (BudgetPause) {};
}
