#include "store/store-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/store-copy.h"
#include "store/store-schema.h"

#define CACHE_KIB 4096          /* of pages; the rest is the kernel's page cache */
#define WAL_CHECKPOINT_PAGES 4000

#define JOB_COLUMNS \
        "id, sequence, status, model, response_format, request, created_at, started_at, ended_at, usage, reply, failure, " \
        "held, reserved, charged, unknown, budget_day, entry, asked, key, not_before, picture, origin, priority, " \
        "optimised"
#define AUDIT_COLUMNS \
        "number, at, action, outcome, key, origin, address, uid, object, model, cost, unknown, count, detail, hash"
#define ENTRY_COLUMNS "number, at, kind, day, job, key, model, provider, reserved, spent, unknown, images, note, hash"
#define KEY_COLUMNS \
        "id, name, hash, created_at, revoked_at, daily_budget, monthly_budget, owner, former_hash, former_until, expires_at, " \
        "used_at, models, networks, requests_per_minute, images_per_minute"
#define ADD_KEY \
        "INSERT INTO client_key (" KEY_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
#define BATCH_COLUMNS "sequence, id, key, model, metadata, items, created_at, cancelled_at"

static const char *const statement_texts[_STATEMENTS] = {
        [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
        [STATEMENT_COMMIT] = "COMMIT",
        [STATEMENT_ROLLBACK] = "ROLLBACK",
        [STATEMENT_SAVEPOINT] = "SAVEPOINT operation",
        [STATEMENT_RELEASE] = "RELEASE operation",
        [STATEMENT_ROLLBACK_TO] = "ROLLBACK TO operation",
        [STATEMENT_SUBMIT] =
                "INSERT INTO job (id, status, model, response_format, request, created_at, asked, key, held, started_at, "
                "ended_at, reply, picture, origin, leader, party, priority, optimised) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ifnull(?8, ''), ?16, ?17) "
                "ON CONFLICT (id) DO NOTHING",
        [STATEMENT_SET_COST] =
                "UPDATE job SET reserved = ?2, charged = ?3, unknown = ?4, budget_day = ?5, entry = ?6 WHERE id = ?1",
        [STATEMENT_START_JOB] =
                "UPDATE job SET status = 1, lease = ?2, started_at = coalesce(started_at, ?3), not_before = 0 "
                "WHERE id = ?1 AND status = 0 AND held = 0 RETURNING sequence",
        [STATEMENT_ADD_ATTEMPT] =
                "INSERT INTO attempt (job, number, provider, outcome, started_at, model, note) "
                "VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE job = ?1), ?2, 0, ?3, ?4, ?5) "
                "RETURNING number",
        [STATEMENT_END_JOB] =
                "UPDATE job SET status = ?2, ended_at = ?3, usage = ?4, reply = ?5, failure = ?6, lease = NULL, "
                "not_before = ?7, held = CASE ?2 WHEN 0 THEN held ELSE 0 END "
                "WHERE id = ?1 AND status = 1 RETURNING sequence",
        [STATEMENT_END_ATTEMPT] =
                "UPDATE attempt SET outcome = ?3, ended_at = ?4, provider_request_id = ?5, cause = ?6, "
                "retry_delay = ?7, next_model = ?8 WHERE job = ?1 AND number = ?2 AND outcome = 0",
        [STATEMENT_ADD_IMAGE] =
                "INSERT INTO image (job, number, sha256, format, width, height, size_bytes, revised_prompt) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        [STATEMENT_END_QUEUED] =
                "UPDATE job SET status = ?2, ended_at = ?3, failure = ?4, held = 0, not_before = 0 "
                "WHERE id = ?1 AND status = 0",
        [STATEMENT_DELETE] = "DELETE FROM job WHERE id = ?1",
        [STATEMENT_GET] = "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1",
        [STATEMENT_GET_STATUS] = "SELECT status FROM job WHERE id = ?1",
        [STATEMENT_GET_ATTEMPTS] =
                "SELECT number, provider, outcome, started_at, ended_at, provider_request_id, cause, retry_delay, "
                "model, note, next_model FROM attempt WHERE job = ?1 ORDER BY number",
        [STATEMENT_GET_IMAGES] =
                "SELECT sha256, format, width, height, size_bytes, revised_prompt "
                "FROM image WHERE job = ?1 ORDER BY number",
        [STATEMENT_NEXT_WAITING_MODEL] =
                "SELECT min(model) FROM ("
                "SELECT * FROM (SELECT model FROM job WHERE status = 0 AND held = 0 AND not_before = 0 AND model > ?1 "
                "ORDER BY model LIMIT 1) UNION ALL "
                "SELECT * FROM (SELECT model FROM job WHERE status = 0 AND held = 0 AND not_before <> 0 AND model > ?1 "
                "ORDER BY model LIMIT 1))",
        [STATEMENT_NEXT_DUE] =
                "SELECT id, sequence, not_before, 0, party, priority FROM job "
                "WHERE status = 0 AND held = 0 AND not_before <> 0 AND model = ?1 "
                "AND (not_before, sequence) > (?3, ?4) AND not_before <= ?2 ORDER BY not_before, sequence LIMIT 1",
        [STATEMENT_NEXT_UNTRIED] =
                "SELECT id, sequence, not_before, 0, party, priority FROM job "
                "WHERE status = 0 AND held = 0 AND not_before = 0 AND model = ?1 "
                "AND (party, priority, sequence) > (?2, ?3, ?4) ORDER BY party, priority, sequence LIMIT 1",
        [STATEMENT_NEXT_RETRY_TIME] =
                "SELECT not_before FROM job WHERE status = 0 AND held = 0 AND not_before <> 0 AND not_before > ?1 "
                "ORDER BY not_before LIMIT 1",
        [STATEMENT_OLDEST_RETRY] =
                "SELECT id, sequence, not_before, started_at, party, priority FROM job INDEXED BY job_begun "
                "WHERE status = 0 AND held = 0 AND not_before <> 0 ORDER BY started_at LIMIT 1",
        [STATEMENT_LIST] =
                "SELECT " JOB_COLUMNS " FROM job WHERE (?1 < 0 OR status = ?1) "
                "AND sequence < coalesce((SELECT sequence FROM job WHERE id = ?2), 9223372036854775807) "
                "ORDER BY sequence DESC LIMIT ?3",
        /* Apart from the one above, so that the index of the key's jobs is used. */
        [STATEMENT_LIST_OF_KEY] =
                "SELECT " JOB_COLUMNS " FROM job WHERE key = ?4 AND (?1 < 0 OR status = ?1) "
                "AND sequence < coalesce((SELECT sequence FROM job WHERE id = ?2 AND key = ?4), 9223372036854775807) "
                "ORDER BY sequence DESC LIMIT ?3",
        [STATEMENT_NEXT_ORPHAN] =
                "SELECT id FROM job WHERE status = 1 AND lease IS NOT ?1 ORDER BY sequence LIMIT 1",
        [STATEMENT_HAS_ATTEMPTS] = "SELECT EXISTS (SELECT 1 FROM attempt WHERE provider = ?1)",
        [STATEMENT_IMAGE_USES] = "SELECT count(*) FROM image WHERE sha256 = ?1 AND format = ?2",
        /* In two halves, since each has its index. */
        [STATEMENT_COUNT_WAITING] =
                "SELECT (SELECT count(*) FROM job WHERE status = 0 AND held = 0 AND not_before = 0) + "
                "(SELECT count(*) FROM job WHERE status = 0 AND held = 0 AND not_before <> 0)",
        [STATEMENT_COUNT_HELD] = "SELECT count(*) FROM job WHERE held = 1",
        [STATEMENT_RELEASE_JOB] = "UPDATE job SET held = 0, not_before = 0 WHERE id = ?1 AND held = 1",
        [STATEMENT_RELEASE_ALL] = "UPDATE job SET held = 0, not_before = 0 WHERE held = 1",
        [STATEMENT_AUDIT_HEAD] = "SELECT number, hash, emitted, chain FROM audit_head",
        [STATEMENT_AUDIT_SET_HEAD] = "UPDATE audit_head SET number = ?1, hash = ?2, emitted = max(emitted, ?3)",
        [STATEMENT_AUDIT_SET_EMITTED] = "UPDATE audit_head SET emitted = max(emitted, ?1)",
        [STATEMENT_AUDIT_NEW_CHAIN] = "UPDATE audit_head SET chain = lower(hex(randomblob(16)))",
        [STATEMENT_AUDIT_APPEND] =
                "INSERT INTO audit (" AUDIT_COLUMNS ") "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        [STATEMENT_AUDIT_LIST] = "SELECT " AUDIT_COLUMNS " FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2",
        [STATEMENT_AUDIT_LIST_OF_KEY] =
                "SELECT " AUDIT_COLUMNS " FROM audit WHERE key = ?3 AND number > ?1 ORDER BY number LIMIT ?2",
        [STATEMENT_AUDIT_HASH] = "SELECT hash FROM audit WHERE number = ?1",
        [STATEMENT_AUDIT_JOB] = "SELECT key, model, charged, unknown FROM job WHERE id = ?1",
        [STATEMENT_LEDGER_LAST] = "SELECT number, hash FROM ledger_entry ORDER BY number DESC LIMIT 1",
        [STATEMENT_LEDGER_APPEND] =
                "INSERT INTO ledger_entry (" ENTRY_COLUMNS ") "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        [STATEMENT_LEDGER_LIST] =
                "SELECT " ENTRY_COLUMNS " FROM ledger_entry WHERE number > ?1 ORDER BY number LIMIT ?2",
        [STATEMENT_LEDGER_HASH] = "SELECT hash FROM ledger_entry WHERE number = ?1",
        [STATEMENT_LEDGER_GET_TOTAL] =
                "SELECT reserved, spent, unknown, images FROM ledger_total WHERE scope = ?1 AND period = ?2 AND name = ?3",
        [STATEMENT_LEDGER_SET_TOTAL] =
                "INSERT INTO ledger_total (scope, period, name, reserved, spent, unknown, images) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (scope, period, name) DO UPDATE SET "
                "reserved = ?4, spent = ?5, unknown = ?6, images = ?7",
        [STATEMENT_LEDGER_TOTALS] =
                "SELECT period, name, reserved, spent, unknown, images FROM ledger_total "
                "WHERE scope = ?1 AND period BETWEEN ?2 AND ?3 ORDER BY period, name LIMIT ?4",
        [STATEMENT_LEDGER_JOBS_RESERVED] =
                "SELECT (SELECT coalesce(sum(reserved), 0) FROM job WHERE status = 0 AND held = 0 AND not_before = 0) + "
                "(SELECT coalesce(sum(reserved), 0) FROM job WHERE status = 0 AND held = 0 AND not_before <> 0) + "
                "(SELECT coalesce(sum(reserved), 0) FROM job WHERE held = 1) + "
                "(SELECT coalesce(sum(reserved), 0) FROM job WHERE status = 1 AND held = 0)",
        [STATEMENT_FIND_IDEMPOTENT] =
                "SELECT job.id, idempotency.body FROM idempotency JOIN job ON job.sequence = idempotency.job "
                "WHERE scope = ?1 AND name = ?2",
        [STATEMENT_ADD_IDEMPOTENT] = "INSERT INTO idempotency (scope, name, body, job) VALUES (?1, ?2, ?3, ?4)",
        [STATEMENT_CACHE_FIND] =
                "SELECT cache_entry.job, job.reply FROM cache_entry JOIN job ON job.sequence = cache_entry.job "
                "WHERE cache_entry.picture = ?1 AND made_at > ?2",
        [STATEMENT_CACHE_USE] = "UPDATE cache_entry SET used_at = ?2 WHERE picture = ?1",
        [STATEMENT_CACHE_ADD] =
                "INSERT INTO cache_entry (picture, job, made_at, used_at, size_bytes) VALUES (?1, ?2, ?3, ?3, ?4)",
        [STATEMENT_CACHE_REPLACE] = "DELETE FROM cache_entry WHERE picture = ?1 RETURNING size_bytes",
        [STATEMENT_CACHE_REMOVE] =
                "DELETE FROM cache_entry WHERE job = (SELECT sequence FROM job WHERE id = ?1) RETURNING size_bytes",
        [STATEMENT_CACHE_ADD_TOTAL] =
                "UPDATE cache_total SET entries = entries + ?1, size_bytes = size_bytes + ?2",
        [STATEMENT_CACHE_EXPIRE] =
                "DELETE FROM cache_entry WHERE picture IN "
                "(SELECT picture FROM cache_entry WHERE made_at <= ?1 ORDER BY made_at LIMIT ?2) RETURNING size_bytes",
        [STATEMENT_CACHE_EVICT] =
                "DELETE FROM cache_entry WHERE picture IN (SELECT picture FROM cache_entry ORDER BY used_at LIMIT 1) "
                "RETURNING size_bytes",
        [STATEMENT_CACHE_GET_TOTAL] = "SELECT entries, size_bytes FROM cache_total",
        [STATEMENT_CACHE_CLEAR] =
                "DELETE FROM cache_entry WHERE picture IN (SELECT picture FROM cache_entry LIMIT ?1) RETURNING size_bytes",
        [STATEMENT_FIND_LEADER] =
                "SELECT sequence FROM job WHERE picture = ?1 AND status < 2 AND held = 0 AND picture IS NOT NULL "
                "ORDER BY sequence DESC LIMIT 1",
        [STATEMENT_COUNT_FOLLOWERS] = "SELECT count(*) FROM job WHERE leader = ?1 AND held = 2",
        [STATEMENT_COUNT_FOLLOWING] = "SELECT count(*) FROM job WHERE held = 2",
        [STATEMENT_NEXT_FOLLOWER] = "SELECT " JOB_COLUMNS " FROM job WHERE leader = ?1 AND held = 2 "
                "ORDER BY sequence LIMIT 1",
        [STATEMENT_GIVE_IMAGES] =
                "INSERT INTO image (job, number, sha256, format, width, height, size_bytes, revised_prompt) "
                "SELECT job.sequence, number, sha256, format, width, height, size_bytes, revised_prompt "
                "FROM job JOIN image ON image.job = ?1 WHERE leader = ?1 AND held = 2",
        [STATEMENT_END_FOLLOWERS] =
                "UPDATE job SET status = ?2, started_at = ?3, ended_at = ?4, reply = ?5, failure = ?6, held = 0 "
                "WHERE leader = ?1 AND held = 2 RETURNING id",
        [STATEMENT_PROMOTE] = "UPDATE job SET held = ?2, leader = NULL, origin = 0 WHERE sequence = ?1 AND held = 2",
        [STATEMENT_FOLLOW_ANOTHER] = "UPDATE job SET leader = ?2 WHERE leader = ?1 AND held = 2",
        [STATEMENT_RECEIPT_ADD_ENTRY] =
                "INSERT OR IGNORE INTO job_entry (job, entry) SELECT sequence, ?2 FROM job WHERE sequence = ?1",
        [STATEMENT_RECEIPT_SETTLE] =
                "INSERT OR REPLACE INTO settlement (job, items, budgets) SELECT sequence, ?2, ?3 FROM job "
                "WHERE sequence = ?1",
        [STATEMENT_RECEIPT_ENTRIES] = "SELECT entry FROM job_entry WHERE job = ?1 ORDER BY entry DESC LIMIT ?2",
        [STATEMENT_RECEIPT_SETTLEMENT] = "SELECT items, budgets FROM settlement WHERE job = ?1",
        [STATEMENT_RECEIPT_JOBS] =
                "SELECT DISTINCT job.id FROM "
                "(SELECT job AS used FROM image WHERE sha256 = ?1 AND format = ?2 ORDER BY job DESC LIMIT ?3) "
                "JOIN job ON job.sequence = used WHERE ?4 IS NULL OR job.key = ?4 ORDER BY used DESC LIMIT ?5",
        [STATEMENT_BUDGET_GET_PAUSE] = "SELECT since, until_day, reason FROM budget_pause",
        [STATEMENT_BUDGET_SET_PAUSE] =
                "INSERT OR REPLACE INTO budget_pause (id, since, until_day, reason) VALUES (1, ?1, ?2, ?3)",
        [STATEMENT_BUDGET_END_PAUSE] = "DELETE FROM budget_pause",
        [STATEMENT_ADD_KEY] =
                ADD_KEY,
        /* Of the state in use goes before the restored one all but a revocation, which stands. */
        [STATEMENT_MERGE_KEY] =
                ADD_KEY " ON CONFLICT (id) DO UPDATE SET name = excluded.name, owner = excluded.owner, hash = excluded.hash, "
                "former_hash = excluded.former_hash, former_until = excluded.former_until, "
                "revoked_at = coalesce(revoked_at, excluded.revoked_at), expires_at = excluded.expires_at, "
                "used_at = excluded.used_at, daily_budget = excluded.daily_budget, monthly_budget = excluded.monthly_budget, "
                "models = excluded.models, networks = excluded.networks, requests_per_minute = excluded.requests_per_minute, "
                "images_per_minute = excluded.images_per_minute",
        [STATEMENT_REVOKE_KEY] = "UPDATE client_key SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1",
        [STATEMENT_ROTATE_KEY] =
                "UPDATE client_key SET hash = ?2, former_hash = ?3, former_until = ?4 WHERE id = ?1 AND revoked_at IS NULL",
        [STATEMENT_USE_KEY] =
                "UPDATE client_key SET used_at = ?2 WHERE id = ?1 AND (used_at IS NULL OR used_at NOT BETWEEN ?2 - ?3 AND ?2)",
        [STATEMENT_DELETE_KEY] = "DELETE FROM client_key WHERE id = ?1",
        [STATEMENT_GET_KEY] =
                "SELECT " KEY_COLUMNS " FROM client_key WHERE id = ?1",
        [STATEMENT_LIST_KEYS] =
                "SELECT " KEY_COLUMNS " FROM client_key "
                "WHERE sequence > coalesce((SELECT sequence FROM client_key WHERE id = ?1), 0) "
                "ORDER BY sequence LIMIT ?2",
        [STATEMENT_ADD_UPLOAD] =
                "INSERT OR IGNORE INTO upload (job, sha256, format, size_bytes, done) VALUES (?1, ?2, ?3, ?4, ?5)",
        [STATEMENT_END_UPLOADS] = "UPDATE upload SET done = 1 WHERE job = ?1",
        [STATEMENT_UPLOAD_USES] = "SELECT count(*) FROM upload WHERE sha256 = ?1 AND format = ?2 AND done = 0",
        [STATEMENT_DONE_UPLOADS] = "SELECT job, sha256, format FROM upload WHERE done = 1 LIMIT ?1",
        [STATEMENT_REMOVE_UPLOAD] = "DELETE FROM upload WHERE job = ?1 AND sha256 = ?2 AND format = ?3",
        [STATEMENT_HAS_UPLOADS] = "SELECT EXISTS (SELECT 1 FROM upload)",
        [STATEMENT_HAS_KEYS] = "SELECT EXISTS (SELECT 1 FROM client_key)",
        [STATEMENT_WEBHOOK_ADD] = "INSERT INTO webhook_delivery (job, endpoint, state, due) VALUES (?1, ?2, ?3, ?4)",
        [STATEMENT_WEBHOOK_JOB_ENDED] =
                "UPDATE webhook_delivery SET state = 1, due = ?2 WHERE job = ?1 AND state = 0",
        [STATEMENT_WEBHOOK_FOLLOWERS_END] =
                "UPDATE webhook_delivery SET state = 1, due = ?2 "
                "WHERE job IN (SELECT sequence FROM job WHERE leader = ?1 AND held = 2) AND state = 0",
        [STATEMENT_WEBHOOK_NEXT] =
                "SELECT number, id, attempts, due FROM webhook_delivery JOIN job ON sequence = job "
                "WHERE endpoint = ?1 AND state = 1 AND (due, number) > (?2, ?3) ORDER BY due, number LIMIT 1",
        [STATEMENT_WEBHOOK_TRIED] =
                "UPDATE webhook_delivery SET state = ?2, attempts = attempts + 1, due = ?3, cause = ?4 "
                "WHERE number = ?1 AND state = 1",
        [STATEMENT_WEBHOOK_COUNT] = "SELECT count(*) FROM webhook_delivery WHERE endpoint = ?1 AND state = ?2",
        [STATEMENT_WEBHOOK_LAST_CAUSE] =
                "SELECT cause FROM webhook_delivery WHERE endpoint = ?1 AND state IN (1, 3) AND cause IS NOT NULL "
                "ORDER BY number DESC LIMIT 1",
        [STATEMENT_WEBHOOK_RETRY] =
                "UPDATE webhook_delivery SET state = 1, attempts = 0, due = ?2 "
                "WHERE state = 3 AND (?1 IS NULL OR endpoint = ?1)",
        [STATEMENT_ADD_BUDGET_WAIT] = "INSERT INTO budget_wait (job, amount) VALUES (?1, ?2)",
        [STATEMENT_GET_BUDGET_WAIT] = "SELECT amount FROM budget_wait WHERE job = ?1",
        [STATEMENT_REMOVE_BUDGET_WAIT] = "DELETE FROM budget_wait WHERE job = ?1",
        [STATEMENT_NEXT_WAITING_FOR_BUDGET] =
                "SELECT " JOB_COLUMNS " FROM job WHERE held = 3 AND sequence > ?1 ORDER BY sequence LIMIT 1",
        [STATEMENT_COUNT_WAITING_FOR_BUDGET] = "SELECT count(*) FROM job WHERE held = 3",
        [STATEMENT_ADMIT] = "UPDATE job SET held = 0 WHERE sequence = ?1 AND held = 3",
        [STATEMENT_RELEASE_TO_BUDGET] =
                "UPDATE job SET held = 3, not_before = 0 WHERE held = 1 AND (?1 IS NULL OR id = ?1) "
                "AND sequence IN (SELECT job FROM budget_wait)",
        [STATEMENT_COUNT_DUE] =
                "SELECT count(*) FROM (SELECT 1 FROM job WHERE status = 0 AND held = 0 AND not_before <> 0 "
                "AND model = ?1 AND (not_before, sequence) < (?2, ?3) LIMIT ?4)",
        [STATEMENT_COUNT_OF_PARTY] =
                "SELECT count(*) FROM (SELECT 1 FROM job WHERE status = 0 AND held = 0 AND not_before = 0 "
                "AND model = ?1 AND party = ?2 AND (priority, sequence) < (?3, ?4) LIMIT ?5)",
        /* By its id first: what an api whose worker went away submits again may have a key as well. */
        [STATEMENT_FIND_BATCH] =
                "SELECT id, body FROM (SELECT id, NULL AS body, 0 AS rank FROM batch WHERE id = ?1 UNION ALL "
                "SELECT id, body, 1 FROM batch WHERE scope = ?2 AND name = ?3) ORDER BY rank LIMIT 1",
        [STATEMENT_ADD_BATCH] =
                "INSERT INTO batch (id, key, model, metadata, items, created_at, scope, name, body) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [STATEMENT_ADD_BATCH_ITEM] = "INSERT INTO batch_item (batch, number, job, custom_id) VALUES (?1, ?2, ?3, ?4)",
        [STATEMENT_GET_BATCH] = "SELECT " BATCH_COLUMNS " FROM batch WHERE id = ?1",
        [STATEMENT_COUNT_BATCH] =
                "SELECT status, count(*), sum(reserved), sum(charged), sum(unknown), min(started_at), max(ended_at) "
                "FROM batch_item CROSS JOIN job ON job.sequence = batch_item.job WHERE batch = ?1 GROUP BY status",
        [STATEMENT_LIST_BATCHES] =
                "SELECT " BATCH_COLUMNS " FROM batch "
                "WHERE sequence < coalesce((SELECT sequence FROM batch WHERE id = ?1), 9223372036854775807) "
                "ORDER BY sequence DESC LIMIT ?2",
        [STATEMENT_LIST_BATCHES_OF_KEY] =
                "SELECT " BATCH_COLUMNS " FROM batch WHERE key = ?3 "
                "AND sequence < coalesce((SELECT sequence FROM batch WHERE id = ?1 AND key = ?3), 9223372036854775807) "
                "ORDER BY sequence DESC LIMIT ?2",
        [STATEMENT_LIST_BATCH_ITEMS] =
                "SELECT number, custom_id, job.id FROM batch_item LEFT JOIN job ON job.sequence = batch_item.job "
                "WHERE batch = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        [STATEMENT_CANCEL_BATCH] = "UPDATE batch SET cancelled_at = coalesce(cancelled_at, ?2) WHERE sequence = ?1",
        [STATEMENT_NEXT_WAITING_ITEM] =
                "SELECT number, job.id FROM batch_item CROSS JOIN job ON job.sequence = batch_item.job "
                "WHERE batch = ?1 AND number < ?2 AND status = 0 ORDER BY number DESC LIMIT 1",
        [STATEMENT_RETRY_CANCELLED] =
                "SELECT EXISTS (SELECT 1 FROM batch_item JOIN batch ON batch.sequence = batch_item.batch "
                "WHERE batch_item.job = ?1 AND cancelled_at IS NOT NULL) "
                "AND NOT EXISTS (SELECT 1 FROM job WHERE leader = ?1 AND held = 2)",
        [STATEMENT_GET_RATE] = "SELECT full_at FROM rate WHERE key = ?1 AND kind = ?2",
        [STATEMENT_SET_RATE] = "INSERT OR REPLACE INTO rate (key, kind, full_at) VALUES (?1, ?2, ?3)",
        [STATEMENT_ADD_DEFECT] =
                "INSERT INTO defect (at, kind, detail, job, key, provider, model, provider_request_id, image, sha256, charged, "
                "unknown) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        [STATEMENT_LIST_DEFECTS] =
                "SELECT number, at, kind, detail, job, key, provider, model, provider_request_id, image, sha256, charged, unknown "
                "FROM defect WHERE number > ?1 AND at >= ?3 ORDER BY number LIMIT ?2",
        [STATEMENT_LIST_JOB_DEFECTS] =
                "SELECT number, at, kind, detail, job, key, provider, model, provider_request_id, image, sha256, charged, unknown "
                "FROM (SELECT * FROM defect WHERE job = ?1 ORDER BY number DESC LIMIT ?2) ORDER BY number",
};

int store_error(const Store *store, int result) {
        switch (result & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_PERM:
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
                return -EACCES;
        case SQLITE_IOERR:
                /* The reason lies in the system call; a disk that is full shows up here as well. Not so of an
                 * fsync: what reached the disk is then unknown, whatever the reason. */
                if (result == SQLITE_IOERR_FSYNC || result == SQLITE_IOERR_DIR_FSYNC)
                        return -EIO;
                return store && store->database && sqlite3_system_errno(store->database) == ENOSPC ? -ENOSPC : -EIO;
        default:
                return -EIO;
        }
}

sqlite3_stmt *store_statement(Store *store, Statement statement) {
        sqlite3_stmt **slot = &store->statements[statement];

        if (!*slot &&
            sqlite3_prepare_v3(store->database, statement_texts[statement], -1, SQLITE_PREPARE_PERSISTENT, slot,
                               NULL) != SQLITE_OK)
                return NULL;
        return *slot;
}

int store_step(Store *store, sqlite3_stmt *statement) {
        int result = sqlite3_step(statement);

        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return store_error(store, result);
}

int store_run(Store *store, Statement statement) {
        sqlite3_stmt *prepared = store_statement(store, statement);

        if (!prepared)
                return store_error(store, sqlite3_errcode(store->database));
        return store_step(store, prepared);
}

int store_prepare(Store *store, Statement which, sqlite3_stmt **ret) {
        *ret = store_statement(store, which);
        return *ret ? 0 : store_error(store, sqlite3_errcode(store->database));
}

void store_bind_text(sqlite3_stmt *statement, int index, const char *text) {
        (void) sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

int store_column_text(sqlite3_stmt *statement, int column, char **ret) {
        const char *text = (const char *) sqlite3_column_text(statement, column);

        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? -ENOMEM : 0;
}

int store_step_integer(Store *store, sqlite3_stmt *statement, int64_t *ret) {
        int result = sqlite3_step(statement);

        if (result == SQLITE_ROW) {
                *ret = sqlite3_column_int64(statement, 0);
                /* RETURNING has done its work with the first row; the next step only confirms it. */
                result = sqlite3_step(statement);
                if (result == SQLITE_DONE)
                        result = SQLITE_ROW;
        }
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        if (result == SQLITE_DONE)
                return STORE_NOT_FOUND;
        return store_error(store, result);
}

static int execute(Store *store, const char *text) {
        return store_error(store, sqlite3_exec(store->database, text, NULL, NULL, NULL));
}

static int get_pragma(Store *store, const char *text, int *ret) {
        sqlite3_stmt *statement;
        int result;

        result = sqlite3_prepare_v2(store->database, text, -1, &statement, NULL);
        if (result != SQLITE_OK)
                return store_error(store, result);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                *ret = sqlite3_column_int(statement, 0);
        (void) sqlite3_finalize(statement);
        return store_error(store, result);
}

static int migrate_one(Store *store, int version) {
        char text[64];
        int r;

        r = execute(store, "BEGIN IMMEDIATE");
        if (r < 0)
                return r;

        (void) snprintf(text, sizeof(text), "PRAGMA user_version = %d", version + 1);
        r = execute(store, store_migrations[version]);
        if (r >= 0)
                r = execute(store, text);
        if (r >= 0)
                r = execute(store, "COMMIT");
        if (r < 0)
                (void) execute(store, "ROLLBACK");
        return r;
}

/* The schema's version; 0 for a file that is new. What is not ours is left as it is. */
static int identify(Store *store, int *ret_version) {
        int version = 0, application = 0, tables = 0;
        int r;

        r = get_pragma(store, "PRAGMA user_version", &version);
        if (r >= 0)
                r = get_pragma(store, "PRAGMA application_id", &application);
        if (r >= 0)
                r = get_pragma(store, "SELECT count(*) FROM sqlite_schema", &tables);
        if (r < 0)
                return r;

        if (application != STORE_APPLICATION_ID && (application != 0 || version != 0 || tables != 0))
                return -EUCLEAN;
        if (version < 0 || (version == 0 && tables != 0))
                return -EUCLEAN;
        if (version > store_version)
                return -EPROTONOSUPPORT;

        *ret_version = version;
        return 0;
}

static int migrate(Store *store, int version) {
        char text[64];
        int r = 0;

        if (version == 0) {
                (void) snprintf(text, sizeof(text), "PRAGMA application_id = %d", STORE_APPLICATION_ID);
                r = execute(store, text);
        }
        for (; r >= 0 && version < store_version; version++)
                r = migrate_one(store, version);
        return r;
}

static int configure(Store *store) {
        char text[256];

        (void) snprintf(text, sizeof(text),
                        "PRAGMA journal_mode = WAL;"
                        "PRAGMA synchronous = FULL;"
                        "PRAGMA foreign_keys = ON;"
                        "PRAGMA temp_store = MEMORY;"
                        "PRAGMA cache_size = -%d;"
                        "PRAGMA wal_autocheckpoint = %d;",
                        CACHE_KIB, WAL_CHECKPOINT_PAGES);
        return execute(store, text);
}

/* What a crash or a failed fsync has left in the WAL goes into the database, durably, before anything is appended
 * behind it. Otherwise a page of the WAL that the kernel holds but never wrote would stand between what is durable and
 * what comes after: a power cut later would lose both. */
static int settle_wal(Store *store) {
        int result = sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

        return store_error(store, result);
}

/* A database may come out of an archive, and with it triggers and views: nothing that stands in a file runs here, and
 * our own statements have none. */
static int distrust(Store *store) {
        static const struct {
                int option, on;
        } settings[] = {
                { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
                { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
                { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
                { SQLITE_DBCONFIG_DEFENSIVE, 1 },
        };
        int result = SQLITE_OK;

        for (size_t i = 0; i < ELEMENTS(settings) && result == SQLITE_OK; i++)
                result = sqlite3_db_config(store->database, settings[i].option, settings[i].on, NULL);
        return store_error(store, result);
}

int store_open(Store **ret, const char *path) {
        _cleanup_(store_freep) Store *store = NULL;
        int result, version, r;

        store = calloc(1, sizeof(*store));
        if (!store)
                return -ENOMEM;

        result = sqlite3_open_v2(path, &store->database,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE, NULL);
        if (result != SQLITE_OK)
                return store_error(store, result);

        r = distrust(store);
        /* One writer: no shared-memory file, no lock calls. */
        if (r >= 0)
                r = execute(store, "PRAGMA locking_mode = EXCLUSIVE");
        if (r >= 0)
                r = identify(store, &version);
        if (r >= 0)
                r = configure(store);
        if (r >= 0)
                r = settle_wal(store);
        if (r >= 0)
                r = migrate(store, version);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(store);
        return 0;
}

Store *store_free(Store *store) {
        if (!store)
                return NULL;

        store_copy_end(store);
        for (size_t i = 0; i < _STATEMENTS; i++)
                (void) sqlite3_finalize(store->statements[i]);
        (void) sqlite3_close(store->database);
        free(store);
        return NULL;
}

int store_group_begin(Store *store) {
        assert(!store_group_open(store));

        return store_run(store, STATEMENT_BEGIN);
}

int store_group_commit(Store *store) {
        int r;

        assert(store_group_open(store));

        r = store_run(store, STATEMENT_COMMIT);
        if (r < 0)
                store_group_rollback(store);
        return r;
}

void store_group_rollback(Store *store) {
        if (store_group_open(store))
                (void) store_run(store, STATEMENT_ROLLBACK);
}

bool store_group_open(const Store *store) {
        return !sqlite3_get_autocommit(store->database);
}
