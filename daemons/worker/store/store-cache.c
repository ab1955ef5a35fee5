#include "store/store-cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/store-audit.h"
#include "store/store-private.h"
#include "store/store-uploads.h"

/* ------------------------------------------------------------------ submissions */

/* The job of the picture's entry. STORE_NOT_FOUND. `ret_reply` may be NULL. */
static int find_entry(Store *store, const char *picture, usec_t made_after, int64_t *ret_job, JsonValue **ret_reply) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_CACHE_FIND, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, picture);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) made_after);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                *ret_job = sqlite3_column_int64(statement, 0);
                r = ret_reply ? store_column_json(statement, 1, ret_reply) : 0;
        } else
                r = result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

static int use_entry(Store *store, const Job *job) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_CACHE_USE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->cache.picture);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) job->created_at);
        return store_step(store, statement);
}

/* What neither is dispatched nor pays reserves nothing. */
static void take_part(Job *job, JobOrigin origin) {
        job->cache.origin = origin;
        job->cost = job->cost_before = (JobCost) {};
}

/* A file can be lost: a damaged one is left out of a backup. */
static bool all_there(const Job *job) {
        for (size_t i = 0; job->cache.is_there && i < job->n_images; i++)
                if (!job->cache.is_there(&job->images[i].facts, job->cache.userdata))
                        return false;
        return true;
}

/* The job ends with the picture of another one. STORE_NOT_FOUND. */
static int take_entry(Store *store, Job *job) {
        int64_t source = 0;
        int r;

        r = find_entry(store, job->cache.picture, job->cache.made_after, &source, &job->reply);
        if (r == 0)
                r = store_read_images(store, job, source);
        if (r == 0 && !all_there(job)) {
                job_forget_images(job);
                job->reply = json_free(job->reply);
                r = STORE_NOT_FOUND;
        }
        if (r == 0)
                r = use_entry(store, job);
        if (r != 0)
                return r;
        take_part(job, JOB_ORIGIN_CACHED);
        job->status = JOB_COMPLETED;
        job->started_at = job->ended_at = job->created_at;
        return 0;
}

static int count_followers(Store *store, int64_t leader, int64_t *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_COUNT_FOLLOWERS, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, leader);
        return store_step_integer(store, statement, ret);
}

/* The job that has the same picture under way. STORE_NOT_FOUND. */
static int find_leader(Store *store, const char *picture, int64_t *ret) {
        sqlite3_stmt *statement;
        int64_t followers;
        int r;

        r = store_prepare(store, STATEMENT_FIND_LEADER, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, picture);
        r = store_step_integer(store, statement, ret);
        if (r == 0)
                r = count_followers(store, *ret, &followers);
        return r == 0 && followers >= STORE_FOLLOWERS_MAX ? STORE_NOT_FOUND : r;
}

int store_cache_submission(Store *store, Job *job, int64_t *ret_leader) {
        int64_t leader;
        int r;

        *ret_leader = 0;
        if (!*job->cache.picture || !job->cache.lookup)
                return 0;
        r = take_entry(store, job);
        if (r != STORE_NOT_FOUND)
                return r;
        r = find_leader(store, job->cache.picture, &leader);
        if (r != 0)
                return r == STORE_NOT_FOUND ? 0 : r;
        take_part(job, JOB_ORIGIN_SHARED);
        job->cache.follows = true;
        *ret_leader = leader;
        return 0;
}

int store_cache_has(Store *store, const char *picture, usec_t made_after, bool *ret) {
        int64_t job;
        int r;

        r = find_entry(store, picture, made_after, &job, NULL);
        *ret = r == 0;
        return r == STORE_NOT_FOUND ? 0 : r;
}

/* ------------------------------------------------------------------ ends */

static int remember_ended(JobCache *cache, const char *id) {
        void *more = reallocarray(cache->ended, cache->n_ended + 1, sizeof(*cache->ended));

        if (!more)
                return -ENOMEM;
        cache->ended = more;
        (void) snprintf(cache->ended[cache->n_ended++], JOB_ID_MAX, "%s", id);
        return 0;
}

static int give_images(Store *store, int64_t leader) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_GIVE_IMAGES, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, leader);
        return store_step(store, statement);
}

static int end_followers(Store *store, Job *leader, int64_t sequence) {
        _cleanup_free_ char *reply = NULL, *failure = NULL;
        sqlite3_stmt *statement;
        int result = SQLITE_DONE, r;

        r = store_webhook_followers_end(store, sequence, leader->ended_at);
        if (r >= 0)
                r = store_format_json(leader->reply, &reply);
        if (r >= 0)
                r = store_format_failure(leader, &failure);
        if (r >= 0)
                r = store_prepare(store, STATEMENT_END_FOLLOWERS, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, sequence);
        (void) sqlite3_bind_int(statement, 2, leader->status);
        if (leader->started_at > 0)
                (void) sqlite3_bind_int64(statement, 3, (int64_t) leader->started_at);
        (void) sqlite3_bind_int64(statement, 4, (int64_t) leader->ended_at);
        store_bind_text(statement, 5, reply);
        store_bind_text(statement, 6, failure);
        while (r >= 0 && (result = sqlite3_step(statement)) == SQLITE_ROW)
                r = remember_ended(&leader->cache, (const char *) sqlite3_column_text(statement, 0));
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        if (r >= 0)
                r = store_error(store, result);
        for (size_t i = 0; i < leader->cache.n_ended && r >= 0; i++) {
                r = store_end_uploads(store, leader->cache.ended[i]);
                if (r >= 0)
                        r = store_audit_job_end(store, leader->cache.ended[i], leader);
        }
        return MIN(r, 0);
}

static uint64_t size_of_images(const Job *job) {
        uint64_t size = 0;

        for (size_t i = 0; i < job->n_images; i++)
                size += job->images[i].facts.size_bytes;
        return size;
}

static int add_total(Store *store, int64_t entries, int64_t bytes) {
        sqlite3_stmt *statement;
        int r;

        if (entries == 0)
                return 0;
        r = store_prepare(store, STATEMENT_CACHE_ADD_TOTAL, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, entries);
        (void) sqlite3_bind_int64(statement, 2, bytes);
        return store_step(store, statement);
}

/* Runs a bound statement that deletes entries and yields their sizes, and counts them off. Returns how many. */
static int remove_entries(Store *store, sqlite3_stmt *statement) {
        int64_t bytes = 0;
        int result, n = 0, r;

        while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
                bytes += sqlite3_column_int64(statement, 0);
                n++;
        }
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        r = store_error(store, result);
        if (r >= 0)
                r = add_total(store, -n, -bytes);
        return r < 0 ? r : n;
}

int store_cache_delete(Store *store, const char *id) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_CACHE_REMOVE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        return remove_entries(store, statement);
}

static int evict(Store *store, uint64_t bytes_max) {
        sqlite3_stmt *statement;
        CacheTotal total;
        int r;

        for (int i = 0; i < STORE_CACHE_REMOVED_MAX; i++) {
                r = store_cache_get_total(store, &total);
                if (r != 0 || (uint64_t) total.size_bytes <= bytes_max)
                        return r;
                r = store_prepare(store, STATEMENT_CACHE_EVICT, &statement);
                if (r >= 0)
                        r = remove_entries(store, statement);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int expire(Store *store, usec_t made_after) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_CACHE_EXPIRE, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, (int64_t) made_after);
        (void) sqlite3_bind_int(statement, 2, STORE_CACHE_REMOVED_MAX);
        return remove_entries(store, statement);
}

static int replace(Store *store, const char *picture) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_CACHE_REPLACE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, picture);
        return remove_entries(store, statement);
}

/* One that alone is more than the cache may hold is left out. */
static int add_entry(Store *store, const Job *job, int64_t sequence) {
        uint64_t size = size_of_images(job);
        sqlite3_stmt *statement;
        int r;

        if (size > job->cache.bytes_max)
                return 0;
        r = expire(store, job->cache.made_after);
        if (r >= 0)
                r = replace(store, job->cache.picture);
        if (r >= 0)
                r = store_prepare(store, STATEMENT_CACHE_ADD, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->cache.picture);
        (void) sqlite3_bind_int64(statement, 2, sequence);
        (void) sqlite3_bind_int64(statement, 3, (int64_t) job->ended_at);
        (void) sqlite3_bind_int64(statement, 4, (int64_t) size);
        r = store_step(store, statement);
        if (r >= 0)
                r = add_total(store, 1, (int64_t) size);
        return r < 0 ? r : evict(store, job->cache.bytes_max);
}

int store_cache_end(Store *store, Job *job, int64_t sequence) {
        int r = 0;

        if (!*job->cache.picture)
                return 0;
        free(job->cache.ended);
        job->cache.ended = NULL;
        job->cache.n_ended = 0;
        if (job->status == JOB_COMPLETED)
                r = give_images(store, sequence);
        if (r == 0)
                r = end_followers(store, job, sequence);
        if (r != 0 || job->status != JOB_COMPLETED || job->cache.bytes_max == 0)
                return r;
        return add_entry(store, job, sequence);
}

/* ------------------------------------------------------------------ another leader */

static int hand_on_followers(Store *store, const Job *leader, const Job *follower) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_FOLLOW_ANOTHER, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, leader->sequence);
        (void) sqlite3_bind_int64(statement, 2, follower->sequence);
        return store_step(store, statement);
}

typedef struct Promotion {
        Job *follower;
        const Job *leader;
        micros_t amount;
        bool held;
        const Budget *budget;
        BudgetVerdict *verdict;
} Promotion;

static int do_promote(Store *store, void *userdata) {
        Promotion *promotion = userdata;
        Job *follower = promotion->follower;
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_PROMOTE, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, follower->sequence);
        (void) sqlite3_bind_int(statement, 2, promotion->held ? STORE_HELD : 0);
        r = store_step(store, statement);
        if (r < 0)
                return r;
        if (sqlite3_changes(store->database) == 0)
                return STORE_WRONG_STATE;
        r = hand_on_followers(store, promotion->leader, follower);
        return r != 0 ? r : store_book_submission(store, follower, promotion->budget, promotion->verdict);
}

int store_promote(Store *store, Job *follower, const Job *leader, micros_t amount, bool held, const Budget *budget,
                  BudgetVerdict *verdict) {
        Promotion promotion = { follower, leader, amount, held, budget, verdict };
        int r;

        follower->cost_before.reserved = amount;
        r = store_run_in_savepoint(store, do_promote, &promotion);
        if (r == 0) {
                follower->cache.follows = false;
                follower->cache.origin = JOB_ORIGIN_MADE;
                follower->held = held;
        }
        return r;
}

/* ------------------------------------------------------------------ the whole */

int store_cache_get_total(Store *store, CacheTotal *ret) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_CACHE_GET_TOTAL, &statement);
        if (r < 0)
                return r;
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                *ret = (CacheTotal) { sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1) };
        (void) sqlite3_reset(statement);
        return result == SQLITE_ROW ? 0 : result == SQLITE_DONE ? -EUCLEAN : store_error(store, result);
}

typedef struct Clearing {
        int max, removed;
} Clearing;

static int do_clear(Store *store, void *userdata) {
        Clearing *clearing = userdata;
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_CACHE_CLEAR, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int(statement, 1, clearing->max);
        clearing->removed = remove_entries(store, statement);
        return MIN(clearing->removed, 0);
}

int store_cache_clear(Store *store, int max) {
        Clearing clearing = { .max = max };
        int r;

        r = store_run_in_savepoint(store, do_clear, &clearing);
        return r < 0 ? r : clearing.removed;
}
