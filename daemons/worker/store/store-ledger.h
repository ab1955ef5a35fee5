/* The ledger's side of store.h: reading it, checking it, carrying it over. It is written by what happens to jobs
 * (store_submit(), store_end_attempt(), store_end_queued()), in the same transaction.
 *
 * Beside the entries stand running totals of each scope and period (budget.h), so that what a budget has left is found
 * by one look, however many entries there are. */
#pragma once

#include "money/budget.h"
#include "store/chain.h"
#include "store/store.h"

/* One running total. */
typedef struct LedgerTotal {
        BudgetScope scope;
        int period;
        char *name;                 /* of the model or key; "" for all */
        LedgerAmounts amounts;
} LedgerTotal;

/* Zeros where nothing was ever booked. */
int store_ledger_total(Store *store, BudgetScope scope, int period, const char *name, LedgerAmounts *ret);

/* The totals of one scope over the periods from … to …, in the order of periods and names, at most `limit`. */
int store_ledger_totals(Store *store, BudgetScope scope, int from, int to, size_t limit, LedgerTotal **ret,
                        size_t *ret_count);
void ledger_totals_free(LedgerTotal *totals, size_t count);

/* Entries behind number `after`, oldest first, at most `limit`; each with its hash. *ret_previous is the hash before
 * the first of them. STORE_NOT_FOUND: there is no entry `after`. */
int store_ledger_list(Store *store, int64_t after, size_t limit, LedgerEntry **ret, size_t *ret_count,
                      char ret_previous[static SHA256_TEXT_MAX]);
void ledger_entries_free(LedgerEntry *entries, size_t count);

/* Of the entry with that number; LEDGER_FIRST_HASH for 0. STORE_NOT_FOUND. */
int store_ledger_hash(Store *store, int64_t number, char ret[static SHA256_TEXT_MAX]);

/* 0 when the ledger is empty. */
int store_ledger_last(Store *store, int64_t *ret_number, char ret_hash[static SHA256_TEXT_MAX]);

/* Spending stands still: nothing that costs money is accepted. `until_day` 0: until it is resumed, otherwise through
 * that day. Durable. */
typedef struct BudgetPause {
        usec_t since;               /* 0: there is no pause */
        int until_day;
        char *reason;
} BudgetPause;

int store_get_budget_pause(Store *store, BudgetPause *ret);
int store_set_budget_pause(Store *store, const BudgetPause *pause);   /* within a group; since 0 ends it */
void budget_pause_done(BudgetPause *pause);

/* Checking every hash, every running total, and that what is reserved is what unfinished jobs wait with. Steps come to what
 * chain.h says. */
typedef struct LedgerAudit LedgerAudit;

int ledger_audit_new(LedgerAudit **ret);
LedgerAudit *ledger_audit_free(LedgerAudit *audit);
DEFINE_CLEANUP(LedgerAudit *, ledger_audit_free);

/* Goes on for a few milliseconds. 0: all of it is sound, as it is at this moment; CHAIN_MORE: call again;
 * CHAIN_BROKEN. */
int ledger_audit_step(LedgerAudit *audit, Store *store, char **reason);
int64_t ledger_audit_entries(const LedgerAudit *audit);   /* looked at so far */

/* What `former` has booked as spent or possibly charged beyond what `store` has, by day, key and model, behind their
 * last common entry: booked here as adjustments, so that a restored state never forgets spending. Makes a transaction
 * of its own. *ret: how much it was. LEDGER_FORMER_UNREADABLE: nothing was carried over. */
enum {
        LEDGER_FORMER_UNREADABLE = 1,
};

int store_ledger_carry_over(Store *store, Store *former, micros_t *ret);
