#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/store-audit.h"
#include "store/store-batch.h"
#include "store/store-defect.h"
#include "store/store-private.h"
#include "store/store-uploads.h"

/* Some errors end the whole transaction inside SQLite; the group is then found closed and everyone in it is told. So
 * it is when the savepoint can't be ended, since half of the operation may stand. */
int store_run_in_savepoint(Store *store, int (*operation)(Store *store, void *userdata), void *userdata) {
        int q, r;

        assert(store_group_open(store));

        r = store_run(store, STATEMENT_SAVEPOINT);
        if (r < 0)
                return r;
        r = operation(store, userdata);
        if (!store_group_open(store))
                return r < 0 ? r : -EIO;

        q = r == 0 ? 0 : store_run(store, STATEMENT_ROLLBACK_TO);
        if (q >= 0)
                q = store_run(store, STATEMENT_RELEASE);
        if (q < 0) {
                store_group_rollback(store);
                return q;
        }
        return r;
}

/* 0 stands for "not yet" in our structs and NULL in the database. */
static void bind_time(sqlite3_stmt *statement, int index, usec_t time) {
        if (time > 0)
                (void) sqlite3_bind_int64(statement, index, (int64_t) time);
}

/* A job within its budget: submitted, or at the end of an attempt. */
typedef struct BudgetedJob {
        Job *job;
        const Budget *budget;
        BudgetVerdict *verdict;
} BudgetedJob;

static int held_as(const Job *job, int64_t leader) {
        if (leader > 0)
                return STORE_FOLLOWS;
        return job->awaits_budget && !job_status_ended(job->status) ? STORE_AWAITS_BUDGET : 0;
}

/* leader 0: it follows none. */
static int insert_job(Store *store, Job *job, int64_t leader) {
        _cleanup_free_ char *reply = NULL;
        sqlite3_stmt *statement;
        int r;

        r = store_format_json(job->reply, &reply);
        if (r >= 0)
                r = store_prepare(store, STATEMENT_SUBMIT, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->id);
        (void) sqlite3_bind_int(statement, 2, job->status);
        store_bind_text(statement, 3, job->model);
        store_bind_text(statement, 4, job->response_format);
        store_bind_text(statement, 5, job->request);
        bind_time(statement, 6, job->created_at);
        store_bind_text(statement, 7, job->asked);
        store_bind_text(statement, 8, job->key);
        (void) sqlite3_bind_int(statement, 9, held_as(job, leader));
        bind_time(statement, 10, job->started_at);
        bind_time(statement, 11, job->ended_at);
        store_bind_text(statement, 12, reply);
        store_bind_text(statement, 13, *job->cache.picture ? job->cache.picture : NULL);
        (void) sqlite3_bind_int(statement, 14, job->cache.origin);
        if (leader > 0)
                (void) sqlite3_bind_int64(statement, 15, leader);
        (void) sqlite3_bind_int(statement, 16, job->priority);
        store_bind_text(statement, 17, job->optimised);
        r = store_step(store, statement);
        if (r < 0)
                return r;
        if (sqlite3_changes(store->database) == 0)
                return STORE_EXISTS;

        job->sequence = sqlite3_last_insert_rowid(store->database);
        return 0;
}

/* The job that this client's key stands for already. STORE_NOT_FOUND, STORE_KEY_REUSED. */
static int find_idempotent(Store *store, const Job *job, char ret_id[static JOB_ID_MAX]) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_FIND_IDEMPOTENT, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->key ?: "");
        store_bind_text(statement, 2, job->idempotency.key);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW) {
                (void) snprintf(ret_id, JOB_ID_MAX, "%s", sqlite3_column_text(statement, 0));
                r = text_equal((const char *) sqlite3_column_text(statement, 1), job->idempotency.request)
                            ? 0 : STORE_KEY_REUSED;
        } else
                r = result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

static int add_idempotent(Store *store, const Job *job) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_ADD_IDEMPOTENT, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->key ?: "");
        store_bind_text(statement, 2, job->idempotency.key);
        store_bind_text(statement, 3, job->idempotency.request);
        (void) sqlite3_bind_int64(statement, 4, job->sequence);
        return store_step(store, statement);
}

/* 0: it is a new one. */
static int check_idempotent(Store *store, Job *job) {
        char id[JOB_ID_MAX];
        int r;

        if (!job->idempotency.key)
                return 0;
        r = find_idempotent(store, job, id);
        if (r == STORE_NOT_FOUND)
                return 0;
        if (r != 0)
                return r;
        (void) strcpy(job->id, id);
        return STORE_EXISTS;
}

static int do_submit(Store *store, void *userdata) {
        BudgetedJob *submission = userdata;
        Job *job = submission->job;
        int64_t leader = 0;
        int r;

        r = check_idempotent(store, job);
        if (r == 0)
                r = store_cache_submission(store, job, &leader);
        if (r == 0)
                r = insert_job(store, job, leader);
        if (r == 0)
                r = store_add_images(store, job, job->sequence);
        if (r == 0)
                r = store_add_budget_wait(store, job);
        if (r == 0)
                r = store_webhook_add(store, job);
        if (r == 0)
                r = store_add_uploads(store, job);
        if (r == 0)
                r = store_book_submission(store, job, submission->budget, submission->verdict);
        if (r == 0)
                r = store_audit_job(store, job->id, "job.accepted", AUDIT_OK);
        if (r == 0 && job_status_ended(job->status))
                r = store_audit_job_end(store, job->id, job);
        return r != 0 || !job->idempotency.key ? r : add_idempotent(store, job);
}

int store_submit(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict) {
        return store_run_in_savepoint(store, do_submit, &(BudgetedJob) { job, budget, verdict });
}

typedef struct AttemptStart {
        const char *id, *provider, *model, *note, *lease;
        usec_t now;
        Job *job;
} AttemptStart;

static int do_start_attempt(Store *store, void *userdata) {
        AttemptStart *start = userdata;
        sqlite3_stmt *statement;
        int64_t sequence, number;
        int r;

        r = store_prepare(store, STATEMENT_START_JOB, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, start->id);
        store_bind_text(statement, 2, start->lease);
        bind_time(statement, 3, start->now);
        r = store_step_integer(store, statement, &sequence);
        if (r != 0)
                return r == STORE_NOT_FOUND ? STORE_WRONG_STATE : r;

        r = store_prepare(store, STATEMENT_ADD_ATTEMPT, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, sequence);
        store_bind_text(statement, 2, start->provider);
        bind_time(statement, 3, start->now);
        store_bind_text(statement, 4, start->model);
        store_bind_text(statement, 5, start->note);
        r = store_step_integer(store, statement, &number);
        return r != 0 ? r : store_get(store, start->id, &start->job);
}

int store_start_attempt(Store *store, const char *id, const char *provider, const char *lease, usec_t now,
                        Job **ret) {
        return store_start_fallback(store, id, provider, NULL, NULL, lease, now, ret);
}

int store_start_fallback(Store *store, const char *id, const char *provider, const char *model, const char *note,
                         const char *lease, usec_t now, Job **ret) {
        AttemptStart start = { id, provider, model, note, lease, now, NULL };
        int r;

        r = store_run_in_savepoint(store, do_start_attempt, &start);
        if (r == 0)
                *ret = start.job;
        else
                (void) job_free(start.job);
        return r;
}

int store_add_images(Store *store, const Job *job, int64_t sequence) {
        int r;

        for (size_t i = 0; i < job->n_images; i++) {
                const JobImage *image = &job->images[i];
                sqlite3_stmt *statement;

                r = store_prepare(store, STATEMENT_ADD_IMAGE, &statement);
                if (r < 0)
                        return r;
                (void) sqlite3_bind_int64(statement, 1, sequence);
                (void) sqlite3_bind_int64(statement, 2, (int64_t) i);
                store_bind_text(statement, 3, image->facts.sha256);
                store_bind_text(statement, 4, image_format_name(image->facts.format));
                (void) sqlite3_bind_int64(statement, 5, image->facts.width);
                (void) sqlite3_bind_int64(statement, 6, image->facts.height);
                (void) sqlite3_bind_int64(statement, 7, (int64_t) image->facts.size_bytes);
                store_bind_text(statement, 8, image->revised_prompt);
                r = store_step(store, statement);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int end_last_attempt(Store *store, const Job *job, int64_t sequence) {
        const Attempt *attempt = &job->attempts[job->n_attempts - 1];
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_END_ATTEMPT, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, sequence);
        (void) sqlite3_bind_int64(statement, 2, attempt->number);
        (void) sqlite3_bind_int64(statement, 3, attempt->outcome);
        bind_time(statement, 4, attempt->ended_at);
        store_bind_text(statement, 5, attempt->provider_request_id);
        store_bind_text(statement, 6, attempt->cause);
        bind_time(statement, 7, attempt->retry_delay);
        store_bind_text(statement, 8, attempt->next_model);
        r = store_step(store, statement);
        if (r < 0)
                return r;
        return sqlite3_changes(store->database) == 0 ? STORE_WRONG_STATE : 0;
}

int store_format_json(const JsonValue *value, char **ret) {
        *ret = value ? json_format(value) : NULL;
        return value && !*ret ? -ENOMEM : 0;
}

int store_format_failure(const Job *job, char **ret) {
        _cleanup_(json_freep) JsonValue *value = NULL;

        *ret = NULL;
        if (job->failure.status == 0)
                return 0;
        value = failure_to_json(&job->failure);
        return value ? store_format_json(value, ret) : -ENOMEM;
}

static int write_end(Store *store, const Job *job, int64_t *ret_sequence) {
        _cleanup_free_ char *usage = NULL, *reply = NULL, *failure = NULL;
        sqlite3_stmt *statement;
        int r;

        r = store_format_json(job->usage, &usage);
        if (r >= 0)
                r = store_format_json(job->reply, &reply);
        if (r >= 0)
                r = store_format_failure(job, &failure);
        if (r >= 0)
                r = store_prepare(store, STATEMENT_END_JOB, &statement);
        if (r < 0)
                return r;

        store_bind_text(statement, 1, job->id);
        (void) sqlite3_bind_int64(statement, 2, job->status);
        bind_time(statement, 3, job->ended_at);
        store_bind_text(statement, 4, usage);
        store_bind_text(statement, 5, reply);
        store_bind_text(statement, 6, failure);
        (void) sqlite3_bind_int64(statement, 7, (int64_t) job->not_before);
        r = store_step_integer(store, statement, ret_sequence);
        return r == STORE_NOT_FOUND ? STORE_WRONG_STATE : r;
}

static int do_end_attempt(Store *store, void *userdata) {
        BudgetedJob *end = userdata;
        int64_t sequence;
        int r;

        /* First these, as they may make of a job that is to be tried again one that is cancelled or has failed. */
        r = end->job->status == JOB_QUEUED ? store_end_retry_of_batch(store, end->job) : 0;
        if (r == 0)
                r = store_book_end(store, end->job, end->budget, end->verdict);
        if (r == 0)
                r = store_add_defects(store, end->job);
        if (r == 0)
                r = write_end(store, end->job, &sequence);
        if (r == 0)
                r = end_last_attempt(store, end->job, sequence);
        if (r == 0)
                r = store_add_images(store, end->job, sequence);
        if (r != 0 || !job_status_ended(end->job->status))
                return r;
        r = store_webhook_job_ended(store, sequence, end->job->ended_at);
        if (r == 0)
                r = store_end_uploads(store, end->job->id);
        if (r == 0)
                r = store_audit_job_end(store, end->job->id, end->job);
        return r != 0 ? r : store_cache_end(store, end->job, sequence);
}

int store_end_attempt(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict) {
        assert(job->n_attempts > 0 && job->status != JOB_IN_PROGRESS);

        return store_run_in_savepoint(store, do_end_attempt, &(BudgetedJob) { job, budget, verdict });
}

static int do_end_queued(Store *store, void *userdata) {
        _cleanup_free_ char *failure = NULL;
        Job *job = userdata;
        sqlite3_stmt *statement;
        int r;

        r = store_format_failure(job, &failure);
        if (r >= 0)
                r = store_prepare(store, STATEMENT_END_QUEUED, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->id);
        (void) sqlite3_bind_int64(statement, 2, job->status);
        bind_time(statement, 3, job->ended_at);
        store_bind_text(statement, 4, failure);
        r = store_step(store, statement);
        if (r < 0)
                return r;
        if (sqlite3_changes(store->database) == 0)
                return STORE_WRONG_STATE;

        /* Who takes the place of a job that was cancelled is for the caller to say. */
        r = store_webhook_job_ended(store, job->sequence, job->ended_at);
        if (r == 0 && job->status != JOB_CANCELLED)
                r = store_cache_end(store, job, job->sequence);
        if (r == 0)
                r = store_end_uploads(store, job->id);
        if (r == 0)
                r = store_book_withdrawal(store, job);
        return r != 0 ? r : store_audit_job_end(store, job->id, job);
}

int store_end_queued(Store *store, Job *job) {
        assert(job_status_ended(job->status));

        return store_run_in_savepoint(store, do_end_queued, job);
}

static int do_delete(Store *store, void *userdata) {
        const char *id = userdata;
        sqlite3_stmt *statement;
        int64_t status;
        int r;

        r = store_prepare(store, STATEMENT_GET_STATUS, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        r = store_step_integer(store, statement, &status);
        if (r != 0)
                return r;
        if (!job_status_ended((JobStatus) status))
                return STORE_WRONG_STATE;

        r = store_audit_job(store, id, "job.deleted", AUDIT_OK);
        if (r >= 0)
                r = store_cache_delete(store, id);
        if (r >= 0)
                r = store_end_uploads(store, id);
        if (r >= 0)
                r = store_prepare(store, STATEMENT_DELETE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        return store_step(store, statement);
}

int store_delete(Store *store, const char *id) {
        return store_run_in_savepoint(store, do_delete, (void *) id);
}

/* Changes that a statement without rows has made. */
static int step_counting(Store *store, sqlite3_stmt *statement, int64_t *count) {
        int r = store_step(store, statement);

        if (r >= 0)
                *count += sqlite3_changes64(store->database);
        return r;
}

typedef struct Release {
        const char *const *ids;
        size_t n_ids;
        int64_t count, to_budget;
} Release;

/* Those without a reservation wait for their budget first. `id` NULL: all of them. */
static int release_to_budget(Store *store, const char *id, int64_t *count) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_RELEASE_TO_BUDGET, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        return step_counting(store, statement, count);
}

static int do_release(Store *store, void *userdata) {
        Release *release = userdata;
        sqlite3_stmt *statement;
        int r = 0;

        if (!release->ids)
                r = release_to_budget(store, NULL, &release->to_budget);
        for (size_t i = 0; r >= 0 && i < release->n_ids; i++)
                r = release_to_budget(store, release->ids[i], &release->to_budget);
        if (r >= 0)
                r = store_prepare(store, release->ids ? STATEMENT_RELEASE_JOB : STATEMENT_RELEASE_ALL, &statement);
        if (r >= 0 && !release->ids)
                r = step_counting(store, statement, &release->count);
        for (size_t i = 0; r >= 0 && i < release->n_ids; i++) {
                store_bind_text(statement, 1, release->ids[i]);
                r = step_counting(store, statement, &release->count);
        }
        return r;
}

int store_release(Store *store, const char *const *ids, size_t n_ids, int64_t *ret_count, int64_t *ret_to_budget) {
        Release release = { ids, n_ids, 0, 0 };
        int r;

        r = store_run_in_savepoint(store, do_release, &release);
        if (r == 0) {
                *ret_count = release.count;
                *ret_to_budget = release.to_budget;
        }
        return r;
}
