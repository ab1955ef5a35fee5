#include "store/store-copy.h"

#include <errno.h>

#include "store/store-private.h"

/* The copy is made by the writer's own connection: from another one, every write would have SQLite begin anew. Writes that
 * come between two steps go to the copy as well. */

#define COPY_PAGES_PER_STEP 64     /* a quarter of a megabyte: writers wait for a step, and that is a millisecond */

/* The copy is thrown away by a crash: nothing of it needs to be durable. */
static int prepare_target(sqlite3 *target) {
        return sqlite3_exec(target, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;", NULL, NULL, NULL);
}

int store_copy_begin(Store *store, const char *path) {
        int result;

        assert(!store->copy);

        result = sqlite3_open_v2(path, &store->copy_target,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE, NULL);
        if (result == SQLITE_OK)
                result = prepare_target(store->copy_target);
        if (result == SQLITE_OK) {
                store->copy = sqlite3_backup_init(store->copy_target, "main", store->database, "main");
                if (!store->copy)
                        result = sqlite3_errcode(store->copy_target);
        }
        if (result == SQLITE_OK)
                return 0;
        store_copy_end(store);
        return store_error(store, result);
}

/* An open group makes it wait for the commit. */
int store_copy_step(Store *store) {
        int result;

        if (!store->copy)
                return -ECANCELED;

        result = sqlite3_backup_step(store->copy, COPY_PAGES_PER_STEP);
        switch (result & 0xff) {
        case SQLITE_OK:
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return STORE_COPY_MORE;
        case SQLITE_DONE:
                store_copy_end(store);
                return 0;
        default:
                store_copy_end(store);
                return store_error(store, result);
        }
}

void store_copy_end(Store *store) {
        if (store->copy)
                (void) sqlite3_backup_finish(store->copy);
        store->copy = NULL;
        (void) sqlite3_close(store->copy_target);
        store->copy_target = NULL;
}
