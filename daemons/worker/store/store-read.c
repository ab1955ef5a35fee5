/* Reading jobs. */
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "store/store-cache.h"
#include "store/store-private.h"

int store_column_json(sqlite3_stmt *statement, int column, JsonValue **ret) {
        const char *text = (const char *) sqlite3_column_text(statement, column);

        return text ? json_parse(text, strlen(text), ret, NULL) : 0;
}

static int column_failure(sqlite3_stmt *statement, int column, Failure *failure) {
        _cleanup_(json_freep) JsonValue *value = NULL;
        int r;

        r = store_column_json(statement, column, &value);
        if (r < 0 || !value)
                return r;
        return failure_from_json(failure, value);
}

static int read_attempt(sqlite3_stmt *statement, Attempt *attempt) {
        int r;

        attempt->number = sqlite3_column_int64(statement, 0);
        attempt->outcome = (AttemptOutcome) sqlite3_column_int(statement, 2);
        attempt->started_at = (usec_t) sqlite3_column_int64(statement, 3);
        attempt->ended_at = (usec_t) sqlite3_column_int64(statement, 4);
        attempt->retry_delay = (usec_t) sqlite3_column_int64(statement, 7);
        r = store_column_text(statement, 1, &attempt->provider);
        if (r >= 0)
                r = store_column_text(statement, 5, &attempt->provider_request_id);
        if (r >= 0)
                r = store_column_text(statement, 6, &attempt->cause);
        if (r >= 0)
                r = store_column_text(statement, 8, &attempt->model);
        if (r >= 0)
                r = store_column_text(statement, 9, &attempt->note);
        if (r >= 0)
                r = store_column_text(statement, 10, &attempt->next_model);
        if (r >= 0 && (!attempt->provider || !attempt_outcome_name(attempt->outcome)))
                r = -EUCLEAN;
        return r;
}

static int read_image(sqlite3_stmt *statement, JobImage *image) {
        const char *sha256 = (const char *) sqlite3_column_text(statement, 0);

        if (!sha256 || !sha256_text_valid(sha256))
                return -EUCLEAN;
        (void) memcpy(image->facts.sha256, sha256, SHA256_TEXT_MAX);
        image->facts.format = image_format_from_name((const char *) sqlite3_column_text(statement, 1));
        if (image->facts.format == IMAGE_FORMAT_INVALID)
                return -EUCLEAN;
        image->facts.width = (unsigned) sqlite3_column_int(statement, 2);
        image->facts.height = (unsigned) sqlite3_column_int(statement, 3);
        image->facts.size_bytes = (uint64_t) sqlite3_column_int64(statement, 4);
        return store_column_text(statement, 5, &image->revised_prompt);
}

/* Reads all rows that belong to a job into an array that grows. */
#define READ_ROWS(store, which, sequence, array, count, read_row) ({ \
        sqlite3_stmt *_statement; \
        int _result, _r = store_prepare(store, which, &_statement); \
        if (_r >= 0) { \
                (void) sqlite3_bind_int64(_statement, 1, (sequence)); \
                while (_r >= 0 && (_result = sqlite3_step(_statement)) == SQLITE_ROW) { \
                        typeof(array) _more = reallocarray(array, (count) + 1, sizeof(*(array))); \
                        if (!_more) { \
                                _r = -ENOMEM; \
                                break; \
                        } \
                        (array) = _more; \
                        (array)[(count)] = (typeof(*(array))) {}; \
                        _r = read_row(_statement, &(array)[(count)++]); \
                } \
                if (_r >= 0) \
                        _r = store_error(store, _result); \
                (void) sqlite3_reset(_statement); \
        } \
        _r; \
})

int store_read_images(Store *store, Job *job, int64_t sequence) {
        return READ_ROWS(store, STATEMENT_GET_IMAGES, sequence, job->images, job->n_images, read_image);
}

/* The hash of a picture, or none. */
static int read_cache(sqlite3_stmt *statement, JobCache *cache) {
        const char *picture = (const char *) sqlite3_column_text(statement, 21);

        if (picture && !sha256_text_valid(picture))
                return -EUCLEAN;
        (void) snprintf(cache->picture, sizeof(cache->picture), "%s", picture ?: "");
        cache->origin = (JobOrigin) sqlite3_column_int(statement, 22);
        return job_origin_name(cache->origin) ? 0 : -EUCLEAN;
}

/* Reads the job at the row of a statement with the columns of STATEMENT_GET. */
static int read_job(Store *store, sqlite3_stmt *statement, Job **ret) {
        _cleanup_(job_freep) Job *job = NULL;
        const char *id = (const char *) sqlite3_column_text(statement, 0);
        int r;

        job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        if (!id || strlen(id) >= sizeof(job->id))
                return -EUCLEAN;
        (void) strcpy(job->id, id);
        job->sequence = sqlite3_column_int64(statement, 1);
        job->status = (JobStatus) sqlite3_column_int(statement, 2);
        job->created_at = (usec_t) sqlite3_column_int64(statement, 6);
        job->started_at = (usec_t) sqlite3_column_int64(statement, 7);
        job->ended_at = (usec_t) sqlite3_column_int64(statement, 8);
        job->held = sqlite3_column_int(statement, 12) == STORE_HELD;
        job->cache.follows = sqlite3_column_int(statement, 12) == STORE_FOLLOWS;
        job->awaits_budget = sqlite3_column_int(statement, 12) == STORE_AWAITS_BUDGET;
        job->cost_before = (JobCost) {
                .reserved = sqlite3_column_int64(statement, 13),
                .charged = sqlite3_column_int64(statement, 14),
                .unknown = sqlite3_column_int64(statement, 15),
                .day = sqlite3_column_int(statement, 16),
                .entry = sqlite3_column_int64(statement, 17),
        };
        job->cost = job->cost_before;
        job->not_before = (usec_t) sqlite3_column_int64(statement, 20);

        job->priority = (JobPriority) sqlite3_column_int(statement, 23);
        r = job_priority_name(job->priority) ? read_cache(statement, &job->cache) : -EUCLEAN;
        if (r >= 0)
                r = store_column_text(statement, 3, &job->model);
        if (r >= 0)
                r = store_column_text(statement, 4, &job->response_format);
        if (r >= 0)
                r = store_column_text(statement, 5, &job->request);
        if (r >= 0)
                r = store_column_text(statement, 18, &job->asked);
        if (r >= 0)
                r = store_column_text(statement, 24, &job->optimised);
        if (r >= 0)
                r = store_column_text(statement, 19, &job->key);
        if (r >= 0)
                r = store_column_json(statement, 9, &job->usage);
        if (r >= 0)
                r = store_column_json(statement, 10, &job->reply);
        if (r >= 0)
                r = column_failure(statement, 11, &job->failure);
        if (r >= 0)
                r = READ_ROWS(store, STATEMENT_GET_ATTEMPTS, job->sequence, job->attempts, job->n_attempts, read_attempt);
        if (r >= 0)
                r = store_read_images(store, job, job->sequence);
        if (r >= 0 && (!job->model || !job->response_format || !job->request || !job_status_name(job->status)))
                r = -EUCLEAN;
        if (r < 0)
                return r;

        *ret = TAKE_PTR(job);
        return 0;
}

int store_read_one_job(Store *store, sqlite3_stmt *statement, Job **ret) {
        int result = sqlite3_step(statement), r;

        if (result == SQLITE_ROW)
                r = read_job(store, statement, ret);
        else if (result == SQLITE_DONE)
                r = STORE_NOT_FOUND;
        else
                r = store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

int store_get(Store *store, const char *id, Job **ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_GET, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        return store_read_one_job(store, statement, ret);
}

int store_next_follower(Store *store, const Job *leader, Job **ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_NEXT_FOLLOWER, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, leader->sequence);
        return store_read_one_job(store, statement, ret);
}

int store_next_waiting_model(Store *store, const char *after, char **ret) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_NEXT_WAITING_MODEL, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, after);
        *ret = NULL;
        result = sqlite3_step(statement);
        r = result == SQLITE_ROW ? store_column_text(statement, 0, ret) : store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r >= 0 && !*ret ? STORE_NOT_FOUND : r;
}

/* Steps a statement that yields at most one waiting job, whose fourth column is a time. STORE_NOT_FOUND. */
static int step_waiting(Store *store, sqlite3_stmt *statement, WaitingJob *job, usec_t *ret_time) {
        int result = sqlite3_step(statement), r = 0;

        if (result == SQLITE_ROW) {
                (void) snprintf(job->id, sizeof(job->id), "%s", sqlite3_column_text(statement, 0));
                job->sequence = sqlite3_column_int64(statement, 1);
                job->not_before = (usec_t) sqlite3_column_int64(statement, 2);
                (void) snprintf(job->party, sizeof(job->party), "%s", sqlite3_column_text(statement, 4));
                job->priority = (JobPriority) sqlite3_column_int(statement, 5);
                if (ret_time)
                        *ret_time = (usec_t) sqlite3_column_int64(statement, 3);
        } else
                r = result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

int store_next_due(Store *store, const char *model, usec_t now, const WaitingJob *after, WaitingJob *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_NEXT_DUE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, model);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) MIN(now, (usec_t) INT64_MAX));
        (void) sqlite3_bind_int64(statement, 3, after ? (int64_t) after->not_before : 0);
        (void) sqlite3_bind_int64(statement, 4, after ? after->sequence : 0);
        return step_waiting(store, statement, ret, NULL);
}

static int next_untried(Store *store, const char *model, const char *party, int64_t priority, int64_t sequence,
                        WaitingJob *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_NEXT_UNTRIED, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, model);
        store_bind_text(statement, 2, party);
        (void) sqlite3_bind_int64(statement, 3, priority);
        (void) sqlite3_bind_int64(statement, 4, sequence);
        return step_waiting(store, statement, ret, NULL);
}

int store_next_untried(Store *store, const char *model, const WaitingJob *after, WaitingJob *ret) {
        if (!after)
                return next_untried(store, model, "", INT64_MIN, 0, ret);
        return next_untried(store, model, after->party, after->priority, after->sequence, ret);
}

int store_next_party(Store *store, const char *model, const char *after, WaitingJob *ret) {
        return next_untried(store, model, after, INT64_MAX, 0, ret);
}

int store_next_retry_time(Store *store, usec_t now, usec_t *ret) {
        sqlite3_stmt *statement;
        int64_t time;
        int r;

        r = store_prepare(store, STATEMENT_NEXT_RETRY_TIME, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, (int64_t) MIN(now, (usec_t) INT64_MAX));
        r = store_step_integer(store, statement, &time);
        if (r == 0)
                *ret = (usec_t) time;
        return r;
}

int store_oldest_retry(Store *store, WaitingJob *ret, usec_t *ret_started_at) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_OLDEST_RETRY, &statement);
        return r < 0 ? r : step_waiting(store, statement, ret, ret_started_at);
}

int store_list(Store *store, const char *key, JobStatus status, const char *after, size_t limit, Job ***ret,
               size_t *ret_count) {
        sqlite3_stmt *statement;
        Job **jobs;
        size_t count = 0;
        int result = SQLITE_DONE, r;

        jobs = calloc(limit + 1, sizeof(*jobs));
        if (!jobs)
                return -ENOMEM;
        r = store_prepare(store, key ? STATEMENT_LIST_OF_KEY : STATEMENT_LIST, &statement);
        if (r >= 0) {
                (void) sqlite3_bind_int(statement, 1, status);
                store_bind_text(statement, 2, after);
                (void) sqlite3_bind_int64(statement, 3, (int64_t) limit);
                if (key)
                        store_bind_text(statement, 4, key);
                while (r >= 0 && count < limit && (result = sqlite3_step(statement)) == SQLITE_ROW) {
                        r = read_job(store, statement, &jobs[count]);
                        if (r >= 0)
                                count++;
                }
                if (r >= 0)
                        r = store_error(store, result);
                (void) sqlite3_reset(statement);
                (void) sqlite3_clear_bindings(statement);
        }
        if (r < 0) {
                while (count > 0)
                        (void) job_free(jobs[--count]);
                free(jobs);
                return r;
        }

        *ret = jobs;
        *ret_count = count;
        return 0;
}

int store_next_orphan(Store *store, const char *lease, Job **ret) {
        char id[JOB_ID_MAX] = "";
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_NEXT_ORPHAN, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, lease);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                (void) snprintf(id, sizeof(id), "%s", sqlite3_column_text(statement, 0));
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        if (result == SQLITE_DONE)
                return STORE_NOT_FOUND;
        if (result != SQLITE_ROW)
                return store_error(store, result);
        return store_get(store, id, ret);
}

int store_has_attempts(Store *store, const char *provider, bool *ret) {
        sqlite3_stmt *statement;
        int64_t exists;
        int r;

        r = store_prepare(store, STATEMENT_HAS_ATTEMPTS, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, provider);
        r = store_step_integer(store, statement, &exists);
        if (r == 0)
                *ret = exists;
        return r;
}

int store_image_uses(Store *store, const char *sha256, ImageFormat format, int64_t *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_IMAGE_USES, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, sha256);
        store_bind_text(statement, 2, image_format_name(format));
        return store_step_integer(store, statement, ret);
}

static int count(Store *store, Statement which, int64_t *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, which, &statement);
        return r < 0 ? r : store_step_integer(store, statement, ret);
}

int store_count_waiting(Store *store, int64_t *ret) {
        return count(store, STATEMENT_COUNT_WAITING, ret);
}

int store_count_held(Store *store, int64_t *ret) {
        return count(store, STATEMENT_COUNT_HELD, ret);
}

int store_count_following(Store *store, int64_t *ret) {
        return count(store, STATEMENT_COUNT_FOLLOWING, ret);
}
