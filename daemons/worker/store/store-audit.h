/* The audit trail in the store: appended to within the transaction of what it tells of, never changed.
 *
 * The chain's head is kept apart from the records, so that one removed from the end is missed as well. */
#pragma once

#include "audit/audit-record.h"
#include "store/store.h"

typedef struct AuditHead {
        int64_t number;  /* of the last record; 0: there is none */
        char hash[SHA256_TEXT_MAX];
        int64_t emitted; /* up to this one they are in the journal, at least */
        char chain[AUDIT_CHAIN_MAX]; /* which trail it is: 32 hexadecimal digits */
} AuditHead;

int store_audit_head(Store *store, AuditHead *ret);

/* Sets number, at and hash. Texts are cut to AUDIT_TEXT_BYTES_MAX and made printable. */
int store_audit_append(Store *store, AuditRecord *record);

/* Of a job of the store, with its key, its model and its cost by now. `outcome` is AUDIT_OK or a code. */
int store_audit_job(Store *store, const char *id, const char *action, const char *outcome);

/* The same of a job that has ended as `ended` has. */
int store_audit_job_end(Store *store, const char *id, const Job *ended);

/* Kept with the next record, or by store_audit_set_emitted() at once. */
void store_audit_note_emitted(Store *store, int64_t number);
int store_audit_set_emitted(Store *store, int64_t number);

/* What `former` has recorded since `store` was copied from it is appended as it is, so that the trail goes on as if nothing had
 * happened; then the restore itself is recorded. Where they are not of one trail, or `former` is NULL, that alone is, with the
 * end of the trail that stops there, and as the beginning of another in the journal: what that has of this one goes further. Makes a transaction of its own. *ret: how many were appended. */
int store_audit_carry_over(Store *store, Store *former, int64_t *ret);

/* Those after number `after`, oldest first; of `key` alone, unless NULL. Freed with audit_records_free(). */
int store_audit_list(Store *store, int64_t after, const char *key, size_t limit, AuditRecord **ret, size_t *ret_count);
void audit_records_free(AuditRecord *records, size_t count);

/* The hash of record `number`; AUDIT_FIRST_HASH for 0. STORE_NOT_FOUND. */
int store_audit_hash(Store *store, int64_t number, char ret[static SHA256_TEXT_MAX]);
