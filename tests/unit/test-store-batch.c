/* Batches in the store: all of one or nothing, what its jobs make of it, and its cancellation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "store/store-batch.h"
#include "store/store-ledger.h"

#define LEASE "00000000000000000000000000000001"
#define NOW 1000000
#define DAY 20261123
#define PRICE 40000

typedef struct Fixture {
        char folder[64], path[96];
        Store *store;
        unsigned job;               /* the last one's number */
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        (void) strcpy(fixture->folder, "/tmp/atelier-store-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        (void) snprintf(fixture->path, sizeof(fixture->path), "%s/db", fixture->folder);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        assert_int_equal(store_group_begin(fixture->store), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        char path[sizeof(fixture->path) + 8];

        (void) store_free(fixture->store);
        (void) unlink(fixture->path);
        (void) snprintf(path, sizeof(path), "%s-wal", fixture->path);
        (void) unlink(path);
        assert_int_equal(rmdir(fixture->folder), 0);
        free(fixture);
        return 0;
}

static const char *job_id(unsigned number) {
        static char id[JOB_ID_MAX];

        (void) snprintf(id, sizeof(id), JOB_ID_PREFIX "%032x", number);
        return id;
}

static const char *batch_id(unsigned number) {
        static char id[BATCH_ID_MAX];

        (void) snprintf(id, sizeof(id), BATCH_ID_PREFIX "%032x", number);
        return id;
}

static Job *new_job(Fixture *fixture, const char *key) {
        Job *job = calloc(1, sizeof(*job));

        assert_non_null(job);
        (void) strcpy(job->id, job_id(++fixture->job));
        job->model = strdup("m");
        job->response_format = strdup("url");
        job->request = strdup("{\"prompt\":\"a\"}");
        job->key = key ? strdup(key) : NULL;
        job->created_at = NOW;
        job->cost_before = (JobCost) { .reserved = PRICE, .day = DAY };
        return job;
}

/* What a submission is to be like beside its number and its count. */
typedef struct Terms {
        const char *key, *idempotency, *body;
        micros_t budget;             /* 0: none */
} Terms;

/* Submits a batch of so many; *ret_id is the one that it became. */
static int submit_on(Fixture *fixture, unsigned number, size_t count, const Terms *terms, size_t *ret_fits,
                     char ret_id[static BATCH_ID_MAX]) {
        _cleanup_(batch_freep) Batch *batch = calloc(1, sizeof(*batch));
        BatchItem *items = calloc(count, sizeof(*items));
        int r;

        assert_non_null(batch);
        assert_non_null(items);
        (void) strcpy(batch->id, batch_id(number));
        batch->key = terms->key ? strdup(terms->key) : NULL;
        batch->idempotency.key = terms->idempotency ? strdup(terms->idempotency) : NULL;
        (void) snprintf(batch->idempotency.request, sizeof(batch->idempotency.request), "%s", terms->body ?: "");
        batch->created_at = NOW;
        batch->n_items = (int64_t) count;
        for (size_t i = 0; i < count; i++) {
                items[i].number = (int64_t) i + 1;
                items[i].job = new_job(fixture, terms->key);
                if (terms->budget > 0) {
                        items[i].budget.limits[0] = (BudgetLimit) { BUDGET_ALL, "", DAY, terms->budget, INT64_MAX };
                        items[i].budget.n = 1;
                }
        }
        r = store_submit_batch(fixture->store, batch, items, count, ret_fits);
        (void) strcpy(ret_id, batch->id);
        batch_items_free(items, count);
        return r;
}

static int submit(Fixture *fixture, unsigned number, size_t count) {
        char id[BATCH_ID_MAX];
        size_t fits;

        return submit_on(fixture, number, count, &(Terms) {}, &fits, id);
}

static Batch *get(Fixture *fixture, unsigned number) {
        Batch *batch;

        assert_int_equal(store_get_batch(fixture->store, batch_id(number), &batch), 0);
        return batch;
}

static void assert_status(Fixture *fixture, unsigned number, const char *status) {
        _cleanup_(batch_freep) Batch *batch = get(fixture, number);

        assert_string_equal(batch_status(batch), status);
}

static void assert_reserved(Fixture *fixture, micros_t reserved) {
        LedgerAmounts amounts;

        assert_int_equal(store_ledger_total(fixture->store, BUDGET_ALL, BUDGET_PERIOD_EVER, "", &amounts), 0);
        assert_int_equal(amounts.reserved, reserved);
}

static Job *start(Fixture *fixture, unsigned number) {
        Job *job;

        assert_int_equal(store_start_attempt(fixture->store, job_id(number), "p", LEASE, NOW + 1, &job), 0);
        return job;
}

static JobStatus end(Fixture *fixture, Job *job, JobStatus status) {
        Attempt *attempt = &job->attempts[job->n_attempts - 1];

        job->status = status;
        attempt->outcome = status == JOB_COMPLETED ? ATTEMPT_COMPLETED : ATTEMPT_REFUSED;
        attempt->ended_at = NOW + 2;
        attempt->cost = status == JOB_COMPLETED ? PRICE : 0;
        if (job_status_ended(status))
                job->ended_at = NOW + 2;
        else
                job->not_before = NOW + 10;
        assert_int_equal(store_end_attempt(fixture->store, job, NULL, NULL), 0);
        status = job->status;
        (void) job_free(job);
        return status;
}

static void test_batch_is_what_its_jobs_are(void **state) {
        _cleanup_(batch_freep) Batch *batch = NULL;

        assert_int_equal(submit(*state, 1, 3), 0);
        assert_reserved(*state, 3 * PRICE);
        assert_status(*state, 1, "queued");
        (void) end(*state, start(*state, 2), JOB_FAILED);
        assert_status(*state, 1, "in_progress");
        (void) end(*state, start(*state, 1), JOB_COMPLETED);
        (void) end(*state, start(*state, 3), JOB_COMPLETED);
        batch = get(*state, 1);
        assert_string_equal(batch_status(batch), "completed");
        assert_int_equal(batch->counts[JOB_COMPLETED], 2);
        assert_int_equal(batch->counts[JOB_FAILED], 1);
        assert_int_equal(batch->cost.charged, 2 * PRICE);
        assert_int_equal(batch->cost.reserved, 0);
        assert_int_equal(batch->started_at, NOW + 1);
        assert_int_equal(batch->ended_at, NOW + 2);
}

static void test_batch_of_which_nothing_came_has_failed(void **state) {
        assert_int_equal(submit(*state, 1, 1), 0);
        (void) end(*state, start(*state, 1), JOB_FAILED);
        assert_status(*state, 1, "failed");
}

static void test_over_budget_nothing_is_stored(void **state) {
        char id[BATCH_ID_MAX];
        Batch *batch;
        Job *job;
        size_t fits;

        assert_int_equal(submit_on(*state, 1, 4, &(Terms) { .budget = 3 * PRICE }, &fits, id), STORE_OVER_BUDGET);
        assert_int_equal(fits, 3);
        assert_int_equal(store_get_batch(((Fixture *) *state)->store, batch_id(1), &batch), STORE_NOT_FOUND);
        assert_int_equal(store_get(((Fixture *) *state)->store, job_id(1), &job), STORE_NOT_FOUND);
        assert_reserved(*state, 0);
        assert_int_equal(submit_on(*state, 2, 3, &(Terms) { .budget = 3 * PRICE }, &fits, id), 0);
        assert_reserved(*state, 3 * PRICE);
}

static void test_same_request_is_the_same_batch(void **state) {
        const Terms first = { .key = "a", .idempotency = "k", .body = "x" };
        char id[BATCH_ID_MAX];
        size_t fits;

        assert_int_equal(submit_on(*state, 1, 2, &first, &fits, id), 0);
        assert_int_equal(submit_on(*state, 1, 2, &first, &fits, id), STORE_EXISTS);
        assert_int_equal(submit_on(*state, 2, 2, &first, &fits, id), STORE_EXISTS);
        assert_string_equal(id, batch_id(1));
        assert_int_equal(submit_on(*state, 3, 2, &(Terms) { .key = "a", .idempotency = "k", .body = "y" }, &fits, id),
                         STORE_KEY_REUSED);
        assert_int_equal(submit_on(*state, 4, 2, &(Terms) { .key = "b", .idempotency = "k", .body = "y" }, &fits, id),
                         0);
        assert_int_equal(submit_on(*state, 5, 2, &(Terms) { .idempotency = "k", .body = "z" }, &fits, id), 0);
        assert_reserved(*state, 6 * PRICE);
}

static void test_cancelled_batch_is_not_tried_again(void **state) {
        Fixture *fixture = *state;
        _cleanup_(batch_freep) Batch *batch = NULL;
        _cleanup_(job_freep) Job *job = NULL;
        Job *running;
        int64_t number;

        assert_int_equal(submit(fixture, 1, 2), 0);
        running = start(fixture, 1);
        batch = get(fixture, 1);
        assert_int_equal(store_next_waiting_item(fixture->store, batch, INT64_MAX, &number, &job), 0);
        assert_int_equal(number, 2);
        job->status = JOB_CANCELLED;
        job->ended_at = NOW;
        assert_int_equal(store_end_queued(fixture->store, job), 0);
        assert_int_equal(store_cancel_batch(fixture->store, batch, NOW + 5), 0);
        assert_int_equal(store_cancel_batch(fixture->store, batch, NOW + 6), 0);
        assert_status(fixture, 1, "cancelling");
        assert_int_equal(end(fixture, running, JOB_QUEUED), JOB_CANCELLED);
        assert_status(fixture, 1, "cancelled");
        assert_reserved(fixture, 0);
        batch = batch_free(batch);
        batch = get(fixture, 1);
        assert_int_equal(batch->cancelled_at, NOW + 5);
}

static void test_other_jobs_are_tried_again(void **state) {
        Job *alone = new_job(*state, NULL);

        assert_int_equal(store_submit(((Fixture *) *state)->store, alone, NULL, NULL), 0);
        (void) job_free(alone);
        assert_int_equal(submit(*state, 1, 1), 0);
        assert_int_equal(end(*state, start(*state, 1), JOB_QUEUED), JOB_QUEUED);
        assert_int_equal(end(*state, start(*state, 2), JOB_QUEUED), JOB_QUEUED);
}

static void test_items_come_in_order_and_deleted_ones_stay(void **state) {
        Fixture *fixture = *state;
        _cleanup_(batch_freep) Batch *batch = NULL;
        BatchItem *items;
        size_t count;

        assert_int_equal(submit(fixture, 1, 3), 0);
        (void) end(fixture, start(fixture, 2), JOB_COMPLETED);
        assert_int_equal(store_delete(fixture->store, job_id(2)), 0);
        batch = get(fixture, 1);
        assert_int_equal(store_list_batch_items(fixture->store, batch, 1, 10, &items, &count), 0);
        assert_int_equal(count, 2);
        assert_int_equal(items[0].number, 2);
        assert_null(items[0].job);
        assert_int_equal(items[1].number, 3);
        assert_string_equal(items[1].job->id, job_id(3));
        batch_items_free(items, count);
        assert_int_equal(batch->counts[JOB_COMPLETED], 0);
        assert_int_equal(batch->counts[JOB_QUEUED], 2);
}

static void test_batches_of_a_key_are_listed_newest_first(void **state) {
        Fixture *fixture = *state;
        char id[BATCH_ID_MAX];
        Batch **batches;
        size_t count, fits;

        for (unsigned i = 1; i <= 4; i++)
                assert_int_equal(submit_on(fixture, i, 1, &(Terms) { .key = i % 2 ? "a" : "b" }, &fits, id), 0);
        assert_int_equal(store_list_batches(fixture->store, NULL, NULL, 3, &batches, &count), 0);
        assert_int_equal(count, 3);
        assert_string_equal(batches[0]->id, batch_id(4));
        batches_free(batches, count);
        assert_int_equal(store_list_batches(fixture->store, "a", batch_id(3), 3, &batches, &count), 0);
        assert_int_equal(count, 1);
        assert_string_equal(batches[0]->id, batch_id(1));
        batches_free(batches, count);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_batch_is_what_its_jobs_are, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_batch_of_which_nothing_came_has_failed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_over_budget_nothing_is_stored, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_same_request_is_the_same_batch, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cancelled_batch_is_not_tried_again, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_other_jobs_are_tried_again, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_items_come_in_order_and_deleted_ones_stay, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_batches_of_a_key_are_listed_newest_first, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
