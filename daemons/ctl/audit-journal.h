/* The audit trail in the journal, held against the worker's: who changes the one has to change the other as well. */
#pragma once

#include <stdint.h>

typedef struct AuditJournal {
        uint64_t compared; /* records of this trail in the journal, each the same as the worker's */
        uint64_t others;   /* of another trail: of a state that was there before */
} AuditJournal;

/* The hash of record `number` as the worker has it, valid until the next call; "" where it has none, NULL when it can't be
 * asked (which has been said). */
typedef const char *(*AuditLookup)(int64_t number, void *userdata);

/* Reads all records of `chain` in the journal. 0: they are the worker's; 1: *problem says which is not (to be freed); or a
 * negative errno: -ECANCELED when the lookup failed. */
int audit_journal_compare(const char *chain, AuditLookup lookup, void *userdata, AuditJournal *ret, char **problem);
