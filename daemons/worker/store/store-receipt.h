/* What a receipt tells of a job beyond the job itself: written in the savepoints that book it, read for those who ask. */
#pragma once

#include "store/store-defect.h"
#include "store/store-ledger.h"

#define RECEIPT_ENTRIES_MAX 32      /* of the ledger about one job; its newest */
#define RECEIPT_USES_MAX 10000      /* of an image that are looked through for the caller's own; the newest */

typedef struct ReceiptEntry {
        LedgerEntry entry;
        char previous[SHA256_TEXT_MAX];
} ReceiptEntry;

typedef struct ReceiptFacts {
        JsonValue *items;           /* of io.atelier.Ledger.PriceItem; NULL: not known, or nothing was settled */
        JsonValue *budgets;         /* of io.atelier.Ledger.CountedBudget; NULL likewise */
        ReceiptEntry entries[RECEIPT_ENTRIES_MAX];   /* oldest first */
        size_t n_entries;
        Defect *defects;            /* of the job, oldest first; of any of its images and replies */
        size_t n_defects;
} ReceiptFacts;

/* *ret is to be given to receipt_facts_done() in any case. */
int store_receipt_read(Store *store, const Job *job, ReceiptFacts *ret);
void receipt_facts_done(ReceiptFacts *facts);

/* The jobs that have this image, newest first, up to `limit`; `key` NULL: of whomever, else of this key alone. */
int store_receipt_jobs(Store *store, const char *sha256, const char *key, size_t limit, Job ***ret, size_t *ret_count);
