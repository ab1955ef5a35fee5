#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/store-private.h"

/* The clients' keys. Each operation is one statement, which needs no savepoint of its own. */

static int prepare(Store *store, Statement which, sqlite3_stmt **ret) {
        *ret = store_statement(store, which);
        return *ret ? 0 : store_error(store, sqlite3_errcode(store->database));
}

static void bind_key(sqlite3_stmt *statement, const ClientKey *key) {
        (void) sqlite3_bind_text(statement, 1, key->id, -1, SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 2, key->name, -1, SQLITE_STATIC);
        (void) sqlite3_bind_blob(statement, 3, key->hash, sizeof(key->hash), SQLITE_STATIC);
        (void) sqlite3_bind_int64(statement, 4, (int64_t) key->created_at);
        if (key->revoked_at > 0)
                (void) sqlite3_bind_int64(statement, 5, (int64_t) key->revoked_at);
        if (key->daily_budget != CLIENT_KEY_NO_BUDGET)
                (void) sqlite3_bind_int64(statement, 6, key->daily_budget);
        if (key->monthly_budget != CLIENT_KEY_NO_BUDGET)
                (void) sqlite3_bind_int64(statement, 7, key->monthly_budget);
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

int store_delete_key(Store *store, const char *id) {
        return run_with_id(store, STATEMENT_DELETE_KEY, id, 0);
}

static micros_t column_budget(sqlite3_stmt *statement, int column) {
        return sqlite3_column_type(statement, column) == SQLITE_NULL ? CLIENT_KEY_NO_BUDGET
                                                                     : sqlite3_column_int64(statement, column);
}

static int read_key(sqlite3_stmt *statement, ClientKey *key) {
        const char *id = (const char *) sqlite3_column_text(statement, 0);
        const char *name = (const char *) sqlite3_column_text(statement, 1);
        const void *hash = sqlite3_column_blob(statement, 2);

        if (!client_key_id_valid(id) || !name || strlen(name) > CLIENT_KEY_NAME_BYTES_MAX || !hash ||
            sqlite3_column_bytes(statement, 2) != SHA256_BYTES)
                return -EUCLEAN;
        (void) strcpy(key->id, id);
        (void) strcpy(key->name, name);
        memcpy(key->hash, hash, SHA256_BYTES);
        key->created_at = (usec_t) sqlite3_column_int64(statement, 3);
        key->revoked_at = (usec_t) sqlite3_column_int64(statement, 4);
        key->daily_budget = column_budget(statement, 5);
        key->monthly_budget = column_budget(statement, 6);
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
