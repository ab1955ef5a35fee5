/* Checking the ledger, in steps that give way: the chain of hashes entry by entry, and beside it what the running
 * totals must then be. Sums are kept by day, key and model, of which there are few; the totals are sums of those. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/map.h"
#include "base/text.h"
#include "store/store-private.h"

#define STEP_ENTRIES 512        /* a few milliseconds */
#define SUM_NAME_MAX 512

typedef struct Sum {
        char name[SUM_NAME_MAX];    /* day, key and model; or scope, period and name */
        int day;
        char *key, *model;
        LedgerAmounts amounts;
} Sum;

struct LedgerAudit {
        int64_t number;             /* of the last entry looked at */
        char hash[SHA256_TEXT_MAX];
        Map *sums;
};

static Sum *sum_free(Sum *sum) {
        if (sum) {
                free(sum->key);
                free(sum->model);
        }
        free(sum);
        return NULL;
}

static Map *free_sums(Map *sums) {
        Sum *sum;

        while (sums && (sum = map_first(sums))) {
                (void) map_remove(sums, sum->name);
                (void) sum_free(sum);
        }
        return map_free(sums);
}

static void free_sumsp(Map **sums) {
        (void) free_sums(*sums);
}

int ledger_audit_new(LedgerAudit **ret) {
        _cleanup_(ledger_audit_freep) LedgerAudit *audit = calloc(1, sizeof(*audit));
        int r;

        if (!audit)
                return -ENOMEM;
        (void) strcpy(audit->hash, LEDGER_FIRST_HASH);
        r = map_new(&audit->sums);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(audit);
        return 0;
}

LedgerAudit *ledger_audit_free(LedgerAudit *audit) {
        if (audit)
                (void) free_sums(audit->sums);
        free(audit);
        return NULL;
}

int64_t ledger_audit_entries(const LedgerAudit *audit) {
        return audit->number;
}

/* The sum of that name, made where there is none. NULL: no memory. */
static Sum *find_sum(Map *sums, const char *name) {
        Sum *sum = map_get(sums, name);

        if (sum)
                return sum;
        sum = calloc(1, sizeof(*sum));
        if (!sum)
                return NULL;
        (void) snprintf(sum->name, sizeof(sum->name), "%s", name);
        return map_put(sums, sum->name, sum) < 0 ? sum_free(sum) : sum;
}

static int add_to_sums(Map *sums, const LedgerEntry *entry) {
        char name[SUM_NAME_MAX];
        Sum *sum;

        (void) snprintf(name, sizeof(name), "%d %s %s", entry->day, entry->key ?: "", entry->model ?: "");
        sum = find_sum(sums, name);
        if (!sum)
                return -ENOMEM;
        sum->day = entry->day;
        if (!sum->key && entry->key && !(sum->key = strdup(entry->key)))
                return -ENOMEM;
        if (!sum->model && entry->model && !(sum->model = strdup(entry->model)))
                return -ENOMEM;
        return ledger_amounts_add(&sum->amounts, &entry->change);
}

/* ------------------------------------------------------------------ the chain */

static int broken(char **reason, char *text) {
        *reason = text;
        return text ? CHAIN_BROKEN : -ENOMEM;
}

static int check_entry(LedgerAudit *audit, const LedgerEntry *entry, char **reason) {
        char hash[SHA256_TEXT_MAX];
        int r;

        if (entry->number != audit->number + 1)
                return broken(reason, text_format("entry %lld is missing", (long long) audit->number + 1));
        r = ledger_entry_hash(entry, audit->hash, hash);
        if (r < 0)
                return r;
        if (!text_equal(hash, entry->hash) || !ledger_kind_name(entry->kind))
                return broken(reason, text_format("entry %lld is not as it was written: its hash does not match",
                                                  (long long) entry->number));
        audit->number = entry->number;
        (void) strcpy(audit->hash, hash);
        r = add_to_sums(audit->sums, entry);
        return r == -ERANGE ? broken(reason, text_format("the sums up to entry %lld are out of range",
                                                         (long long) entry->number)) : r;
}

static int check_entries(LedgerAudit *audit, Store *store, size_t *ret_count, char **reason) {
        char previous[SHA256_TEXT_MAX];
        LedgerEntry *entries;
        int r;

        r = store_ledger_list(store, audit->number, STEP_ENTRIES, &entries, ret_count, previous);
        if (r < 0)
                return r;
        for (size_t i = 0; i < *ret_count && r == 0; i++)
                r = check_entry(audit, &entries[i], reason);
        ledger_entries_free(entries, *ret_count);
        return r;
}

/* ------------------------------------------------------------------ the totals */

static int add_total(Map *totals, BudgetScope scope, int period, const char *name, const LedgerAmounts *amounts) {
        char text[SUM_NAME_MAX];
        Sum *sum;

        (void) snprintf(text, sizeof(text), "%d %d %s", scope, period, name);
        sum = find_sum(totals, text);
        return sum ? ledger_amounts_add(&sum->amounts, amounts) : -ENOMEM;
}

/* What the running totals must be. */
static int sum_up(const LedgerAudit *audit, Map *totals) {
        size_t slot = 0;
        Sum *sum;

        while ((sum = map_next(audit->sums, &slot))) {
                const int periods[BUDGET_PERIODS] = { sum->day, calendar_month_of(sum->day), BUDGET_PERIOD_EVER };

                for (size_t i = 0; i < BUDGET_PERIODS; i++) {
                        int r = add_total(totals, BUDGET_ALL, periods[i], "", &sum->amounts);

                        if (r >= 0 && sum->model)
                                r = add_total(totals, BUDGET_MODEL, periods[i], sum->model, &sum->amounts);
                        if (r >= 0 && sum->key)
                                r = add_total(totals, BUDGET_KEY, periods[i], sum->key, &sum->amounts);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static bool amounts_equal(const LedgerAmounts *a, const LedgerAmounts *b) {
        return a->reserved == b->reserved && a->spent == b->spent && a->unknown == b->unknown &&
               a->images == b->images;
}

static int compare_scope(Store *store, BudgetScope scope, Map *wanted, char **reason) {
        LedgerTotal *totals;
        size_t count;
        int r;

        r = store_ledger_totals(store, scope, 0, INT32_MAX, SIZE_MAX / 2, &totals, &count);
        if (r < 0)
                return r;
        for (size_t i = 0; i < count && r == 0; i++) {
                char name[SUM_NAME_MAX];
                Sum *sum;

                (void) snprintf(name, sizeof(name), "%d %d %s", scope, totals[i].period, totals[i].name);
                sum = map_remove(wanted, name);
                if (!sum || !amounts_equal(&sum->amounts, &totals[i].amounts))
                        r = broken(reason, text_format("the running total of %s %s in period %d is not the sum of its "
                                                       "entries", budget_scope_name(scope), totals[i].name,
                                                       totals[i].period));
                (void) sum_free(sum);
        }
        ledger_totals_free(totals, count);
        return r;
}

static int compare_jobs(Store *store, char **reason) {
        sqlite3_stmt *statement;
        LedgerAmounts all;
        int64_t reserved;
        int r;

        r = store_ledger_total(store, BUDGET_ALL, BUDGET_PERIOD_EVER, "", &all);
        if (r >= 0)
                r = store_prepare(store, STATEMENT_LEDGER_JOBS_RESERVED, &statement);
        if (r >= 0)
                r = store_step_integer(store, statement, &reserved);
        if (r != 0)
                return r;
        if (reserved == all.reserved)
                return 0;
        return broken(reason, text_format("unfinished jobs hold %lld micro-dollars, but %lld are reserved",
                                          (long long) reserved, (long long) all.reserved));
}

static int compare_totals(LedgerAudit *audit, Store *store, char **reason) {
        _cleanup_(free_sumsp) Map *wanted = NULL;
        Sum *left;
        int r;

        r = map_new(&wanted);
        if (r >= 0)
                r = sum_up(audit, wanted);
        for (BudgetScope scope = 0; scope < _BUDGET_SCOPES && r == 0; scope++)
                r = compare_scope(store, scope, wanted, reason);
        if (r != 0)
                return r;
        left = map_first(wanted);
        if (left)
                return broken(reason, text_format("a running total is missing (scope, period, name: %s)", left->name));
        return compare_jobs(store, reason);
}

int ledger_audit_step(LedgerAudit *audit, Store *store, char **reason) {
        size_t count;
        int r;

        *reason = NULL;
        r = check_entries(audit, store, &count, reason);
        if (r != 0)
                return r;
        return count > 0 ? CHAIN_MORE : compare_totals(audit, store, reason);
}

/* ------------------------------------------------------------------ carrying over */

/* The last entry that both have: up to there their hashes are equal. */
static int find_fork(Store *own, Store *former, int64_t *ret) {
        char hash_own[SHA256_TEXT_MAX], hash_former[SHA256_TEXT_MAX];
        int64_t low = 0, last_own, last_former, high;
        int r;

        r = store_ledger_last(own, &last_own, hash_own);
        if (r < 0)
                return r;
        if (store_ledger_last(former, &last_former, hash_former) < 0)
                return LEDGER_FORMER_UNREADABLE;
        for (high = MIN(last_own, last_former); low < high;) {
                int64_t middle = low + (high - low + 1) / 2;

                r = store_ledger_hash(own, middle, hash_own);
                if (r != 0)
                        return r < 0 ? r : -EUCLEAN;
                if (store_ledger_hash(former, middle, hash_former) != 0)
                        return LEDGER_FORMER_UNREADABLE;
                if (text_equal(hash_own, hash_former))
                        low = middle;
                else
                        high = middle - 1;
        }
        *ret = low;
        return 0;
}

static int sum_behind(Store *store, int64_t after, Map *sums) {
        size_t count;
        int r;

        do {
                char previous[SHA256_TEXT_MAX];
                LedgerEntry *entries;

                r = store_ledger_list(store, after, STEP_ENTRIES, &entries, &count, previous);
                if (r < 0)
                        return r == STORE_NOT_FOUND ? -EUCLEAN : r;
                for (size_t i = 0; i < count && r == 0; i++) {
                        after = entries[i].number;
                        r = add_to_sums(sums, &entries[i]);
                }
                ledger_entries_free(entries, count);
        } while (r == 0 && count > 0);
        return r;
}

static int adjust(Store *store, const Sum *sum, const LedgerAmounts *there, micros_t *total) {
        LedgerEntry entry = {
                .kind = LEDGER_ADJUST,
                .day = sum->day,
                .key = sum->key,
                .model = sum->model,
                .change = {
                        .spent = MAX(sum->amounts.spent - there->spent, INT64_C(0)),
                        .unknown = MAX(sum->amounts.unknown - there->unknown, INT64_C(0)),
                        .images = MAX(sum->amounts.images - there->images, INT64_C(0)),
                },
                .note = (char *) "carried over from the state that a restored one replaced",
        };

        if (entry.change.spent == 0 && entry.change.unknown == 0)
                return 0;
        *total += entry.change.spent + entry.change.unknown;
        return store_ledger_append(store, &entry, NULL, NULL);
}

int store_ledger_carry_over(Store *store, Store *former, micros_t *ret) {
        _cleanup_(free_sumsp) Map *gone = NULL, *there = NULL;
        size_t slot = 0;
        int64_t fork;
        Sum *sum;
        int r;

        *ret = 0;
        r = map_new(&gone);
        if (r >= 0)
                r = map_new(&there);
        if (r >= 0)
                r = find_fork(store, former, &fork);
        if (r == 0 && sum_behind(former, fork, gone) < 0)
                r = LEDGER_FORMER_UNREADABLE;
        if (r == 0)
                r = sum_behind(store, fork, there);
        if (r == 0)
                r = store_group_begin(store);
        if (r != 0)
                return r;
        while (r >= 0 && (sum = map_next(gone, &slot))) {
                const Sum *own = map_get(there, sum->name);

                r = adjust(store, sum, own ? &own->amounts : &(LedgerAmounts) {}, ret);
        }
        if (r >= 0)
                return store_group_commit(store);
        store_group_rollback(store);
        return r;
}
