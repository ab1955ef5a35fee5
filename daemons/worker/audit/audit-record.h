/* The audit trail's records: who did what, what came of it and what it cost.
 *
 * Records are numbered from 1 without a gap. Each is hashed (SHA-256) together with the hash of the one before, as the
 * text of io.atelier.Audit.Record with the further member "previous" before "hash": members in the order of the interface,
 * those that are null left out, without white space. Who changes or removes one has to rewrite all that follow. */
#pragma once

#include "base/hash.h"
#include "base/json.h"
#include "base/money.h"
#include "base/time.h"

#define AUDIT_FIRST_HASH "0000000000000000000000000000000000000000000000000000000000000000" /* before record 1 */
#define AUDIT_CHAIN_MAX 33 /* with NUL */
#define AUDIT_TEXT_BYTES_MAX 512 /* of a record's texts each; what is longer is cut */

/* What came of it, where nothing went wrong; else the code of an error. */
#define AUDIT_OK "ok"

#define AUDIT_NOBODY ((int64_t) -1)

typedef struct AuditRecord {
        int64_t number;
        usec_t at;
        char *action;   /* "job.accepted", "key.created", or the method that was called: "io.atelier.Queue.Get" */
        char *outcome;  /* AUDIT_OK or a code: "invalid_api_key" */
        char *key;      /* id of the client's; NULL: none was shown */
        char *origin;   /* of a client: member, loopback, remote; else NULL */
        char *address;  /* of a client; may be NULL */
        int64_t uid;    /* of the peer of the socket; AUDIT_NOBODY: the worker itself */
        char *object;   /* id of the job, key or image that it is about; may be NULL */
        char *model;    /* may be NULL */
        micros_t cost;  /* charged */
        micros_t unknown;  /* and what may be */
        int64_t count;  /* of calls: more than one where the same was repeated */
        char *detail;   /* may be NULL */
        char hash[SHA256_TEXT_MAX];
} AuditRecord;

void audit_record_done(AuditRecord *record);

/* io.atelier.Audit.Record; NULL without memory. `previous` may be NULL. */
JsonValue *audit_record_to_json(const AuditRecord *record, const char *previous);

int audit_record_hash(const AuditRecord *record, const char *previous, char ret[static SHA256_TEXT_MAX]);

/* Sends the record to the journal, below every log level: a MESSAGE_ID by its kind, ATELIER_AUDIT=1 and what it says
 * in fields. `chain` tells which trail it is of. */
int audit_record_emit(const AuditRecord *record, const char *chain);
