#include "state/state-database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "store/store-private.h"
#include "store/store-schema.h"

#define READ_BATCH 256
#define APPLICATION_ID_OFFSET 68  /* in SQLite's header, big-endian */

struct StateDatabase {
        Store *store;
        StateTotals totals;
        sqlite3_stmt *images;
};

static int run(const StateDatabase *database, const char *text) {
        return store_error(database->store, sqlite3_exec(database->store->database, text, NULL, NULL, NULL));
}

/* The first column of the only row. */
static int get_integer(const StateDatabase *database, const char *text, int64_t *ret) {
        sqlite3_stmt *statement;
        int result;

        result = sqlite3_prepare_v2(database->store->database, text, -1, &statement, NULL);
        if (result != SQLITE_OK)
                return store_error(database->store, result);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                *ret = sqlite3_column_int64(statement, 0);
        (void) sqlite3_finalize(statement);
        return store_error(database->store, result);
}

static int check(const StateDatabase *database) {
        sqlite3_stmt *statement;
        bool sound;
        int result;

        result = sqlite3_prepare_v2(database->store->database, "PRAGMA integrity_check(1)", -1, &statement, NULL);
        if (result != SQLITE_OK)
                return store_error(database->store, result);
        result = sqlite3_step(statement);
        sound = result == SQLITE_ROW && text_equal((const char *) sqlite3_column_text(statement, 0), "ok");
        (void) sqlite3_finalize(statement);
        if (store_error(database->store, result) < 0)
                return store_error(database->store, result);
        return sound ? 0 : -EUCLEAN;
}

/* What recovery relies on: the last attempt of a job in progress, and no other, is under way, and such a job has no
 * image yet. */
static int check_progress(const StateDatabase *database) {
        int64_t broken = 0;
        int r;

        r = get_integer(database, "SELECT EXISTS (SELECT 1 FROM job WHERE status = 1 AND ("
                        "coalesce((SELECT outcome FROM attempt WHERE job = sequence ORDER BY number DESC LIMIT 1), 1) <> 0 "
                        "OR EXISTS (SELECT 1 FROM image WHERE job = sequence)))", &broken);
        return r < 0 ? r : broken ? -EUCLEAN : 0;
}

/* Every job is read once as it will be read later: what fails here would fail whoever looks at it. */
static int read_jobs(const StateDatabase *database) {
        char after[JOB_ID_MAX] = "";
        size_t count;

        do {
                Job **jobs;
                int r;

                r = store_list(database->store, NULL, JOB_STATUS_INVALID, *after ? after : NULL, READ_BATCH, &jobs, &count);
                if (r < 0)
                        return r == -ENOMEM || r == -EIO ? r : -EUCLEAN;
                if (count > 0)
                        (void) strcpy(after, jobs[count - 1]->id);
                for (size_t i = 0; i < count; i++)
                        (void) job_free(jobs[i]);
                free(jobs);
        } while (count > 0);
        return 0;
}

/* The layout as text. */
static char *describe_layout(Store *store) {
        _cleanup_(buffer_done) Buffer text = {};
        sqlite3_stmt *statement;
        int result, r = 0;

        if (sqlite3_prepare_v2(store->database, "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema "
                               "ORDER BY type, name", -1, &statement, NULL) != SQLITE_OK)
                return NULL;
        while (r >= 0 && (result = sqlite3_step(statement)) == SQLITE_ROW)
                r = buffer_printf(&text, "%s %s %s %s\n", sqlite3_column_text(statement, 0),
                                  sqlite3_column_text(statement, 1), sqlite3_column_text(statement, 2),
                                  sqlite3_column_text(statement, 3));
        (void) sqlite3_finalize(statement);
        return r < 0 || result != SQLITE_DONE ? NULL : buffer_take_text(&text);
}

/* Table for table and index for index that of a new one, and nothing beside: no trigger, no column that may be NULL. */
static int check_layout(const StateDatabase *database) {
        _cleanup_(store_freep) Store *reference = NULL;
        _cleanup_free_ char *found = NULL, *wanted = NULL;
        int r;

        r = store_open(&reference, ":memory:");
        if (r < 0)
                return r;
        found = describe_layout(database->store);
        wanted = describe_layout(reference);
        if (!found || !wanted)
                return -ENOMEM;
        return text_equal(found, wanted) ? 0 : -EUCLEAN;
}

/* Results, and what jobs that have not ended were given to work on. */
#define STATE_IMAGES "(SELECT sha256, format, size_bytes FROM image UNION SELECT sha256, format, size_bytes FROM upload " \
                     "WHERE done = 0)"

static int count(StateDatabase *database) {
        StateTotals *totals = &database->totals;
        int r;

        r = get_integer(database, "SELECT count(*) FROM job", &totals->jobs);
        if (r >= 0)
                r = get_integer(database, "SELECT count(*) FROM job WHERE held = 1", &totals->held);
        if (r >= 0)
                r = get_integer(database, "SELECT count(*) FROM (SELECT DISTINCT sha256, format FROM " STATE_IMAGES ")",
                                &totals->images);
        if (r >= 0)
                r = get_integer(database, "SELECT coalesce(sum(size_bytes), 0) FROM "
                                STATE_IMAGES, &totals->image_bytes);
        return r;
}

/* A new database is made of what is none yet: here it would be an empty state. */
static int look_whose(const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        uint8_t id[4];
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = fd_pread_all(fd, id, sizeof(id), APPLICATION_ID_OFFSET);
        if (n < 0)
                return (int) n;
        if (n < (ssize_t) sizeof(id) || ((uint32_t) id[0] << 24 | (uint32_t) id[1] << 16 | (uint32_t) id[2] << 8 | id[3]) !=
                                                (uint32_t) STORE_APPLICATION_ID)
                return -EUCLEAN;
        return 0;
}

/* Nobody has them in progress any more: the process that made the copy would take an attempt of its own for one that is
 * still under way. Those that follow another job (held = 2) are left to it. What waited for its budget does so once it is
 * released. */
static int hold_unfinished(const StateDatabase *database) {
        return run(database, "UPDATE job SET held = 1, lease = NULL WHERE status IN (0, 1) AND held <> 2");
}

int state_database_open(StateDatabase **ret, const char *path, bool thorough) {
        _cleanup_(state_database_freep) StateDatabase *database = NULL;
        int result, r;

        database = calloc(1, sizeof(*database));
        if (!database)
                return -ENOMEM;
        r = look_whose(path);
        if (r >= 0)
                r = store_open(&database->store, path);
        if (r >= 0)
                r = run(database, "PRAGMA journal_mode = DELETE");
        if (r >= 0 && thorough)
                r = check(database);
        if (r >= 0 && thorough)
                r = check_layout(database);
        if (r >= 0 && thorough)
                r = check_progress(database);
        if (r >= 0 && thorough)
                r = read_jobs(database);
        if (r >= 0)
                r = hold_unfinished(database);
        if (r >= 0)
                r = count(database);
        if (r < 0)
                return r;

        result = sqlite3_prepare_v2(database->store->database,
                                    "SELECT sha256, format, max(size_bytes) FROM " STATE_IMAGES " "
                                    "GROUP BY sha256, format ORDER BY sha256, format", -1, &database->images, NULL);
        if (result != SQLITE_OK)
                return store_error(database->store, result);
        *ret = TAKE_PTR(database);
        return 0;
}

StateDatabase *state_database_free(StateDatabase *database) {
        if (!database)
                return NULL;
        (void) sqlite3_finalize(database->images);
        (void) store_free(database->store);
        free(database);
        return NULL;
}

const StateTotals *state_database_totals(const StateDatabase *database) {
        return &database->totals;
}

int state_database_next_image(StateDatabase *database, StateImage *ret) {
        const char *sha256;
        int result;

        result = sqlite3_step(database->images);
        if (result != SQLITE_ROW)
                return store_error(database->store, result);
        sha256 = (const char *) sqlite3_column_text(database->images, 0);
        ret->format = image_format_from_name((const char *) sqlite3_column_text(database->images, 1));
        if (!sha256 || !sha256_text_valid(sha256) || ret->format == IMAGE_FORMAT_INVALID)
                return -EUCLEAN;
        (void) memcpy(ret->sha256, sha256, SHA256_TEXT_MAX);
        ret->size_bytes = (uint64_t) sqlite3_column_int64(database->images, 2);
        return 1;
}
