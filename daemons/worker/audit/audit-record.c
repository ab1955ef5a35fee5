#include "audit/audit-record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

/* For `journalctl -x`: packaging/atelier.catalog explains each. */
static const struct {
        const char *action; /* or how it begins */
        const char *message_id;
} message_ids[] = {
        { "job.accepted", "1bb623028c5f497f88284298088c5f69" },
        { "job.completed", "a804e01707c245c5b8a27fc64d3deac0" },
        { "job.failed", "1c4f6df278454cc6ab52d4e2e4da2087" },
        { "job.cancelled", "93a0d8cc2a4d4f1683096b2361602df3" },
        { "job.deleted", "32cf52e0d98d4f6ab01b1b91ebe1787f" },
        { "key.", "d1111d87cb67482ea77395df52971c0c" },
        { "state.", "be662b9ae57b4025a80cc8afc919868e" },
        { "backup.", "7213d3f995484b36afa662a477080e43" },
        { "alert.", "6d07051adb5b409bb2555ef897720322" },
        { "secret.", "2461fb0dfb3a495f92fd10d7c01028ce" },
        { "http.", "c1894ec9cdb3428f883f80a9bb39412a" },
};

#define MESSAGE_ID_CALL "5e40eb272919446a8bfba4b57490794f"
#define MESSAGE_ID_REFUSAL "28dbbed238dd461d9ce289c637ba0059"

void audit_record_done(AuditRecord *record) {
        free(record->action);
        free(record->outcome);
        free(record->key);
        free(record->origin);
        free(record->address);
        free(record->object);
        free(record->model);
        free(record->detail);
        *record = (AuditRecord) {};
}

JsonValue *audit_record_to_json(const AuditRecord *record, const char *previous) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "number", record->number);
        if (r >= 0)
                r = json_add_integer(value, "at", (int64_t) record->at);
        if (r >= 0)
                r = json_add_string(value, "action", record->action);
        if (r >= 0)
                r = json_add_string(value, "outcome", record->outcome);
        if (r >= 0)
                r = json_add_string(value, "key", record->key);
        if (r >= 0)
                r = json_add_string(value, "origin", record->origin);
        if (r >= 0)
                r = json_add_string(value, "address", record->address);
        if (r >= 0 && record->uid != AUDIT_NOBODY)
                r = json_add_integer(value, "uid", record->uid);
        if (r >= 0)
                r = json_add_string(value, "object", record->object);
        if (r >= 0)
                r = json_add_string(value, "model", record->model);
        if (r >= 0)
                r = json_add_integer(value, "cost_micros", record->cost);
        if (r >= 0)
                r = json_add_integer(value, "unknown_micros", record->unknown);
        if (r >= 0)
                r = json_add_integer(value, "count", record->count);
        if (r >= 0)
                r = json_add_string(value, "detail", record->detail);
        if (r >= 0)
                r = json_add_string(value, "previous", previous);
        if (r >= 0 && *record->hash)
                r = json_add_string(value, "hash", record->hash);
        return r < 0 ? NULL : TAKE_PTR(value);
}

int audit_record_hash(const AuditRecord *record, const char *previous, char ret[static SHA256_TEXT_MAX]) {
        _cleanup_(json_freep) JsonValue *value = NULL;
        _cleanup_free_ char *text = NULL;
        AuditRecord unhashed = *record;

        unhashed.hash[0] = 0;
        value = audit_record_to_json(&unhashed, previous);
        text = value ? json_format(value) : NULL;
        return text ? sha256_text(text, strlen(text), ret) : -ENOMEM;
}

static const char *message_id(const AuditRecord *record) {
        for (size_t i = 0; i < ELEMENTS(message_ids); i++)
                if (text_after(record->action, message_ids[i].action))
                        return message_ids[i].message_id;
        return text_equal(record->outcome, AUDIT_OK) ? MESSAGE_ID_CALL : MESSAGE_ID_REFUSAL;
}

int audit_record_emit(const AuditRecord *record, const char *chain) {
        char number[24], uid[24], cost[24], count[24];
        const char *job = record->object && text_after(record->action, "job.") ? record->object : NULL;
        const LogField fields[] = {
                { "MESSAGE_ID", message_id(record) },
                { "ATELIER_AUDIT", "1" },
                { "ATELIER_AUDIT_CHAIN", chain },
                { "ATELIER_AUDIT_NUMBER", number },
                { "ATELIER_AUDIT_HASH", record->hash },
                { "ATELIER_AUDIT_ACTION", record->action },
                { "ATELIER_AUDIT_OUTCOME", record->outcome },
                { "ATELIER_AUDIT_COUNT", count },
                { "ATELIER_KEY", record->key },
                { "ATELIER_ADDRESS", record->address },
                { "ATELIER_UID", record->uid == AUDIT_NOBODY ? NULL : uid },
                { "ATELIER_OBJECT", record->object },
                { "ATELIER_JOB", job },
                { "ATELIER_MODEL", record->model },
                { "ATELIER_COST_MICROS", cost },
                {},
        };

        (void) snprintf(number, sizeof(number), "%lld", (long long) record->number);
        (void) snprintf(uid, sizeof(uid), "%lld", (long long) record->uid);
        (void) snprintf(cost, sizeof(cost), "%lld", (long long) record->cost);
        (void) snprintf(count, sizeof(count), "%lld", (long long) record->count);
        return log_audit(fields, "%s%s%s%s%s: %s", record->action, record->object ? " " : "", record->object ?: "",
                         record->key ? " by key " : record->origin ? " by " : "", record->key ?: record->origin ?: "",
                         record->outcome);
}
