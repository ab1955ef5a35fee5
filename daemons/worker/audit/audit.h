/* The audit trail.
 *
 * What changes the state is recorded by the transaction that changes it (store-audit.h). Every other call to the worker
 * is recorded here as it is answered, by a write of its own that nobody waits for: what was read, what was refused, what
 * admins did. Where the same is asked again by the same client within AUDIT_WINDOW_USEC, with the same outcome, the first
 * call is recorded at once, and the others by one record that counts them.
 *
 * Once committed, records go to the journal in their order, when there is nothing else to do. What is in the journal is
 * kept with the next record, so that after a crash some are sent again. The worker does not exit before all have been. */
#pragma once

#include "audit/audit-record.h"
#include "manager.h"

#define AUDIT_WINDOW_USEC USEC_PER_MINUTE
#define AUDIT_WINDOWS_MAX 1024 /* at a time; with more, those that are open are closed */

int audit_new(Audit **ret, Manager *manager);
Audit *audit_free(Audit *audit);
DEFINE_CLEANUP(Audit *, audit_free);

/* Told of every call as it is answered: a VarlinkObserver, with the audit as its userdata. */
void audit_observe(VarlinkCall *call, const char *error, const JsonValue *answer, void *userdata);

/* Records at once. Takes the record's texts over. */
void audit_add(Audit *audit, AuditRecord *record);

void audit_on_committed(Audit *audit); /* may be NULL */
void audit_quiesce(Audit *audit);

/* Adds the last writes to the commit group, which is to be freed next, and before the audit. */
void audit_close(Audit *audit);
