#include "store/store-audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text-clean.h"
#include "base/text.h"
#include "store/store-private.h"

#define CARRY_RECORDS 512 /* at a time */

/* One of another length is no hash: the record then matches none. */
static void copy_digits(sqlite3_stmt *statement, int column, char *ret, size_t size) {
        const char *text = (const char *) sqlite3_column_text(statement, column);

        *ret = 0;
        if (text && strlen(text) < size)
                (void) strcpy(ret, text);
}

static void copy_hash(sqlite3_stmt *statement, int column, char ret[static SHA256_TEXT_MAX]) {
        copy_digits(statement, column, ret, SHA256_TEXT_MAX);
}

int store_audit_head(Store *store, AuditHead *ret) {
        sqlite3_stmt *statement;
        int result, r;

        *ret = (AuditHead) {};
        r = store_prepare(store, STATEMENT_AUDIT_HEAD, &statement);
        if (r < 0)
                return r;
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                ret->number = sqlite3_column_int64(statement, 0);
                copy_hash(statement, 1, ret->hash);
                copy_digits(statement, 3, ret->chain, sizeof(ret->chain));
                ret->emitted = MAX(sqlite3_column_int64(statement, 2), store->audit_emitted);
        }
        (void) sqlite3_reset(statement);
        return store_error(store, result);
}

static int set_head(Store *store, const AuditRecord *last) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_AUDIT_SET_HEAD, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, last->number);
        store_bind_text(statement, 2, last->hash);
        (void) sqlite3_bind_int64(statement, 3, store->audit_emitted);
        return store_step(store, statement);
}

static int insert_record(Store *store, const AuditRecord *record) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_AUDIT_APPEND, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, record->number);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) record->at);
        store_bind_text(statement, 3, record->action);
        store_bind_text(statement, 4, record->outcome);
        store_bind_text(statement, 5, record->key);
        store_bind_text(statement, 6, record->origin);
        store_bind_text(statement, 7, record->address);
        (void) sqlite3_bind_int64(statement, 8, record->uid);
        store_bind_text(statement, 9, record->object);
        store_bind_text(statement, 10, record->model);
        (void) sqlite3_bind_int64(statement, 11, record->cost);
        (void) sqlite3_bind_int64(statement, 12, record->unknown);
        (void) sqlite3_bind_int64(statement, 13, record->count);
        store_bind_text(statement, 14, record->detail);
        store_bind_text(statement, 15, record->hash);
        return store_step(store, statement);
}

int store_audit_append(Store *store, AuditRecord *record) {
        AuditHead head;
        int r;

        r = store_audit_head(store, &head);
        if (r < 0)
                return r;
        record->number = head.number + 1;
        record->at = time_now_realtime();
        r = audit_record_hash(record, head.hash, record->hash);
        if (r >= 0)
                r = insert_record(store, record);
        return r < 0 ? r : set_head(store, record);
}

int store_audit_job(Store *store, const char *id, const char *action, const char *outcome) {
        AuditRecord record = {
                .action = (char *) action,
                .outcome = (char *) outcome,
                .object = (char *) id,
                .uid = AUDIT_NOBODY,
                .count = 1,
        };
        _cleanup_free_ char *key = NULL, *model = NULL;
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_AUDIT_JOB, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                r = store_column_text(statement, 0, &key);
                if (r >= 0)
                        r = store_column_text(statement, 1, &model);
                record.cost = sqlite3_column_int64(statement, 2);
                record.unknown = sqlite3_column_int64(statement, 3);
        }
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        if (r >= 0)
                r = store_error(store, result);
        if (r < 0)
                return r;
        record.key = key;
        record.model = model;
        return store_audit_append(store, &record);
}

int store_audit_job_end(Store *store, const char *id, const Job *ended) {
        if (ended->status == JOB_COMPLETED)
                return store_audit_job(store, id, "job.completed", AUDIT_OK);
        if (ended->status == JOB_CANCELLED)
                return store_audit_job(store, id, "job.cancelled", AUDIT_OK);
        return store_audit_job(store, id, "job.failed", ended->failure.code ?: "failed");
}

void store_audit_note_emitted(Store *store, int64_t number) {
        store->audit_emitted = number;
}

int store_audit_set_emitted(Store *store, int64_t number) {
        sqlite3_stmt *statement;
        int r;

        store->audit_emitted = number;
        r = store_prepare(store, STATEMENT_AUDIT_SET_EMITTED, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, number);
        return store_step(store, statement);
}

static bool goes_on(Store *former, const AuditHead *head, const AuditHead *former_head) {
        char hash[SHA256_TEXT_MAX];

        return text_equal(head->chain, former_head->chain) && head->number <= former_head->number &&
               store_audit_hash(former, head->number, hash) == 0 && text_equal(hash, head->hash);
}

static int copy_records(Store *store, Store *former, int64_t after, int64_t *ret) {
        size_t count;
        int r;

        do {
                AuditRecord *records;

                r = store_audit_list(former, after, NULL, CARRY_RECORDS, &records, &count);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < count && r >= 0; i++) {
                        r = insert_record(store, &records[i]);
                        if (r >= 0)
                                r = set_head(store, &records[i]);
                        after = records[i].number;
                }
                audit_records_free(records, count);
                *ret += (int64_t) count;
        } while (r >= 0 && count > 0);
        return r;
}

static int record_restore(Store *store, const AuditHead *stopped) {
        _cleanup_free_ char *detail = NULL;
        AuditRecord record = {
                .action = (char *) "state.restored",
                .outcome = (char *) AUDIT_OK,
                .uid = AUDIT_NOBODY,
                .count = 1,
        };

        if (stopped) {
                detail = text_format("in the place of a state whose trail %s ends with record %lld, hash %s", stopped->chain,
                                     (long long) stopped->number, stopped->hash);
                if (!detail)
                        return -ENOMEM;
        }
        record.detail = detail;
        return store_audit_append(store, &record);
}

int store_audit_carry_over(Store *store, Store *former, int64_t *ret) {
        AuditHead head, former_head = {};
        bool same;
        int r;

        *ret = 0;
        r = store_audit_head(store, &head);
        if (r >= 0 && former)
                r = store_audit_head(former, &former_head);
        if (r < 0)
                return r;
        same = former && goes_on(former, &head, &former_head);
        store->audit_emitted = same ? former_head.emitted : head.number;
        r = store_group_begin(store);
        if (r < 0)
                return r;
        r = same ? copy_records(store, former, head.number, ret) : store_run(store, STATEMENT_AUDIT_NEW_CHAIN);
        if (r >= 0)
                r = record_restore(store, former && !same ? &former_head : NULL);
        if (r >= 0)
                return store_group_commit(store);
        store_group_rollback(store);
        return r;
}

static int read_record(sqlite3_stmt *statement, AuditRecord *record) {
        const struct {
                int column;
                char **text;
        } texts[] = {
                { 2, &record->action },  { 3, &record->outcome }, { 4, &record->key },   { 5, &record->origin },
                { 6, &record->address }, { 8, &record->object },  { 9, &record->model }, { 13, &record->detail },
        };
        int r = 0;

        *record = (AuditRecord) {
                .number = sqlite3_column_int64(statement, 0),
                .at = (usec_t) sqlite3_column_int64(statement, 1),
                .uid = sqlite3_column_int64(statement, 7),
                .cost = sqlite3_column_int64(statement, 10),
                .unknown = sqlite3_column_int64(statement, 11),
                .count = sqlite3_column_int64(statement, 12),
        };
        copy_hash(statement, 14, record->hash);
        for (size_t i = 0; i < ELEMENTS(texts) && r >= 0; i++)
                r = store_column_text(statement, texts[i].column, texts[i].text);
        return r;
}

int store_audit_list(Store *store, int64_t after, const char *key, size_t limit, AuditRecord **ret, size_t *ret_count) {
        AuditRecord *records;
        sqlite3_stmt *statement;
        size_t count = 0;
        int result = SQLITE_DONE, r;

        r = store_prepare(store, key ? STATEMENT_AUDIT_LIST_OF_KEY : STATEMENT_AUDIT_LIST, &statement);
        if (r < 0)
                return r;
        records = calloc(limit + 1, sizeof(*records));
        if (!records)
                return -ENOMEM;
        (void) sqlite3_bind_int64(statement, 1, after);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) limit);
        if (key)
                store_bind_text(statement, 3, key);
        while (r >= 0 && count < limit && (result = sqlite3_step(statement)) == SQLITE_ROW)
                r = read_record(statement, &records[count++]);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        if (r >= 0 && count < limit)
                r = store_error(store, result);
        if (r < 0) {
                audit_records_free(records, count);
                return r;
        }
        *ret = records;
        *ret_count = count;
        return 0;
}

void audit_records_free(AuditRecord *records, size_t count) {
        for (size_t i = 0; i < count; i++)
                audit_record_done(&records[i]);
        free(records);
}

int store_audit_hash(Store *store, int64_t number, char ret[static SHA256_TEXT_MAX]) {
        sqlite3_stmt *statement;
        int result, r;

        (void) strcpy(ret, AUDIT_FIRST_HASH);
        if (number == 0)
                return 0;
        r = store_prepare(store, STATEMENT_AUDIT_HASH, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, number);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                copy_hash(statement, 0, ret);
        (void) sqlite3_reset(statement);
        return result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
}
