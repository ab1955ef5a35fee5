#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/store-private.h"

/* The clients' keys. Each operation is one statement, which needs no savepoint of its own. */

static int prepare(Store *store, Statement which, sqlite3_stmt **ret) {
        *ret = store_statement(store, which);
        return *ret ? 0 : store_error(store, sqlite3_errcode(store->database));
}

#define USE_INTERVAL (60 * USEC_PER_SEC)

static void bind_some(sqlite3_stmt *statement, int parameter, int64_t value) {
        if (value > 0)
                (void) sqlite3_bind_int64(statement, parameter, value);
}

static void bind_text(sqlite3_stmt *statement, int parameter, const char *text) {
        store_bind_text(statement, parameter, *text ? text : NULL);
}

static void bind_hash(sqlite3_stmt *statement, int parameter, const uint8_t hash[static SHA256_BYTES]) {
        (void) sqlite3_bind_blob(statement, parameter, hash, SHA256_BYTES, SQLITE_STATIC);
}

static void bind_key(sqlite3_stmt *statement, const ClientKey *key) {
        bind_text(statement, 1, key->id);
        bind_text(statement, 2, key->name);
        bind_hash(statement, 3, key->hash);
        (void) sqlite3_bind_int64(statement, 4, (int64_t) key->created_at);
        bind_some(statement, 5, (int64_t) key->revoked_at);
        if (key->daily_budget != CLIENT_KEY_NO_BUDGET)
                (void) sqlite3_bind_int64(statement, 6, key->daily_budget);
        if (key->monthly_budget != CLIENT_KEY_NO_BUDGET)
                (void) sqlite3_bind_int64(statement, 7, key->monthly_budget);
        bind_text(statement, 8, key->owner);
        if (key->former_until > 0)
                bind_hash(statement, 9, key->former_hash);
        bind_some(statement, 10, (int64_t) key->former_until);
        bind_some(statement, 11, (int64_t) key->expires_at);
        bind_some(statement, 12, (int64_t) key->used_at);
        bind_text(statement, 13, key->models);
        bind_text(statement, 14, key->networks);
        bind_some(statement, 15, key->requests_per_minute);
        bind_some(statement, 16, key->images_per_minute);
}

static int run_with_key(Store *store, Statement which, const ClientKey *key) {
        sqlite3_stmt *statement;
        int r;

        assert(store_group_open(store));

        r = prepare(store, which, &statement);
        if (r < 0)
                return r;
        bind_key(statement, key);
        return store_step(store, statement);
}

int store_add_key(Store *store, const ClientKey *key) {
        return run_with_key(store, STATEMENT_ADD_KEY, key);
}

int store_merge_key(Store *store, const ClientKey *key) {
        return run_with_key(store, STATEMENT_MERGE_KEY, key);
}

static int run_with_id(Store *store, Statement which, const char *id, usec_t now) {
        sqlite3_stmt *statement;
        int r;

        assert(store_group_open(store));

        r = prepare(store, which, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
        if (now > 0)
                (void) sqlite3_bind_int64(statement, 2, (int64_t) now);
        r = store_step(store, statement);
        return r < 0 ? r : sqlite3_changes(store->database) == 0 ? STORE_NOT_FOUND : 0;
}

int store_revoke_key(Store *store, const char *id, usec_t now) {
        return run_with_id(store, STATEMENT_REVOKE_KEY, id, now);
}

int store_rotate_key(Store *store, const ClientKey *key) {
        sqlite3_stmt *statement;
        int r;

        assert(store_group_open(store));

        r = prepare(store, STATEMENT_ROTATE_KEY, &statement);
        if (r < 0)
                return r;
        bind_text(statement, 1, key->id);
        bind_hash(statement, 2, key->hash);
        if (key->former_until > 0)
                bind_hash(statement, 3, key->former_hash);
        bind_some(statement, 4, (int64_t) key->former_until);
        r = store_step(store, statement);
        return r < 0 ? r : sqlite3_changes(store->database) == 0 ? STORE_NOT_FOUND : 0;
}

int store_use_key(Store *store, const char *id, usec_t now) {
        sqlite3_stmt *statement;
        int r;

        r = prepare(store, STATEMENT_USE_KEY, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) now);
        (void) sqlite3_bind_int64(statement, 3, (int64_t) USE_INTERVAL);
        return store_step(store, statement);
}

int store_delete_key(Store *store, const char *id) {
        return run_with_id(store, STATEMENT_DELETE_KEY, id, 0);
}

static micros_t column_budget(sqlite3_stmt *statement, int column) {
        return sqlite3_column_type(statement, column) == SQLITE_NULL ? CLIENT_KEY_NO_BUDGET
                                                                     : sqlite3_column_int64(statement, column);
}

/* NULL is "". False for a text that is longer than such a one can be. */
static bool column_short_text(sqlite3_stmt *statement, int column, char *ret, size_t size) {
        const char *text = (const char *) sqlite3_column_text(statement, column);

        return snprintf(ret, size, "%s", text ?: "") < (int) size;
}

static bool column_hash(sqlite3_stmt *statement, int column, uint8_t ret[static SHA256_BYTES]) {
        const void *hash = sqlite3_column_blob(statement, column);

        if (!hash || sqlite3_column_bytes(statement, column) != SHA256_BYTES)
                return false;
        memcpy(ret, hash, SHA256_BYTES);
        return true;
}

static int read_key(sqlite3_stmt *statement, ClientKey *key) {
        *key = (ClientKey) {
                .created_at = (usec_t) sqlite3_column_int64(statement, 3),
                .revoked_at = (usec_t) sqlite3_column_int64(statement, 4),
                .daily_budget = column_budget(statement, 5),
                .monthly_budget = column_budget(statement, 6),
                .former_until = (usec_t) sqlite3_column_int64(statement, 9),
                .expires_at = (usec_t) sqlite3_column_int64(statement, 10),
                .used_at = (usec_t) sqlite3_column_int64(statement, 11),
                .requests_per_minute = (unsigned) sqlite3_column_int64(statement, 14),
                .images_per_minute = (unsigned) sqlite3_column_int64(statement, 15),
        };
        if (!column_short_text(statement, 0, key->id, sizeof(key->id)) || !client_key_id_valid(key->id) ||
            !column_short_text(statement, 1, key->name, sizeof(key->name)) || !column_hash(statement, 2, key->hash) ||
            !column_short_text(statement, 7, key->owner, sizeof(key->owner)) ||
            (key->former_until > 0 && !column_hash(statement, 8, key->former_hash)) ||
            !column_short_text(statement, 12, key->models, sizeof(key->models)) ||
            !column_short_text(statement, 13, key->networks, sizeof(key->networks)))
                return -EUCLEAN;
        return 0;
}

static void finish(sqlite3_stmt *statement) {
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
}

int store_get_key(Store *store, const char *id, ClientKey *ret) {
        sqlite3_stmt *statement;
        int result, r;

        r = prepare(store, STATEMENT_GET_KEY, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                r = read_key(statement, ret);
        else
                r = result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
        finish(statement);
        return r;
}

int store_list_keys(Store *store, const char *after, ClientKey *keys, size_t limit) {
        sqlite3_stmt *statement;
        int result = SQLITE_DONE, r;
        size_t count = 0;

        r = prepare(store, STATEMENT_LIST_KEYS, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_text(statement, 1, after, -1, SQLITE_STATIC);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) limit);
        while (r >= 0 && count < limit && (result = sqlite3_step(statement)) == SQLITE_ROW)
                r = read_key(statement, &keys[count++]);
        if (r >= 0)
                r = store_error(store, result);
        finish(statement);
        return r < 0 ? r : (int) count;
}

int store_has_keys(Store *store, bool *ret) {
        sqlite3_stmt *statement;
        int result, r;

        r = prepare(store, STATEMENT_HAS_KEYS, &statement);
        if (r < 0)
                return r;
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                *ret = sqlite3_column_int(statement, 0);
        finish(statement);
        return store_error(store, result);
}
