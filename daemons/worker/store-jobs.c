#include <errno.h>
#include <stdio.h>

#include "base/calendar.h"
#include "base/text.h"
#include "store-private.h"

typedef int (*Operation)(Store *store, void *userdata);

/* Runs `operation` within a savepoint of the open group: all of it, or nothing. Some errors end the whole transaction
 * inside SQLite; the group is then found closed and everyone in it is told. So it is when the savepoint can't be ended,
 * since half of the operation may stand. */
static int run_in_savepoint(Store *store, Operation operation, void *userdata) {
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

/* ------------------------------------------------------------------ the ledger's side */

static int set_cost(Store *store, const Job *job) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_SET_COST, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->id);
        (void) sqlite3_bind_int64(statement, 2, job->cost.reserved);
        (void) sqlite3_bind_int64(statement, 3, job->cost.charged);
        (void) sqlite3_bind_int64(statement, 4, job->cost.unknown);
        (void) sqlite3_bind_int64(statement, 5, job->cost.day);
        (void) sqlite3_bind_int64(statement, 6, job->cost.entry);
        return store_step(store, statement);
}

/* One entry about the job; `provider` and `note` may be NULL. */
static int book(Store *store, Job *job, LedgerKind kind, const char *provider, const LedgerAmounts *change,
                const char *note, const Budget *budget, BudgetVerdict *verdict) {
        int day = job->cost.day ?: calendar_day(time_now_realtime());   /* it was to cost nothing when it was accepted */
        LedgerEntry entry = {
                .kind = kind,
                .day = day,
                .job = job->id,
                .key = job->key,
                .model = job->model,
                .provider = (char *) provider,
                .change = *change,
                .note = (char *) note,
        };
        int r;

        r = store_ledger_append(store, &entry, budget, verdict);
        if (r != 0)
                return r;
        job->cost.reserved += change->reserved;
        job->cost.charged += change->spent;
        job->cost.unknown += change->unknown;
        job->cost.day = day;
        job->cost.entry = entry.number;
        return 0;
}

static int book_reservation(Store *store, Job *job, micros_t amount, const Budget *budget, BudgetVerdict *verdict) {
        return book(store, job, LEDGER_RESERVE, NULL, &(LedgerAmounts) { .reserved = amount }, NULL, budget, verdict);
}

static int book_release(Store *store, Job *job, const char *provider) {
        return book(store, job, LEDGER_RELEASE, provider, &(LedgerAmounts) { .reserved = -job->cost.reserved }, NULL, NULL,
                    NULL);
}

static int book_settlement(Store *store, Job *job, const Attempt *attempt, const Budget *budget, BudgetVerdict *verdict) {
        LedgerAmounts change = {
                .reserved = -job->cost.reserved,
                .spent = attempt->cost,
                .images = (int64_t) job->n_images,
        };

        return book(store, job, LEDGER_SETTLE, attempt->provider, &change, attempt->cost_note, budget, verdict);
}

static int fail_over_budget(Job *job, const BudgetVerdict *verdict) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_free_ char *message = NULL;
        int r;

        r = buffer_append_text(&text, "The last attempt may have been charged, and ");
        if (r >= 0 && verdict->exceeded)
                r = budget_limit_describe(verdict->exceeded, &text);
        if (r >= 0)
                r = buffer_append_text(&text, verdict->exceeded ? " has no room for another." : "spending is paused.");
        message = r < 0 ? NULL : buffer_take_text(&text);
        if (!message)
                return -ENOMEM;
        job->status = JOB_FAILED;
        job->ended_at = job->attempts[job->n_attempts - 1].ended_at;
        job->attempts[job->n_attempts - 1].retry_delay = 0;
        job->not_before = 0;
        return failure_set(&job->failure, 429, "insufficient_quota", "budget_exceeded", NULL, message);
}

/* It may have been charged, and what it may cost again is reserved anew. */
static int book_unknown(Store *store, Job *job, const Attempt *attempt, const Budget *budget, BudgetVerdict *verdict) {
        micros_t amount = job->cost.reserved;
        BudgetVerdict again = {};
        int r;

        r = book(store, job, LEDGER_UNKNOWN, attempt->provider,
                 &(LedgerAmounts) { .reserved = -amount, .unknown = amount }, attempt->cost_note, budget, verdict);
        if (r != 0 || job->status != JOB_QUEUED)
                return r;
        r = book_reservation(store, job, amount, budget, &again);
        return r == STORE_OVER_BUDGET ? fail_over_budget(job, &again) : r;
}

/* Begins with the cost as it was read each time: what is written may have to be written again. */
static int book_end(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict) {
        const Attempt *attempt = &job->attempts[job->n_attempts - 1];
        int r;

        job->cost = job->cost_before;
        if (attempt->outcome == ATTEMPT_COMPLETED && (attempt->cost > 0 || job->cost.reserved > 0))
                r = book_settlement(store, job, attempt, budget, verdict);
        else if (job->cost.reserved == 0)
                return 0;
        else if (attempt->outcome == ATTEMPT_UNKNOWN)
                r = book_unknown(store, job, attempt, budget, verdict);
        else if (job_status_ended(job->status))
                r = book_release(store, job, attempt->provider);
        else
                return 0;
        return r != 0 ? r : set_cost(store, job);
}

/* ------------------------------------------------------------------ writing */

/* A job within its budget: submitted, or at the end of an attempt. */
typedef struct BudgetedJob {
        Job *job;
        const Budget *budget;
        BudgetVerdict *verdict;
} BudgetedJob;

static int insert_job(Store *store, Job *job) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_SUBMIT, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job->id);
        store_bind_text(statement, 2, job->model);
        store_bind_text(statement, 3, job->response_format);
        store_bind_text(statement, 4, job->request);
        bind_time(statement, 5, job->created_at);
        store_bind_text(statement, 6, job->asked);
        store_bind_text(statement, 7, job->key);
        r = store_step(store, statement);
        if (r < 0)
                return r;
        if (sqlite3_changes(store->database) == 0)
                return STORE_EXISTS;

        job->sequence = sqlite3_last_insert_rowid(store->database);
        return 0;
}

static int do_submit(Store *store, void *userdata) {
        BudgetedJob *submission = userdata;
        Job *job = submission->job;
        micros_t amount = job->cost_before.reserved;
        int r;

        r = insert_job(store, job);
        if (r != 0 || amount == 0)
                return r;
        job->cost = (JobCost) { .day = job->cost_before.day };
        r = book_reservation(store, job, amount, submission->budget, submission->verdict);
        return r != 0 ? r : set_cost(store, job);
}

int store_submit(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict) {
        return run_in_savepoint(store, do_submit, &(BudgetedJob) { job, budget, verdict });
}

typedef struct AttemptStart {
        const char *id, *provider, *lease;
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
        r = store_step_integer(store, statement, &number);
        return r != 0 ? r : store_get(store, start->id, &start->job);
}

int store_start_attempt(Store *store, const char *id, const char *provider, const char *lease, usec_t now,
                        Job **ret) {
        AttemptStart start = { id, provider, lease, now, NULL };
        int r;

        r = run_in_savepoint(store, do_start_attempt, &start);
        if (r == 0)
                *ret = start.job;
        else
                (void) job_free(start.job);
        return r;
}

static int add_images(Store *store, const Job *job, int64_t sequence) {
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
        r = store_step(store, statement);
        if (r < 0)
                return r;
        return sqlite3_changes(store->database) == 0 ? STORE_WRONG_STATE : 0;
}

static int format_optional(const JsonValue *value, char **ret) {
        *ret = value ? json_format(value) : NULL;
        return value && !*ret ? -ENOMEM : 0;
}

static int format_failure(const Job *job, char **ret) {
        _cleanup_(json_freep) JsonValue *value = NULL;

        *ret = NULL;
        if (job->failure.status == 0)
                return 0;
        value = failure_to_json(&job->failure);
        return value ? format_optional(value, ret) : -ENOMEM;
}

static int write_end(Store *store, const Job *job, int64_t *ret_sequence) {
        _cleanup_free_ char *usage = NULL, *reply = NULL, *failure = NULL;
        sqlite3_stmt *statement;
        int r;

        r = format_optional(job->usage, &usage);
        if (r >= 0)
                r = format_optional(job->reply, &reply);
        if (r >= 0)
                r = format_failure(job, &failure);
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

        /* First, as it may make of a job that is to be tried again one that has failed. */
        r = book_end(store, end->job, end->budget, end->verdict);
        if (r == 0)
                r = write_end(store, end->job, &sequence);
        if (r == 0)
                r = end_last_attempt(store, end->job, sequence);
        return r != 0 ? r : add_images(store, end->job, sequence);
}

int store_end_attempt(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict) {
        assert(job->n_attempts > 0 && job->status != JOB_IN_PROGRESS);

        return run_in_savepoint(store, do_end_attempt, &(BudgetedJob) { job, budget, verdict });
}

static int do_end_queued(Store *store, void *userdata) {
        _cleanup_free_ char *failure = NULL;
        Job *job = userdata;
        sqlite3_stmt *statement;
        int r;

        r = format_failure(job, &failure);
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

        job->cost = job->cost_before;
        if (job->cost.reserved == 0)
                return 0;
        r = book_release(store, job, NULL);
        return r != 0 ? r : set_cost(store, job);
}

int store_end_queued(Store *store, Job *job) {
        assert(job_status_ended(job->status));

        return run_in_savepoint(store, do_end_queued, job);
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

        r = store_prepare(store, STATEMENT_DELETE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        return store_step(store, statement);
}

int store_delete(Store *store, const char *id) {
        return run_in_savepoint(store, do_delete, (void *) id);
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
        int64_t count;
} Release;

static int do_release(Store *store, void *userdata) {
        Release *release = userdata;
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, release->ids ? STATEMENT_RELEASE_JOB : STATEMENT_RELEASE_ALL, &statement);
        if (r >= 0 && !release->ids)
                r = step_counting(store, statement, &release->count);
        for (size_t i = 0; r >= 0 && i < release->n_ids; i++) {
                store_bind_text(statement, 1, release->ids[i]);
                r = step_counting(store, statement, &release->count);
        }
        return r;
}

int store_release(Store *store, const char *const *ids, size_t n_ids, int64_t *ret_count) {
        Release release = { ids, n_ids, 0 };
        int r;

        r = run_in_savepoint(store, do_release, &release);
        if (r == 0)
                *ret_count = release.count;
        return r;
}

/* ------------------------------------------------------------------ reading */

static int column_json(sqlite3_stmt *statement, int column, JsonValue **ret) {
        const char *text = (const char *) sqlite3_column_text(statement, column);

        return text ? json_parse(text, strlen(text), ret, NULL) : 0;
}

static int column_failure(sqlite3_stmt *statement, int column, Failure *failure) {
        _cleanup_(json_freep) JsonValue *value = NULL;
        int r;

        r = column_json(statement, column, &value);
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
        return r;
}

static int read_image(sqlite3_stmt *statement, JobImage *image) {
        const char *sha256 = (const char *) sqlite3_column_text(statement, 0);

        if (!sha256 || !sha256_text_valid(sha256))
                return -EUCLEAN;
        (void) memcpy(image->facts.sha256, sha256, SHA256_TEXT_MAX);
        image->facts.format = image_format_from_name((const char *) sqlite3_column_text(statement, 1));
        image->facts.width = (unsigned) sqlite3_column_int(statement, 2);
        image->facts.height = (unsigned) sqlite3_column_int(statement, 3);
        image->facts.size_bytes = (uint64_t) sqlite3_column_int64(statement, 4);
        return store_column_text(statement, 5, &image->revised_prompt);
}

/* Reads all rows that belong to a job into an array that grows. */
#define READ_ROWS(store, which, job, array, count, read_row) ({ \
        sqlite3_stmt *_statement; \
        int _result, _r = store_prepare(store, which, &_statement); \
        if (_r >= 0) { \
                (void) sqlite3_bind_int64(_statement, 1, (job)->sequence); \
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
        job->held = sqlite3_column_int(statement, 12);
        job->cost_before = (JobCost) {
                .reserved = sqlite3_column_int64(statement, 13),
                .charged = sqlite3_column_int64(statement, 14),
                .unknown = sqlite3_column_int64(statement, 15),
                .day = sqlite3_column_int(statement, 16),
                .entry = sqlite3_column_int64(statement, 17),
        };
        job->cost = job->cost_before;
        job->not_before = (usec_t) sqlite3_column_int64(statement, 20);

        r = store_column_text(statement, 3, &job->model);
        if (r >= 0)
                r = store_column_text(statement, 4, &job->response_format);
        if (r >= 0)
                r = store_column_text(statement, 5, &job->request);
        if (r >= 0)
                r = store_column_text(statement, 18, &job->asked);
        if (r >= 0)
                r = store_column_text(statement, 19, &job->key);
        if (r >= 0)
                r = column_json(statement, 9, &job->usage);
        if (r >= 0)
                r = column_json(statement, 10, &job->reply);
        if (r >= 0)
                r = column_failure(statement, 11, &job->failure);
        if (r >= 0)
                r = READ_ROWS(store, STATEMENT_GET_ATTEMPTS, job, job->attempts, job->n_attempts, read_attempt);
        if (r >= 0)
                r = READ_ROWS(store, STATEMENT_GET_IMAGES, job, job->images, job->n_images, read_image);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(job);
        return 0;
}

int store_get(Store *store, const char *id, Job **ret) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_GET, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, id);
        result = sqlite3_step(statement);
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

int store_next_waiting_model(Store *store, const char *after, char **ret) {
        sqlite3_stmt *statement;
        int result, r;

        r = store_prepare(store, STATEMENT_NEXT_WAITING_MODEL, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, after);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                r = store_column_text(statement, 0, ret);
        else
                r = result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

/* Steps a statement that yields at most one waiting job, and what may follow its three columns. STORE_NOT_FOUND. */
static int step_waiting(Store *store, sqlite3_stmt *statement, WaitingJob *job, usec_t *ret_time) {
        int result = sqlite3_step(statement), r = 0;

        if (result == SQLITE_ROW) {
                (void) snprintf(job->id, sizeof(job->id), "%s", sqlite3_column_text(statement, 0));
                job->sequence = sqlite3_column_int64(statement, 1);
                job->not_before = (usec_t) sqlite3_column_int64(statement, 2);
                if (ret_time)
                        *ret_time = (usec_t) sqlite3_column_int64(statement, 3);
        } else
                r = result == SQLITE_DONE ? STORE_NOT_FOUND : store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

static int next_due(Store *store, const char *model, usec_t now, const WaitingJob *after, WaitingJob *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_NEXT_DUE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, model);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) MIN(now, (usec_t) INT64_MAX));
        /* From the first time on: at 0 stand all the jobs that are no retries, which would be gone through. */
        (void) sqlite3_bind_int64(statement, 3, after ? (int64_t) after->not_before : 1);
        (void) sqlite3_bind_int64(statement, 4, after ? after->sequence : 0);
        return step_waiting(store, statement, ret, NULL);
}

int store_next_waiting(Store *store, const char *model, usec_t now, const WaitingJob *after, WaitingJob *ret) {
        bool tried = !after || after->not_before > 0;
        sqlite3_stmt *statement;
        int r = STORE_NOT_FOUND;

        if (tried)
                r = next_due(store, model, now, after, ret);
        if (r != STORE_NOT_FOUND)
                return r;
        r = store_prepare(store, STATEMENT_NEXT_UNTRIED, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, model);
        (void) sqlite3_bind_int64(statement, 2, tried ? 0 : after->sequence);
        return step_waiting(store, statement, ret, NULL);
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
