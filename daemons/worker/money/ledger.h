/* The ledger: what was promised, what was paid, what was given back, in the order in which it happened. Pure.
 *
 * Entries are only ever appended. Each changes up to three amounts:
 *
 *     kind      reserved   spent    unknown
 *     reserve   + ceiling                        a job is accepted: its price at most (price-book.h)
 *     settle    - ceiling  + cost                the images are there, and so is what they cost
 *     release   - ceiling                        nothing was charged
 *     unknown   - ceiling           + ceiling    the request was sent and its answer is lost: it may have been charged
 *     adjust               + amount + amount     carried over when a restored state takes the place of another
 *
 * What a job costs counts on the day on which it was accepted, until its end: so a budget that held then holds for
 * good. What costs nothing has no entry.
 *
 * The hash of an entry is the SHA-256 of its JSON text (ledger_entry_to_json() without `hash`, compact, members in
 * that order), which ends with the hash of the entry before; the first has 64 zeros there. So no entry can be changed,
 * left out or put in between without all that follow being changed as well; with `jq -c` and `sha256sum` anybody can
 * check it. */
#pragma once

#include "base/hash.h"
#include "base/json.h"
#include "base/money.h"
#include "base/time.h"

/* The numbers stand in the database. */
typedef enum LedgerKind {
        LEDGER_RESERVE = 0,
        LEDGER_SETTLE = 1,
        LEDGER_RELEASE = 2,
        LEDGER_UNKNOWN = 3,
        LEDGER_ADJUST = 4,
        _LEDGER_KINDS,
} LedgerKind;

const char *ledger_kind_name(LedgerKind kind);   /* NULL: there is no such kind */

/* Amounts of money that belong together, and how many images were paid for with what is spent. */
typedef struct LedgerAmounts {
        micros_t reserved, spent, unknown;
        int64_t images;
} LedgerAmounts;

typedef struct LedgerEntry {
        int64_t number;              /* from 1 without a gap; 0: not appended */
        usec_t at;                   /* realtime */
        LedgerKind kind;
        int day;                     /* calendar.h: on which it counts */
        char *job;                   /* id; NULL: none */
        char *key;                   /* id of the client key; NULL: none */
        char *model, *provider;
        LedgerAmounts change;
        char *note;                  /* what a reader should know; NULL: nothing */
        char hash[SHA256_TEXT_MAX];
} LedgerEntry;

#define LEDGER_FIRST_HASH "0000000000000000000000000000000000000000000000000000000000000000"

void ledger_entry_done(LedgerEntry *entry);      /* where the strings are the entry's own */

/* io.atelier.Ledger.Entry, with `hash` where the entry has one. NULL when memory is short. */
JsonValue *ledger_entry_to_json(const LedgerEntry *entry, const char *previous);

/* Of an entry behind the one with the hash `previous`. -ENOMEM. */
int ledger_entry_hash(const LedgerEntry *entry, const char *previous, char ret[static SHA256_TEXT_MAX]);

/* a += change. -ERANGE beyond ±MICROS_MAX; `a` is then untouched. */
int ledger_amounts_add(LedgerAmounts *a, const LedgerAmounts *change);

/* What counts against a budget: spent, reserved, or possibly charged. */
static inline micros_t ledger_committed(const LedgerAmounts *amounts) {
        return amounts->reserved + amounts->spent + amounts->unknown;
}

/* What has gone, or may have. */
static inline micros_t ledger_gone(const LedgerAmounts *amounts) {
        return amounts->spent + amounts->unknown;
}
