#include "store/store-webhook.h"

#include <stdio.h>

#include "store/store-private.h"

/* ------------------------------------------------------------------ within the writes of jobs */

int store_webhook_add(Store *store, const Job *job) {
        int r = 0;

        for (char **endpoint = job->webhooks; endpoint && *endpoint && r >= 0; endpoint++) {
                sqlite3_stmt *statement;

                r = store_prepare(store, STATEMENT_WEBHOOK_ADD, &statement);
                if (r < 0)
                        return r;
                (void) sqlite3_bind_int64(statement, 1, job->sequence);
                store_bind_text(statement, 2, *endpoint);
                (void) sqlite3_bind_int(statement, 3,
                                        job_status_ended(job->status) ? WEBHOOK_PENDING : WEBHOOK_AWAITS_END);
                (void) sqlite3_bind_int64(statement, 4, (int64_t) job->ended_at);
                r = store_step(store, statement);
        }
        return r;
}

static int run_at(Store *store, Statement which, int64_t sequence, usec_t ended_at) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, which, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, sequence);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) ended_at);
        return store_step(store, statement);
}

int store_webhook_job_ended(Store *store, int64_t sequence, usec_t ended_at) {
        return run_at(store, STATEMENT_WEBHOOK_JOB_ENDED, sequence, ended_at);
}

int store_webhook_followers_end(Store *store, int64_t leader, usec_t ended_at) {
        return run_at(store, STATEMENT_WEBHOOK_FOLLOWERS_END, leader, ended_at);
}

/* ------------------------------------------------------------------ delivering */

int store_webhook_next(Store *store, const char *endpoint, usec_t due, int64_t number, WebhookDelivery *ret) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_WEBHOOK_NEXT, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, endpoint);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) due);
        (void) sqlite3_bind_int64(statement, 3, number);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                *ret = (WebhookDelivery) {
                        .number = sqlite3_column_int64(statement, 0),
                        .attempts = sqlite3_column_int64(statement, 2),
                        .due = (usec_t) sqlite3_column_int64(statement, 3),
                };
                (void) snprintf(ret->job, sizeof(ret->job), "%s", sqlite3_column_text(statement, 1));
        } else
                r = result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

int store_webhook_tried(Store *store, int64_t number, WebhookState state, usec_t due, const char *cause) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_WEBHOOK_TRIED, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, number);
        (void) sqlite3_bind_int(statement, 2, state);
        (void) sqlite3_bind_int64(statement, 3, (int64_t) due);
        store_bind_text(statement, 4, cause);
        r = store_step(store, statement);
        return r < 0 || sqlite3_changes(store->database) > 0 ? r : STORE_NOT_FOUND;
}

int store_webhook_count(Store *store, const char *endpoint, WebhookState state, int64_t *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_WEBHOOK_COUNT, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, endpoint);
        (void) sqlite3_bind_int(statement, 2, state);
        return store_step_integer(store, statement, ret);
}

int store_webhook_last_cause(Store *store, const char *endpoint, char **ret) {
        sqlite3_stmt *statement;
        int result, r;

        *ret = NULL;
        r = store_prepare(store, STATEMENT_WEBHOOK_LAST_CAUSE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, endpoint);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                r = store_column_text(statement, 0, ret);
        else
                r = store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

int store_webhook_retry(Store *store, const char *endpoint, usec_t now, int64_t *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_WEBHOOK_RETRY, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, endpoint);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) now);
        r = store_step(store, statement);
        if (r >= 0)
                *ret = sqlite3_changes(store->database);
        return r;
}
