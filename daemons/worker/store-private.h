/* The inner side of store.h: the connection, its prepared statements, and the translation of SQLite's results. */
#pragma once

#include <sqlite3.h>

#include "store.h"

typedef enum Statement {
        STATEMENT_BEGIN,
        STATEMENT_COMMIT,
        STATEMENT_ROLLBACK,
        STATEMENT_SAVEPOINT,
        STATEMENT_RELEASE,
        STATEMENT_ROLLBACK_TO,
        STATEMENT_SUBMIT,
        STATEMENT_START_JOB,
        STATEMENT_ADD_ATTEMPT,
        STATEMENT_END_JOB,
        STATEMENT_END_ATTEMPT,
        STATEMENT_ADD_IMAGE,
        STATEMENT_END_QUEUED,
        STATEMENT_DELETE,
        STATEMENT_GET,
        STATEMENT_GET_STATUS,
        STATEMENT_GET_ATTEMPTS,
        STATEMENT_GET_IMAGES,
        STATEMENT_NEXT_WAITING_MODEL,
        STATEMENT_NEXT_DUE,
        STATEMENT_NEXT_UNTRIED,
        STATEMENT_NEXT_RETRY_TIME,
        STATEMENT_OLDEST_RETRY,
        STATEMENT_LIST,
        STATEMENT_NEXT_ORPHAN,
        STATEMENT_IMAGE_USES,
        STATEMENT_HAS_ATTEMPTS,
        STATEMENT_COUNT_WAITING,
        STATEMENT_COUNT_HELD,
        STATEMENT_RELEASE_JOB,
        STATEMENT_RELEASE_ALL,
        _STATEMENTS,
} Statement;

struct Store {
        sqlite3 *database;
        sqlite3_stmt *statements[_STATEMENTS];
        sqlite3_backup *copy;        /* under way, to copy_target; or NULL */
        sqlite3 *copy_target;
};

/* Negative errno for a result of SQLite that is not OK, ROW or DONE. */
int store_error(const Store *store, int result);

/* The statement, prepared once, reset and without bindings. NULL when it cannot be prepared. */
sqlite3_stmt *store_statement(Store *store, Statement statement);

/* Steps a statement that yields no rows, and resets it. */
int store_step(Store *store, sqlite3_stmt *statement);
int store_run(Store *store, Statement statement);
