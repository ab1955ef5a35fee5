/* The store: each operation whole or not at all, in the states that it is meant for; versions of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store-copy.h"
#include "store/store-private.h"
#include "store/store-schema.h"

#define LEASE "00000000000000000000000000000001"
#define OTHER_LEASE "00000000000000000000000000000002"
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

typedef struct Fixture {
        char folder[64], path[96];
        Store *store;
} Fixture;

static int set_up_folder(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        (void) strcpy(fixture->folder, "/tmp/atelier-store-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        (void) snprintf(fixture->path, sizeof(fixture->path), "%s/db", fixture->folder);
        *state = fixture;
        return 0;
}

static int set_up(void **state) {
        Fixture *fixture;

        (void) set_up_folder(state);
        fixture = *state;
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        return 0;
}

static int tear_down(void **state) {
        static const char *const names[] = {
                "db", "db-wal", "db-shm", "db-journal", "copy", "copy-wal", "copy-journal",
        };
        Fixture *fixture = *state;
        char path[96];

        fixture->store = store_free(fixture->store);
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", fixture->folder, names[i]);
                (void) unlink(path);
        }
        assert_int_equal(rmdir(fixture->folder), 0);
        free(fixture);
        return 0;
}

static void begin(Fixture *fixture) {
        assert_int_equal(store_group_begin(fixture->store), 0);
}

static void commit(Fixture *fixture) {
        assert_int_equal(store_group_commit(fixture->store), 0);
}

static const char *id_of(unsigned number) {
        static char ids[4][JOB_ID_MAX];
        static unsigned next;
        char *id = ids[next++ % ELEMENTS(ids)];

        (void) snprintf(id, JOB_ID_MAX, JOB_ID_PREFIX "%032x", number);
        return id;
}

static int submit_for(Fixture *fixture, unsigned number, const char *model) {
        Job job = {
                .model = (char *) model,
                .response_format = (char *) "url",
                .request = (char *) "{\"prompt\":\"a\"}",
                .created_at = 1000 + number,
        };

        (void) strcpy(job.id, id_of(number));
        return store_submit(fixture->store, &job, NULL, NULL);
}

static int submit(Fixture *fixture, unsigned number) {
        return submit_for(fixture, number, "sandbox");
}

static Job *get(Fixture *fixture, unsigned number) {
        Job *job;

        assert_int_equal(store_get(fixture->store, id_of(number), &job), 0);
        return job;
}

static int status_of(Fixture *fixture, unsigned number) {
        Job *job;
        int status, r;

        r = store_get(fixture->store, id_of(number), &job);
        if (r == STORE_NOT_FOUND)
                return JOB_STATUS_INVALID;
        assert_int_equal(r, 0);
        status = job->status;
        job_free(job);
        return status;
}

static int start(Fixture *fixture, unsigned number) {
        _cleanup_(job_freep) Job *job = NULL;

        return store_start_attempt(fixture->store, id_of(number), "box", LEASE, 2000, &job);
}

static void add_image(Job *job, const char *sha256) {
        job->images = reallocarray(job->images, job->n_images + 1, sizeof(*job->images));
        job->images[job->n_images] = (JobImage) {
                .facts = { .format = IMAGE_PNG, .width = 64, .height = 32, .size_bytes = 123 },
                .revised_prompt = strdup("better"),
        };
        (void) strcpy(job->images[job->n_images++].facts.sha256, sha256);
}

static int end(Fixture *fixture, Job *job, AttemptOutcome outcome, JobStatus status) {
        job->attempts[job->n_attempts - 1].outcome = outcome;
        job->attempts[job->n_attempts - 1].ended_at = 3000;
        job->status = status;
        job->ended_at = job_status_ended(status) ? 3000 : 0;
        return store_end_attempt(fixture->store, job, NULL, NULL);
}

/* A completed job with these images (NULL: none). */
static void complete(Fixture *fixture, unsigned number, const char *first, const char *second) {
        Job *job;

        begin(fixture);
        assert_int_equal(submit(fixture, number), 0);
        assert_int_equal(start(fixture, number), 0);
        job = get(fixture, number);
        if (first)
                add_image(job, first);
        if (second)
                add_image(job, second);
        assert_int_equal(end(fixture, job, ATTEMPT_COMPLETED, JOB_COMPLETED), 0);
        commit(fixture);
        job_free(job);
}

/* ------------------------------------------------------------------ submitting */

static void test_submitted_job_is_read_as_it_was(void **state) {
        Fixture *fixture = *state;
        Job *job;

        begin(fixture);
        assert_int_equal(submit(fixture, 7), 0);
        commit(fixture);
        job = get(fixture, 7);
        assert_string_equal(job->id, id_of(7));
        assert_int_equal(job->status, JOB_QUEUED);
        assert_string_equal(job->model, "sandbox");
        assert_string_equal(job->response_format, "url");
        assert_string_equal(job->request, "{\"prompt\":\"a\"}");
        assert_int_equal(job->created_at, 1007);
        assert_int_equal(job->started_at, 0);
        assert_int_equal(job->n_attempts, 0);
        assert_int_equal(job->n_images, 0);
        assert_int_equal(job->failure.status, 0);
        job_free(job);
}

static void test_same_id_is_the_same_job(void **state) {
        Fixture *fixture = *state;
        int64_t waiting;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(submit(fixture, 1), STORE_EXISTS);
        commit(fixture);
        begin(fixture);
        assert_int_equal(submit(fixture, 1), STORE_EXISTS);
        commit(fixture);
        assert_int_equal(store_count_waiting(fixture->store, &waiting), 0);
        assert_int_equal(waiting, 1);
}

/* Submits with that idempotency key; *ret_id is the job that it is. */
static int submit_idempotent(Fixture *fixture, unsigned number, const char *client, const char *key, const char *request,
                             char ret_id[static JOB_ID_MAX]) {
        Job job = {
                .model = (char *) "sandbox",
                .key = (char *) client,
                .response_format = (char *) "url",
                .request = (char *) "{}",
                .created_at = 1,
                .idempotency = { .key = (char *) key },
        };
        int r;

        (void) strcpy(job.id, id_of(number));
        (void) strcpy(job.idempotency.request, request);
        begin(fixture);
        r = store_submit(fixture->store, &job, NULL, NULL);
        commit(fixture);
        (void) strcpy(ret_id, job.id);
        return r;
}

static void test_idempotency_key_is_one_job(void **state) {
        Fixture *fixture = *state;
        char id[JOB_ID_MAX];

        assert_int_equal(submit_idempotent(fixture, 1, NULL, "k", SHA_A, id), 0);
        assert_int_equal(submit_idempotent(fixture, 2, NULL, "k", SHA_A, id), STORE_EXISTS);
        assert_string_equal(id, id_of(1));
        assert_int_equal(status_of(fixture, 2), JOB_STATUS_INVALID);
        assert_int_equal(submit_idempotent(fixture, 2, NULL, "k", SHA_B, id), STORE_KEY_REUSED);
        assert_int_equal(submit_idempotent(fixture, 2, "client", "k", SHA_B, id), 0);
        assert_int_equal(submit_idempotent(fixture, 3, NULL, "l", SHA_A, id), 0);
}

static void test_idempotency_key_goes_with_its_job(void **state) {
        Fixture *fixture = *state;
        char id[JOB_ID_MAX];
        Job *job;

        assert_int_equal(submit_idempotent(fixture, 1, NULL, "k", SHA_A, id), 0);
        job = get(fixture, 1);
        job->status = JOB_CANCELLED;
        begin(fixture);
        assert_int_equal(store_end_queued(fixture->store, job), 0);
        assert_int_equal(store_delete(fixture->store, id_of(1)), 0);
        commit(fixture);
        job_free(job);
        assert_int_equal(submit_idempotent(fixture, 2, NULL, "k", SHA_B, id), 0);
}

static void test_rolled_back_group_leaves_nothing(void **state) {
        Fixture *fixture = *state;

        begin(fixture);
        assert_true(store_group_open(fixture->store));
        assert_int_equal(submit(fixture, 1), 0);
        store_group_rollback(fixture->store);
        assert_false(store_group_open(fixture->store));
        assert_int_equal(status_of(fixture, 1), JOB_STATUS_INVALID);
}

/* ------------------------------------------------------------------ attempts */

/* The model's waiting jobs at that time, by their numbers up to 0: those that are due, then what was never tried. */
static void check_waiting(Fixture *fixture, const char *model, usec_t now, const unsigned *numbers) {
        WaitingJob job, after;
        int r;

        for (r = store_next_due(fixture->store, model, now, NULL, &job); r == 0;
             after = job, r = store_next_due(fixture->store, model, now, &after, &job))
                assert_string_equal(job.id, id_of(*numbers++));
        assert_int_equal(r, STORE_NOT_FOUND);
        for (r = store_next_untried(fixture->store, model, NULL, &job); r == 0;
             after = job, r = store_next_untried(fixture->store, model, &after, &job))
                assert_string_equal(job.id, id_of(*numbers++));
        assert_int_equal(r, STORE_NOT_FOUND);
        assert_int_equal(*numbers, 0);
}

static void check_next_model(Fixture *fixture, const char *after, const char *wanted) {
        _cleanup_free_ char *name = NULL;

        assert_int_equal(store_next_waiting_model(fixture->store, after, &name), 0);
        assert_string_equal(name, wanted);
}

static void test_waiting_jobs_come_in_order_of_acceptance(void **state) {
        Fixture *fixture = *state;

        begin(fixture);
        for (unsigned number = 9; number > 4; number--)
                assert_int_equal(submit(fixture, number), 0);
        assert_int_equal(start(fixture, 8), 0);
        commit(fixture);
        check_waiting(fixture, "sandbox", 0, (const unsigned[]) { 9, 7, 6, 5, 0 });
        check_waiting(fixture, "other", 0, (const unsigned[]) { 0 });
}

static void submit_as(Fixture *fixture, unsigned number, const char *key, JobPriority priority) {
        Job job = {
                .model = (char *) "sandbox",
                .response_format = (char *) "url",
                .request = (char *) "{\"prompt\":\"a\"}",
                .created_at = 1000 + number,
                .key = (char *) key,
                .priority = priority,
        };

        (void) strcpy(job.id, id_of(number));
        assert_int_equal(store_submit(fixture->store, &job, NULL, NULL), 0);
}

static void test_parties_are_apart_and_have_priorities_of_their_own(void **state) {
        Fixture *fixture = *state;
        WaitingJob job;
        Job *read;

        begin(fixture);
        submit_as(fixture, 1, "b", JOB_PRIORITY_NORMAL);
        submit_as(fixture, 2, "b", JOB_PRIORITY_HIGH);
        submit_as(fixture, 3, NULL, JOB_PRIORITY_LOW);
        submit_as(fixture, 4, "a", JOB_PRIORITY_LOW);
        submit_as(fixture, 5, "b", JOB_PRIORITY_NORMAL);
        submit_as(fixture, 6, "a", JOB_PRIORITY_NORMAL);
        commit(fixture);
        check_waiting(fixture, "sandbox", 0, (const unsigned[]) { 3, 6, 4, 2, 1, 5, 0 });

        assert_int_equal(store_next_party(fixture->store, "sandbox", "", &job), 0);
        assert_string_equal(job.party, "a");
        assert_string_equal(job.id, id_of(6));
        assert_int_equal(store_next_party(fixture->store, "sandbox", "a", &job), 0);
        assert_string_equal(job.id, id_of(2));
        assert_int_equal(job.priority, JOB_PRIORITY_HIGH);
        assert_int_equal(store_next_party(fixture->store, "sandbox", "b", &job), STORE_NOT_FOUND);
        read = get(fixture, 2);
        assert_int_equal(read->priority, JOB_PRIORITY_HIGH);
        job_free(read);
}

static void test_models_are_told_once_however_many_wait(void **state) {
        static const char *const models[] = { "b", "a", "c", "a", "d", "a" };
        Fixture *fixture = *state;
        char *name = NULL;

        begin(fixture);
        for (unsigned number = 0; number < ELEMENTS(models); number++)
                assert_int_equal(submit_for(fixture, number, models[number]), 0);
        assert_int_equal(start(fixture, 2), 0);  /* nobody waits for c any more */
        commit(fixture);
        check_next_model(fixture, "", "a");
        check_next_model(fixture, "a", "b");
        check_next_model(fixture, "b", "d");
        assert_int_equal(store_next_waiting_model(fixture->store, "d", &name), STORE_NOT_FOUND);
}

/* As an attempt that is to be made again at that time leaves it. */
static void put_back(Fixture *fixture, unsigned number, usec_t not_before) {
        _cleanup_(job_freep) Job *job = NULL;

        assert_int_equal(store_start_attempt(fixture->store, id_of(number), "box", LEASE, 100 * number, &job), 0);
        job->attempts[job->n_attempts - 1].outcome = ATTEMPT_REFUSED;
        job->attempts[job->n_attempts - 1].ended_at = 3000;
        job->attempts[job->n_attempts - 1].retry_delay = not_before - 3000;
        job->status = JOB_QUEUED;
        job->not_before = not_before;
        assert_int_equal(store_end_attempt(fixture->store, job, NULL, NULL), 0);
}

static void retry(Fixture *fixture, unsigned number, usec_t not_before) {
        begin(fixture);
        put_back(fixture, number, not_before);
        commit(fixture);
}

static void retry_many(Fixture *fixture, unsigned from, unsigned to, usec_t not_before) {
        begin(fixture);
        for (unsigned number = from; number < to; number++)
                put_back(fixture, number, not_before + number);
        commit(fixture);
}

static void submit_five(Fixture *fixture) {
        begin(fixture);
        for (unsigned number = 1; number <= 5; number++)
                assert_int_equal(submit(fixture, number), 0);
        commit(fixture);
}

static void test_retries_come_first_and_in_the_order_of_their_times(void **state) {
        Fixture *fixture = *state;
        usec_t due;

        submit_five(fixture);
        retry(fixture, 2, 5000);
        retry(fixture, 4, 4000);
        retry(fixture, 5, 4000);
        check_waiting(fixture, "sandbox", 3999, (const unsigned[]) { 1, 3, 0 });
        check_waiting(fixture, "sandbox", 4000, (const unsigned[]) { 4, 5, 1, 3, 0 });
        check_waiting(fixture, "sandbox", 5000, (const unsigned[]) { 4, 5, 2, 1, 3, 0 });
        check_waiting(fixture, "sandbox", USEC_INFINITY, (const unsigned[]) { 4, 5, 2, 1, 3, 0 });
        assert_int_equal(store_next_retry_time(fixture->store, 3999, &due), 0);
        assert_int_equal(due, 4000);
        assert_int_equal(store_next_retry_time(fixture->store, 4000, &due), 0);
        assert_int_equal(due, 5000);
        assert_int_equal(store_next_retry_time(fixture->store, 5000, &due), STORE_NOT_FOUND);
}

static void test_retry_is_read_as_it_was(void **state) {
        Fixture *fixture = *state;
        Job *job;

        submit_five(fixture);
        retry(fixture, 2, 5000);
        fixture->store = store_free(fixture->store);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        job = get(fixture, 2);
        assert_int_equal(job->status, JOB_QUEUED);
        assert_int_equal(job->not_before, 5000);
        assert_int_equal(job->started_at, 200);
        assert_int_equal(job->attempts[0].retry_delay, 2000);
        job_free(job);
}

static void test_a_start_ends_the_waiting_for_a_time(void **state) {
        Fixture *fixture = *state;
        Job *job;

        submit_five(fixture);
        retry(fixture, 2, 5000);
        begin(fixture);
        assert_int_equal(start(fixture, 2), 0);
        commit(fixture);
        job = get(fixture, 2);
        assert_int_equal(job->not_before, 0);
        assert_int_equal(job->n_attempts, 2);
        assert_int_equal(job->attempts[1].retry_delay, 0);
        job_free(job);
}

static void test_oldest_retry_is_that_which_began_first(void **state) {
        Fixture *fixture = *state;
        WaitingJob job;
        usec_t started_at;

        submit_five(fixture);
        assert_int_equal(store_oldest_retry(fixture->store, &job, &started_at), STORE_NOT_FOUND);
        retry(fixture, 4, 4000);
        retry(fixture, 3, 5000);
        assert_int_equal(store_oldest_retry(fixture->store, &job, &started_at), 0);
        assert_string_equal(job.id, id_of(3));
        assert_int_equal(started_at, 300);
}

#define MANY_JOBS 2000
#define STEPS_OF_ONE_LOOK 150   /* of SQLite's machine; a look at every job would take many for each */

static int steps_of(Fixture *fixture, Statement statement) {
        return sqlite3_stmt_status(store_statement(fixture->store, statement), SQLITE_STMTSTATUS_VM_STEP, true);
}

/* None goes through what waits, whether it was never tried, is due, or is not due yet. */
static void test_a_look_costs_the_same_however_many_wait(void **state) {
        static const Statement statements[] = {
                STATEMENT_NEXT_WAITING_MODEL, STATEMENT_NEXT_DUE,     STATEMENT_NEXT_UNTRIED,
                STATEMENT_NEXT_RETRY_TIME,    STATEMENT_OLDEST_RETRY,
        };
        static const usec_t times[] = { 0, 4000, 6000 };
        Fixture *fixture = *state;

        begin(fixture);
        for (unsigned number = 1; number <= MANY_JOBS; number++)
                assert_int_equal(submit(fixture, number), 0);
        commit(fixture);
        retry_many(fixture, 1, MANY_JOBS / 4, 4000);
        retry_many(fixture, MANY_JOBS / 4, MANY_JOBS / 2, 6000);

        for (size_t i = 0; i < ELEMENTS(times); i++) {
                _cleanup_free_ char *model = NULL;
                WaitingJob job, next;
                usec_t time;

                assert_int_equal(store_next_waiting_model(fixture->store, "", &model), 0);
                (void) store_next_due(fixture->store, model, times[i], NULL, &job);
                assert_int_equal(store_next_untried(fixture->store, model, NULL, &job), 0);
                assert_int_equal(store_next_untried(fixture->store, model, &job, &next), 0);
                assert_int_equal(store_next_party(fixture->store, model, "k", &next), STORE_NOT_FOUND);
                (void) store_next_retry_time(fixture->store, times[i], &time);
                assert_int_equal(store_oldest_retry(fixture->store, &job, &time), 0);
                for (size_t k = 0; k < ELEMENTS(statements); k++)
                        assert_in_range(steps_of(fixture, statements[k]), 0, STEPS_OF_ONE_LOOK);
        }
}

/* An operator's word counts for more than a time and a deadline of the past. */
static void test_release_forgets_the_time(void **state) {
        Fixture *fixture = *state;
        int64_t released, to_budget;
        sqlite3 *database;
        Job *job;

        submit_five(fixture);
        retry(fixture, 2, 5000);
        fixture->store = store_free(fixture->store);
        assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, "UPDATE job SET held = 1", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(database), SQLITE_OK);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        begin(fixture);
        assert_int_equal(store_release(fixture->store, NULL, 0, &released, &to_budget), 0);
        commit(fixture);
        assert_int_equal(released, 5);
        job = get(fixture, 2);
        assert_int_equal(job->not_before, 0);
        job_free(job);
}

static void test_job_is_started_once(void **state) {
        Fixture *fixture = *state;
        Job *job;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(start(fixture, 1), 0);
        assert_int_equal(start(fixture, 1), STORE_WRONG_STATE);
        assert_int_equal(start(fixture, 2), STORE_WRONG_STATE);
        commit(fixture);

        job = get(fixture, 1);
        assert_int_equal(job->status, JOB_IN_PROGRESS);
        assert_int_equal(job->started_at, 2000);
        assert_int_equal(job->n_attempts, 1);
        assert_int_equal(job->attempts[0].number, 1);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_STARTED);
        assert_string_equal(job->attempts[0].provider, "box");
        job_free(job);
}

static void test_completed_job_keeps_all_it_was_given(void **state) {
        Fixture *fixture = *state;
        Job *job;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(start(fixture, 1), 0);
        job = get(fixture, 1);
        add_image(job, SHA_A);
        add_image(job, SHA_B);
        job->usage = json_new_object();
        assert_int_equal(json_add_integer(job->usage, "total_tokens", 5), 0);
        job->attempts[0].provider_request_id = strdup("req_1");
        assert_int_equal(end(fixture, job, ATTEMPT_COMPLETED, JOB_COMPLETED), 0);
        commit(fixture);
        job_free(job);

        job = get(fixture, 1);
        assert_int_equal(job->status, JOB_COMPLETED);
        assert_int_equal(job->ended_at, 3000);
        assert_int_equal(job->n_images, 2);
        assert_string_equal(job->images[0].facts.sha256, SHA_A);
        assert_string_equal(job->images[1].facts.sha256, SHA_B);
        assert_int_equal(job->images[1].facts.width, 64);
        assert_int_equal(job->images[1].facts.height, 32);
        assert_int_equal(job->images[1].facts.size_bytes, 123);
        assert_string_equal(job->images[1].revised_prompt, "better");
        assert_int_equal(json_get_integer(job->usage, "total_tokens", 0), 5);
        assert_string_equal(job->attempts[0].provider_request_id, "req_1");
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_COMPLETED);
        job_free(job);
}

static void test_attempt_ends_once(void **state) {
        Fixture *fixture = *state;
        Job *job;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(start(fixture, 1), 0);
        job = get(fixture, 1);
        assert_int_equal(end(fixture, job, ATTEMPT_REFUSED, JOB_FAILED), 0);
        assert_int_equal(end(fixture, job, ATTEMPT_COMPLETED, JOB_COMPLETED), STORE_WRONG_STATE);
        commit(fixture);
        assert_int_equal(status_of(fixture, 1), JOB_FAILED);
        job_free(job);
}

static void test_late_end_of_an_attempt_does_not_end_the_next(void **state) {
        Fixture *fixture = *state;
        Job *first, *job;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(start(fixture, 1), 0);
        first = get(fixture, 1);
        assert_int_equal(end(fixture, first, ATTEMPT_UNKNOWN, JOB_QUEUED), 0);
        assert_int_equal(start(fixture, 1), 0);
        add_image(first, SHA_A);
        assert_int_equal(end(fixture, first, ATTEMPT_COMPLETED, JOB_COMPLETED), STORE_WRONG_STATE);
        commit(fixture);

        job = get(fixture, 1);
        assert_int_equal(job->status, JOB_IN_PROGRESS);
        assert_int_equal(job->n_attempts, 2);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_UNKNOWN);
        assert_int_equal(job->attempts[1].outcome, ATTEMPT_STARTED);
        assert_int_equal(job->n_images, 0);
        job_free(job);
        job_free(first);
}

static void test_failure_is_read_as_it_was(void **state) {
        Fixture *fixture = *state;
        Job *job;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(start(fixture, 1), 0);
        job = get(fixture, 1);
        assert_int_equal(failure_set(&job->failure, 429, "requests", "rate_limit_exceeded", NULL, "slow \"down\""), 0);
        assert_int_equal(end(fixture, job, ATTEMPT_REFUSED, JOB_FAILED), 0);
        commit(fixture);
        job_free(job);

        job = get(fixture, 1);
        assert_int_equal(job->failure.status, 429);
        assert_string_equal(job->failure.code, "rate_limit_exceeded");
        assert_null(job->failure.param);
        assert_string_equal(job->failure.message, "slow \"down\"");
        job_free(job);
}

static void test_orphans_are_those_of_other_leases(void **state) {
        Fixture *fixture = *state;
        Job *job;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(submit(fixture, 2), 0);
        assert_int_equal(start(fixture, 1), 0);
        commit(fixture);

        assert_int_equal(store_next_orphan(fixture->store, LEASE, &job), STORE_NOT_FOUND);
        assert_int_equal(store_next_orphan(fixture->store, OTHER_LEASE, &job), 0);
        assert_string_equal(job->id, id_of(1));
        begin(fixture);
        assert_int_equal(end(fixture, job, ATTEMPT_UNKNOWN, JOB_QUEUED), 0);
        commit(fixture);
        job_free(job);
        assert_int_equal(store_next_orphan(fixture->store, OTHER_LEASE, &job), STORE_NOT_FOUND);
}

/* ------------------------------------------------------------------ cancelling, deleting, listing */

static void test_only_a_queued_job_is_cancelled(void **state) {
        Fixture *fixture = *state;
        Job *job;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(submit(fixture, 2), 0);
        assert_int_equal(start(fixture, 2), 0);
        for (unsigned number = 1; number <= 2; number++) {
                job = get(fixture, number);
                job->status = JOB_CANCELLED;
                job->ended_at = 5;
                assert_int_equal(store_end_queued(fixture->store, job), number == 1 ? 0 : STORE_WRONG_STATE);
                job_free(job);
        }
        commit(fixture);
        assert_int_equal(status_of(fixture, 1), JOB_CANCELLED);
        assert_int_equal(status_of(fixture, 2), JOB_IN_PROGRESS);
        begin(fixture);
        assert_int_equal(start(fixture, 1), STORE_WRONG_STATE);
        commit(fixture);
}

static void test_only_an_ended_job_is_deleted(void **state) {
        Fixture *fixture = *state;

        complete(fixture, 1, SHA_A, NULL);
        begin(fixture);
        assert_int_equal(submit(fixture, 2), 0);
        assert_int_equal(store_delete(fixture->store, id_of(2)), STORE_WRONG_STATE);
        assert_int_equal(start(fixture, 2), 0);
        assert_int_equal(store_delete(fixture->store, id_of(2)), STORE_WRONG_STATE);
        assert_int_equal(store_delete(fixture->store, id_of(3)), STORE_NOT_FOUND);
        assert_int_equal(store_delete(fixture->store, id_of(1)), 0);
        commit(fixture);
        assert_int_equal(status_of(fixture, 1), JOB_STATUS_INVALID);
        assert_int_equal(status_of(fixture, 2), JOB_IN_PROGRESS);
}

static void test_image_is_used_until_its_last_job_goes(void **state) {
        Fixture *fixture = *state;
        int64_t uses;

        complete(fixture, 1, SHA_A, SHA_B);
        complete(fixture, 2, SHA_A, NULL);
        assert_int_equal(store_image_uses(fixture->store, SHA_A, IMAGE_PNG, &uses), 0);
        assert_int_equal(uses, 2);
        assert_int_equal(store_image_uses(fixture->store, SHA_A, IMAGE_JPEG, &uses), 0);
        assert_int_equal(uses, 0);

        begin(fixture);
        assert_int_equal(store_delete(fixture->store, id_of(1)), 0);
        commit(fixture);
        assert_int_equal(store_image_uses(fixture->store, SHA_A, IMAGE_PNG, &uses), 0);
        assert_int_equal(uses, 1);
        assert_int_equal(store_image_uses(fixture->store, SHA_B, IMAGE_PNG, &uses), 0);
        assert_int_equal(uses, 0);
}

static void check_list(Fixture *fixture, JobStatus status, const char *after, const unsigned *numbers, size_t count) {
        Job **jobs;
        size_t n;

        assert_int_equal(store_list(fixture->store, NULL, status, after, 3, &jobs, &n), 0);
        assert_int_equal(n, count);
        for (size_t i = 0; i < n; i++) {
                assert_string_equal(jobs[i]->id, id_of(numbers[i]));
                job_free(jobs[i]);
        }
        free(jobs);
}

static void test_list_is_newest_first_in_pages(void **state) {
        Fixture *fixture = *state;

        begin(fixture);
        for (unsigned number = 1; number <= 5; number++)
                assert_int_equal(submit(fixture, number), 0);
        assert_int_equal(start(fixture, 2), 0);
        commit(fixture);
        check_list(fixture, JOB_STATUS_INVALID, NULL, (unsigned[]) { 5, 4, 3 }, 3);
        check_list(fixture, JOB_STATUS_INVALID, id_of(3), (unsigned[]) { 2, 1 }, 2);
        check_list(fixture, JOB_IN_PROGRESS, NULL, (unsigned[]) { 2 }, 1);
        check_list(fixture, JOB_QUEUED, id_of(3), (unsigned[]) { 1 }, 1);
        check_list(fixture, JOB_FAILED, NULL, NULL, 0);
}

/* ------------------------------------------------------------------ the file */

/* A statement from outside, while the store is closed. */
static void execute(Fixture *fixture, const char *text) {
        sqlite3 *database;

        assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static int ask(Fixture *fixture, const char *text) {
        sqlite3_stmt *statement;
        sqlite3 *database;
        int value;

        assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(database, text, -1, &statement, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        value = sqlite3_column_int(statement, 0);
        (void) sqlite3_finalize(statement);
        assert_int_equal(sqlite3_close(database), SQLITE_OK);
        return value;
}

static void test_new_file_is_brought_to_the_current_version(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        fixture->store = store_free(fixture->store);
        assert_int_equal(ask(fixture, "PRAGMA user_version"), store_version);
        assert_int_equal(ask(fixture, "PRAGMA application_id"), STORE_APPLICATION_ID);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM job"), 0);
}

/* What a client asked an alias for stays beside what it became. */
static void test_what_an_alias_was_asked_for_is_kept(void **state) {
        Fixture *fixture = *state;
        Job submitted = {
                .model = (char *) "theirs",
                .response_format = (char *) "url",
                .request = (char *) "{\"prompt\":\"a\",\"model\":\"theirs\"}",
                .asked = (char *) "{\"model\":\"old\"}",
                .created_at = 1,
        };
        _cleanup_(job_freep) Job *plain = NULL, *job = NULL;

        (void) strcpy(submitted.id, id_of(2));
        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        assert_int_equal(store_submit(fixture->store, &submitted, NULL, NULL), 0);
        commit(fixture);
        plain = get(fixture, 1);
        assert_null(plain->asked);
        job = get(fixture, 2);
        assert_string_equal(job->asked, "{\"model\":\"old\"}");
        assert_string_equal(job->model, "theirs");
}

/* A crash in the first start: the file says whose it is, and nothing else. */
static void test_begun_file_is_brought_on(void **state) {
        Fixture *fixture = *state;
        char text[64];

        (void) snprintf(text, sizeof(text), "PRAGMA application_id = %d", STORE_APPLICATION_ID);
        execute(fixture, text);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        complete(fixture, 1, SHA_A, NULL);
}

/* As version 1 left it: its jobs have no key, and there are none. */
static void test_first_version_is_brought_on(void **state) {
        Fixture *fixture = *state;
        ClientKey key = { .id = "0123456789abcdef", .name = "a", .created_at = 5, .daily_budget = 7,
                          .monthly_budget = CLIENT_KEY_NO_BUDGET };
        bool any = true;
        Job *job;
        char text[256];

        execute(fixture, store_migrations[0]);
        (void) snprintf(text, sizeof(text), "PRAGMA application_id = %d; PRAGMA user_version = 1;"
                        "INSERT INTO job (id, status, model, response_format, request, created_at) "
                        "VALUES ('%s', 0, 'm', 'url', '{}', 1)", STORE_APPLICATION_ID, id_of(1));
        execute(fixture, text);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        assert_int_equal(store_get(fixture->store, id_of(1), &job), 0);
        assert_null(job->key);
        (void) job_free(job);
        assert_int_equal(store_has_keys(fixture->store, &any), 0);
        assert_false(any);

        begin(fixture);
        assert_int_equal(store_add_key(fixture->store, &key), 0);
        commit(fixture);
        memset(&key, 0, sizeof(key));
        assert_int_equal(store_get_key(fixture->store, "0123456789abcdef", &key), 0);
        assert_int_equal(key.daily_budget, 7);
        assert_int_equal(key.monthly_budget, CLIENT_KEY_NO_BUDGET);
        assert_int_equal(store_get_key(fixture->store, "0123456789abcdee", &key), STORE_NOT_FOUND);
}

static void test_newer_version_is_refused_and_left_alone(void **state) {
        Fixture *fixture = *state;
        char text[64];

        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        fixture->store = store_free(fixture->store);
        (void) snprintf(text, sizeof(text), "PRAGMA user_version = %d", store_version + 1);
        execute(fixture, text);
        assert_int_equal(store_open(&fixture->store, fixture->path), -EPROTONOSUPPORT);
        assert_null(fixture->store);
        assert_int_equal(ask(fixture, "PRAGMA user_version"), store_version + 1);
}

static void test_jobs_of_the_first_version_go_on(void **state) {
        Fixture *fixture = *state;
        char text[64];
        Job *job;

        (void) snprintf(text, sizeof(text), "PRAGMA application_id = %d; PRAGMA user_version = 1", STORE_APPLICATION_ID);
        execute(fixture, store_migrations[0]);
        execute(fixture, "INSERT INTO job (id, status, model, response_format, request, created_at) VALUES "
                         "('job_00000000000000000000000000000001', 0, 'sandbox', 'url', '{}', 1), "
                         "('job_00000000000000000000000000000002', 3, 'sandbox', 'url', '{}', 1)");
        execute(fixture, "INSERT INTO attempt (job, number, provider, outcome, started_at) VALUES (2, 1, 'box', 2, 1)");
        execute(fixture, text);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        check_waiting(fixture, "sandbox", 0, (const unsigned[]) { 1, 0 });
        job = get(fixture, 2);
        assert_int_equal(job->not_before, 0);
        assert_int_equal(job->attempts[0].retry_delay, 0);
        assert_null(job->asked);
        assert_int_equal(job->cost.reserved, 0);
        job_free(job);
}

static void test_database_of_others_is_refused_and_left_alone(void **state) {
        static const char *const others[] = {
                "CREATE TABLE job (a)",
                "PRAGMA application_id = 77",
                "PRAGMA user_version = 1",
        };
        Fixture *fixture = *state;

        for (size_t i = 0; i < ELEMENTS(others); i++) {
                execute(fixture, others[i]);
                assert_int_equal(store_open(&fixture->store, fixture->path), -EUCLEAN);
                assert_int_not_equal(ask(fixture, "PRAGMA application_id"), STORE_APPLICATION_ID);
                assert_int_equal(ask(fixture, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 0);
                assert_int_equal(unlink(fixture->path), 0);
        }
}

static void test_what_is_no_database_is_refused(void **state) {
        Fixture *fixture = *state;
        int fd = open(fixture->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        for (unsigned i = 0; i < 256; i++)
                assert_int_equal(write(fd, "this is no database at all\n", 27), 27);
        (void) close(fd);
        assert_int_equal(store_open(&fixture->store, fixture->path), -EUCLEAN);
}

static void test_folder_that_is_missing_is_an_error(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(store_open(&fixture->store, "/nonexistent/folder/db"), -EACCES);
}

static void test_second_writer_is_kept_out(void **state) {
        Fixture *fixture = *state;
        Store *second = NULL;

        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        commit(fixture);
        assert_true(store_open(&second, fixture->path) < 0);
        assert_null(second);
}

static void copy_file(Fixture *fixture, const char *suffix) {
        char command[256];

        (void) snprintf(command, sizeof(command), "cp %s/db%s %s/copy%s", fixture->folder, suffix, fixture->folder,
                        suffix);
        assert_int_equal(system(command), 0);
}

/* As after kill -9: the WAL is there and has all; what comes next does not stand on pages of it that may be lost. */
static void test_crash_loses_nothing_and_the_wal_begins_anew(void **state) {
        Fixture *fixture = *state;
        Fixture copy = {};
        char wal[112];
        struct stat st;

        complete(fixture, 1, SHA_A, NULL);
        begin(fixture);
        assert_int_equal(submit(fixture, 2), 0);
        commit(fixture);
        copy_file(fixture, "");
        copy_file(fixture, "-wal");

        (void) snprintf(copy.path, sizeof(copy.path), "%s/copy", fixture->folder);
        (void) snprintf(wal, sizeof(wal), "%s-wal", copy.path);
        assert_int_equal(stat(wal, &st), 0);
        assert_true(st.st_size > 0);
        assert_int_equal(store_open(&copy.store, copy.path), 0);
        assert_int_equal(status_of(&copy, 1), JOB_COMPLETED);
        assert_int_equal(status_of(&copy, 2), JOB_QUEUED);
        assert_int_equal(stat(wal, &st), 0);
        assert_int_equal(st.st_size, 0);
        store_free(copy.store);
}

/* ------------------------------------------------------------------ a copy */

#define COPIED_JOBS 8000  /* more than one step takes */
#define STEPS_MAX 1000

static void begin_copy(Fixture *fixture) {
        char path[112];

        (void) snprintf(path, sizeof(path), "%s/copy", fixture->folder);
        assert_int_equal(store_copy_begin(fixture->store, path), 0);
}

static void finish_copy(Fixture *fixture) {
        unsigned steps = 0;
        int r;

        while ((r = store_copy_step(fixture->store)) == STORE_COPY_MORE)
                assert_true(steps++ < STEPS_MAX);
        assert_int_equal(r, 0);
}

static void open_copy(Fixture *fixture, Fixture *copy) {
        *copy = (Fixture) {};
        (void) snprintf(copy->path, sizeof(copy->path), "%s/copy", fixture->folder);
        assert_int_equal(store_open(&copy->store, copy->path), 0);
}

static void submit_many(Fixture *fixture, unsigned from, unsigned to) {
        begin(fixture);
        for (unsigned number = from; number < to; number++)
                assert_int_equal(submit(fixture, number), 0);
        commit(fixture);
}

static void cancel(Fixture *fixture, unsigned number) {
        _cleanup_(job_freep) Job *job = get(fixture, number);

        begin(fixture);
        job->status = JOB_CANCELLED;
        assert_int_equal(store_end_queued(fixture->store, job), 0);
        commit(fixture);
}

/* Pages that are copied and pages that are not yet: both are as the store is at the last step. */
static void test_copy_has_what_was_written_while_it_was_made(void **state) {
        Fixture *fixture = *state;
        int64_t waiting;
        Fixture copy;

        submit_many(fixture, 0, COPIED_JOBS);
        begin_copy(fixture);
        assert_int_equal(store_copy_step(fixture->store), STORE_COPY_MORE);
        cancel(fixture, 0);
        cancel(fixture, COPIED_JOBS - 1);
        assert_int_equal(store_copy_step(fixture->store), STORE_COPY_MORE);
        submit_many(fixture, COPIED_JOBS, COPIED_JOBS + 10);
        finish_copy(fixture);
        cancel(fixture, 1);  /* too late */

        open_copy(fixture, &copy);
        assert_int_equal(status_of(&copy, 0), JOB_CANCELLED);
        assert_int_equal(status_of(&copy, COPIED_JOBS - 1), JOB_CANCELLED);
        assert_int_equal(status_of(&copy, COPIED_JOBS + 9), JOB_QUEUED);
        assert_int_equal(status_of(&copy, 1), JOB_QUEUED);
        assert_int_equal(store_count_waiting(copy.store, &waiting), 0);
        assert_int_equal(waiting, COPIED_JOBS + 10 - 2);
        (void) store_free(copy.store);
}

static void test_copy_waits_for_the_open_group(void **state) {
        Fixture *fixture = *state;
        Fixture copy;

        submit_many(fixture, 0, 1);
        begin_copy(fixture);
        begin(fixture);
        assert_int_equal(submit(fixture, 1), 0);
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(store_copy_step(fixture->store), STORE_COPY_MORE);
        store_group_rollback(fixture->store);
        finish_copy(fixture);
        open_copy(fixture, &copy);
        assert_int_equal(status_of(&copy, 0), JOB_QUEUED);
        assert_int_equal(status_of(&copy, 1), JOB_STATUS_INVALID);
        (void) store_free(copy.store);
}

static void test_copy_that_was_given_up_is_none(void **state) {
        Fixture *fixture = *state;

        submit_many(fixture, 0, COPIED_JOBS);
        assert_int_equal(store_copy_step(fixture->store), -ECANCELED);
        begin_copy(fixture);
        assert_int_equal(store_copy_step(fixture->store), STORE_COPY_MORE);
        store_copy_end(fixture->store);
        assert_int_equal(store_copy_step(fixture->store), -ECANCELED);
        begin_copy(fixture);
        finish_copy(fixture);
        assert_int_equal(store_copy_step(fixture->store), -ECANCELED);
}

/* Freeing the store gives it up as well. */
static void test_store_is_freed_in_the_midst_of_a_copy(void **state) {
        Fixture *fixture = *state;

        submit_many(fixture, 0, COPIED_JOBS);
        begin_copy(fixture);
        assert_int_equal(store_copy_step(fixture->store), STORE_COPY_MORE);
        fixture->store = store_free(fixture->store);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        assert_int_equal(status_of(fixture, COPIED_JOBS - 1), JOB_QUEUED);
}

static void test_copy_to_a_folder_that_is_missing_is_an_error(void **state) {
        Fixture *fixture = *state;

        assert_true(store_copy_begin(fixture->store, "/nonexistent/copy") < 0);
        assert_int_equal(store_copy_step(fixture->store), -ECANCELED);
        submit_many(fixture, 0, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
#define FILE_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_folder, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(submitted_job_is_read_as_it_was),
                TEST(same_id_is_the_same_job),
                TEST(idempotency_key_is_one_job),
                TEST(idempotency_key_goes_with_its_job),
                TEST(rolled_back_group_leaves_nothing),
                TEST(waiting_jobs_come_in_order_of_acceptance),
                TEST(parties_are_apart_and_have_priorities_of_their_own),
                TEST(models_are_told_once_however_many_wait),
                TEST(a_look_costs_the_same_however_many_wait),
                TEST(retries_come_first_and_in_the_order_of_their_times),
                TEST(retry_is_read_as_it_was),
                TEST(a_start_ends_the_waiting_for_a_time),
                TEST(oldest_retry_is_that_which_began_first),
                TEST(release_forgets_the_time),
                TEST(job_is_started_once),
                TEST(completed_job_keeps_all_it_was_given),
                TEST(attempt_ends_once),
                TEST(late_end_of_an_attempt_does_not_end_the_next),
                TEST(failure_is_read_as_it_was),
                TEST(orphans_are_those_of_other_leases),
                TEST(only_a_queued_job_is_cancelled),
                TEST(only_an_ended_job_is_deleted),
                TEST(image_is_used_until_its_last_job_goes),
                TEST(list_is_newest_first_in_pages),
                TEST(what_an_alias_was_asked_for_is_kept),
                FILE_TEST(new_file_is_brought_to_the_current_version),
                FILE_TEST(jobs_of_the_first_version_go_on),
                FILE_TEST(begun_file_is_brought_on),
                FILE_TEST(first_version_is_brought_on),
                FILE_TEST(newer_version_is_refused_and_left_alone),
                FILE_TEST(database_of_others_is_refused_and_left_alone),
                FILE_TEST(what_is_no_database_is_refused),
                FILE_TEST(folder_that_is_missing_is_an_error),
                TEST(second_writer_is_kept_out),
                TEST(crash_loses_nothing_and_the_wal_begins_anew),
                TEST(copy_has_what_was_written_while_it_was_made),
                TEST(copy_waits_for_the_open_group),
                TEST(copy_that_was_given_up_is_none),
                TEST(store_is_freed_in_the_midst_of_a_copy),
                TEST(copy_to_a_folder_that_is_missing_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
