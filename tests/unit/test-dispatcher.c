/* The dispatcher with all of the worker around it: what a dead worker has left, and attempts on a store that fails. */
#include "worker-fixture.h"

#define PAID_CONFIGURATION \
        "providers = ( { name = \"box\"; kind = \"sandbox\"; } );" SANDBOX_MODEL

/* ------------------------------------------------------------------ recovery */

/* As a worker leaves it that dies with `attempts` made and the last of them under way. */
static void leave_in_progress(WorkerFixture *fixture, unsigned number, unsigned attempts) {
        _cleanup_free_ char *folder = text_format("%s/current", fixture->state);
        Job submission = {
                .model = (char *) "m",
                .response_format = (char *) "b64_json",
                .request = (char *) "{\"prompt\": \"left\", \"size\": \"64x64\"}",
                .created_at = 1,
        };
        _cleanup_(store_freep) Store *store = NULL;

        (void) mkdir(folder, 0700);
        assert_int_equal(store_open(&store, fixture->database), 0);
        assert_int_equal(store_group_begin(store), 0);
        (void) strcpy(submission.id, job_id(number));
        assert_int_equal(store_submit(store, &submission, NULL, NULL), 0);
        for (unsigned attempt = 1; attempt <= attempts; attempt++) {
                _cleanup_(job_freep) Job *job = NULL;

                assert_int_equal(store_start_attempt(store, job_id(number), "box", "the dead", 2, &job), 0);
                if (attempt == attempts)
                        break;
                job->attempts[attempt - 1].outcome = ATTEMPT_UNKNOWN;
                job->status = JOB_QUEUED;
                assert_int_equal(store_end_attempt(store, job, NULL, NULL), 0);
        }
        assert_int_equal(store_group_commit(store), 0);
}

static void test_interrupted_attempt_is_made_again_where_it_may(void **state) {
        WorkerFixture *fixture = *state;
        Job *job;

        leave_in_progress(fixture, 1, 1);
        worker_start(fixture);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_COMPLETED);
        job = stored_job(fixture, 1);
        assert_int_equal(job->n_attempts, 2);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_UNKNOWN);
        assert_non_null(job->attempts[0].cause);
        assert_int_equal(job->attempts[1].outcome, ATTEMPT_COMPLETED);
        assert_int_equal(job->n_images, 1);
        (void) job_free(job);
}

static void test_interrupted_attempt_is_unknown_elsewhere(void **state) {
        WorkerFixture *fixture = *state;
        Job *job;

        worker_configure(fixture, PAID_CONFIGURATION);
        leave_in_progress(fixture, 1, 1);
        worker_start(fixture);
        job = stored_job(fixture, 1);
        assert_int_equal(job->status, JOB_FAILED);
        assert_string_equal(job->failure.code, "provider_outcome_unknown");
        assert_int_equal(job->n_attempts, 1);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_UNKNOWN);
        assert_int_equal(dispatcher_waiting(fixture->manager->dispatcher), 0);
        (void) job_free(job);
}

static void check_bound(WorkerFixture *fixture, unsigned attempts, JobStatus status) {
        worker_configure(fixture, "worker = { interruptions_max = 5; };" SLOW_CONFIGURATION);
        leave_in_progress(fixture, 1, attempts);
        worker_start(fixture);
        assert_int_equal(stored_status(fixture, 1), status);
}

static void test_interruptions_below_the_bound(void **state) {
        check_bound(*state, 4, JOB_QUEUED);
}

static void test_interruptions_at_the_bound(void **state) {
        check_bound(*state, 5, JOB_FAILED);
}

static void test_attempt_at_a_provider_that_is_gone_is_unknown(void **state) {
        WorkerFixture *fixture = *state;

        worker_configure(fixture, "providers = ( { name = \"other\"; kind = \"sandbox\"; retry_unknown = true; } );");
        leave_in_progress(fixture, 1, 1);
        worker_start(fixture);
        assert_int_equal(stored_status(fixture, 1), JOB_FAILED);
}

static void test_waiting_jobs_are_counted_and_run_at_start(void **state) {
        WorkerFixture *fixture = *state;

        worker_configure(fixture, SLOW_CONFIGURATION);
        worker_start(fixture);
        dispatcher_set_paused(fixture->manager->dispatcher, true);
        for (unsigned number = 1; number <= 3; number++)
                (void) wait_for(worker_submit(fixture, number, "a", false));
        worker_stop(fixture);

        worker_configure(fixture, SANDBOX_CONFIGURATION);
        worker_start(fixture);
        assert_int_equal(dispatcher_waiting(fixture->manager->dispatcher), 3);
        WAIT_UNTIL(fixture, stored_waiting(fixture) == 0 && dispatcher_running(fixture->manager->dispatcher) == 0);
        for (unsigned number = 1; number <= 3; number++)
                assert_int_equal(stored_status(fixture, number), JOB_COMPLETED);
        assert_int_equal(dispatcher_waiting(fixture->manager->dispatcher), 0);
}

#define ONE_AT_A_TIME \
        "worker = { concurrency = 1; };" \
        "providers = ( { name = \"box\"; kind = \"sandbox\"; } );" \
        "models = ( { name = \"m\"; provider = \"box\"; free_sizes = true; edge_min = 64; }," \
        "           { name = \"n\"; provider = \"box\"; free_sizes = true; edge_min = 64; } );"

static void leave_waiting(WorkerFixture *fixture, unsigned number, const char *model, const char *key,
                          JobPriority priority) {
        _cleanup_free_ char *folder = text_format("%s/current", fixture->state);
        Job job = {
                .model = (char *) model,
                .response_format = (char *) "b64_json",
                .request = (char *) "{\"prompt\": \"left\", \"size\": \"64x64\"}",
                .created_at = 1,
                .key = (char *) key,
                .priority = priority,
        };
        _cleanup_(store_freep) Store *store = NULL;

        (void) mkdir(folder, 0700);
        assert_int_equal(store_open(&store, fixture->database), 0);
        assert_int_equal(store_group_begin(store), 0);
        (void) strcpy(job.id, job_id(number));
        assert_int_equal(store_submit(store, &job, NULL, NULL), 0);
        assert_int_equal(store_group_commit(store), 0);
}

/* One after the other, in the order of these numbers up to 0. */
static void check_order(WorkerFixture *fixture, const unsigned *numbers) {
        usec_t before = 0;

        worker_configure(fixture, ONE_AT_A_TIME);
        worker_start(fixture);
        WAIT_UNTIL(fixture, stored_waiting(fixture) == 0 && dispatcher_running(fixture->manager->dispatcher) == 0);
        for (; *numbers; numbers++) {
                _cleanup_(job_freep) Job *job = stored_job(fixture, *numbers);

                assert_int_equal(job->status, JOB_COMPLETED);
                assert_true(job->started_at > before);
                before = job->started_at;
        }
}

static void test_clients_take_turns(void **state) {
        WorkerFixture *fixture = *state;

        for (unsigned number = 1; number <= 5; number++)
                leave_waiting(fixture, number, "m", NULL, JOB_PRIORITY_NORMAL);
        leave_waiting(fixture, 6, "m", "a", JOB_PRIORITY_NORMAL);
        leave_waiting(fixture, 7, "m", "a", JOB_PRIORITY_NORMAL);
        leave_waiting(fixture, 8, "m", "b", JOB_PRIORITY_LOW);
        check_order(fixture, (const unsigned[]) { 6, 8, 1, 7, 2, 3, 4, 5, 0 });
}

static void test_models_take_turns(void **state) {
        WorkerFixture *fixture = *state;

        for (unsigned number = 1; number <= 4; number++)
                leave_waiting(fixture, number, "m", NULL, JOB_PRIORITY_NORMAL);
        leave_waiting(fixture, 5, "n", NULL, JOB_PRIORITY_NORMAL);
        leave_waiting(fixture, 6, "n", NULL, JOB_PRIORITY_NORMAL);
        check_order(fixture, (const unsigned[]) { 1, 5, 2, 6, 3, 4, 0 });
}

/* A client's priorities are among its own jobs: nobody else waits longer for them. */
static void test_priority_is_among_the_clients_own(void **state) {
        WorkerFixture *fixture = *state;

        leave_waiting(fixture, 1, "m", "a", JOB_PRIORITY_LOW);
        leave_waiting(fixture, 2, "m", "a", JOB_PRIORITY_NORMAL);
        leave_waiting(fixture, 3, "m", "a", JOB_PRIORITY_HIGH);
        leave_waiting(fixture, 4, "m", "a", JOB_PRIORITY_HIGH);
        leave_waiting(fixture, 5, "m", "b", JOB_PRIORITY_LOW);
        check_order(fixture, (const unsigned[]) { 3, 5, 4, 2, 1, 0 });
}

static void test_job_whose_model_is_gone_fails(void **state) {
        WorkerFixture *fixture = *state;
        Job *job;

        worker_start(fixture);
        dispatcher_set_paused(fixture->manager->dispatcher, true);
        (void) wait_for(worker_submit(fixture, 1, "a", false));
        worker_stop(fixture);

        worker_configure(fixture, "providers = ( { name = \"box\"; kind = \"sandbox\"; } );");
        worker_start(fixture);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_FAILED);
        WAIT_UNTIL(fixture, dispatcher_waiting(fixture->manager->dispatcher) == 0);
        job = stored_job(fixture, 1);
        assert_string_equal(job->failure.code, "model_unavailable");
        assert_int_equal(job->n_attempts, 0);
        (void) job_free(job);
}

/* ------------------------------------------------------------------ a store that fails */

/* The commit, and the sync of the closing: what was written is found when the store is opened again. */
#define LANDING 3

static void warm_up(WorkerFixture *fixture) {
        assert_string_equal(told_status(wait_for(worker_submit(fixture, 0xff, "warm", true))), "completed");
        disk.wal_syncs = 0;
}

/* Runs until so many syncs of the WAL have been made. */
static void run_to_sync(WorkerFixture *fixture, unsigned syncs) {
        WAIT_UNTIL(fixture, disk.wal_syncs >= syncs);
}

static void test_job_is_accepted_and_claimed_by_one_sync(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call;

        worker_configure(fixture, SLOW_CONFIGURATION);
        worker_start(fixture);
        call = worker_submit(fixture, 0xff, "first", true);
        WAIT_UNTIL(fixture, stored_status(fixture, 0xff) == JOB_IN_PROGRESS && call->replies == 2);
        disk.wal_syncs = 0;

        call = worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, call->replies == 2);
        assert_string_equal(told_status(call), "in_progress");
        assert_int_equal(disk.wal_syncs, 1);
}

static void test_refused_submission_is_cancelled_though_it_was_claimed(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call;
        Job *job;

        worker_start(fixture);
        warm_up(fixture);
        disk.failing_syncs = LANDING;
        call = wait_for(worker_submit(fixture, 1, "a", true));
        assert_string_equal(call->error, "io.atelier.Queue.Refused");
        assert_int_equal(json_get_integer(call->reply, "status", 0), 503);
        assert_string_equal(json_get_string(call->reply, "code"), "storage_unavailable");

        job = stored_job(fixture, 1);
        assert_int_equal(job->status, JOB_CANCELLED);
        assert_int_equal(job->n_attempts, 1);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_UNSENT);
        (void) job_free(job);
        assert_int_equal(dispatcher_waiting(fixture->manager->dispatcher), 0);
        assert_int_equal(dispatcher_running(fixture->manager->dispatcher), 0);
}

/* Accepted before, claimed by the commit that fails: it must not wait for a holder that there is not. */
static void check_failed_claim(WorkerFixture *fixture, unsigned failing_syncs, unsigned attempts) {
        TestCall *call;
        Job *job;

        worker_start(fixture);
        warm_up(fixture);
        dispatcher_set_paused(fixture->manager->dispatcher, true);
        call = worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, call->replies == 1);
        disk.failing_syncs = failing_syncs;
        dispatcher_set_paused(fixture->manager->dispatcher, false);
        assert_string_equal(told_status(wait_for(call)), "completed");

        job = stored_job(fixture, 1);
        assert_int_equal(job->n_attempts, attempts);
        assert_int_equal(job->attempts[attempts - 1].outcome, ATTEMPT_COMPLETED);
        if (attempts > 1)
                assert_int_equal(job->attempts[0].outcome, ATTEMPT_UNSENT);
        (void) job_free(job);
        assert_int_equal(dispatcher_waiting(fixture->manager->dispatcher), 0);
}

static void test_claim_that_reached_the_disk_is_taken_back(void **state) {
        check_failed_claim(*state, LANDING, 2);
}

static void test_claim_that_did_not_is_made_again(void **state) {
        check_failed_claim(*state, 1, 1);
}

static void check_failed_end(WorkerFixture *fixture, unsigned failing_syncs) {
        TestCall *call;
        Job *job;

        worker_start(fixture);
        warm_up(fixture);
        call = worker_submit(fixture, 1, "a", true);
        run_to_sync(fixture, 1);
        disk.failing_syncs = failing_syncs;
        call = wait_for(call);
        assert_string_equal(told_status(call), "completed");
        assert_int_equal(call->n_fds, 1);
        assert_int_equal(disk.failing_syncs, 0);

        job = stored_job(fixture, 1);
        assert_int_equal(job->status, JOB_COMPLETED);
        assert_int_equal(job->n_attempts, 1);
        assert_int_equal(job->n_images, 1);
        (void) job_free(job);
        assert_int_equal(dispatcher_running(fixture->manager->dispatcher), 0);
}

static void test_end_that_reached_the_disk_stands(void **state) {
        check_failed_end(*state, LANDING);
}

static void test_end_that_did_not_is_written_again(void **state) {
        check_failed_end(*state, 1);
}

static void test_end_waits_for_room_on_the_disk(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call;

        worker_start(fixture);
        warm_up(fixture);
        call = worker_submit(fixture, 1, "a", true);
        run_to_sync(fixture, 1);
        disk.full = true;
        WAIT_UNTIL(fixture, disk.full_writes >= 2);  /* it is tried again by itself */
        assert_false(call->over);
        disk.full = false;
        assert_string_equal(told_status(wait_for(call)), "completed");
}

/* Without room there are neither claims nor a busy loop. */
static void test_full_disk_is_not_asked_all_the_time(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call;
        usec_t end;

        worker_start(fixture);
        warm_up(fixture);
        dispatcher_set_paused(fixture->manager->dispatcher, true);
        call = worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, call->replies == 1);
        disk.full = true;
        dispatcher_set_paused(fixture->manager->dispatcher, false);
        end = time_now_monotonic() + 1500 * USEC_PER_MSEC;
        WAIT_UNTIL(fixture, time_now_monotonic() > end);
        assert_in_range(disk.full_writes, 1, 3);
        disk.full = false;
        assert_string_equal(told_status(wait_for(call)), "completed");
}

/* ------------------------------------------------------------------ at the end of the process */

static void test_claim_of_the_last_turn_is_not_sent(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call;

        worker_configure(fixture, SLOW_CONFIGURATION);
        worker_start(fixture);
        call = worker_submit(fixture, 1, "a", true);
        /* Applied and not committed: its end does that. */
        WAIT_UNTIL(fixture, dispatcher_running(fixture->manager->dispatcher) == 1);
        assert_int_equal(call->replies, 0);
        worker_stop(fixture);

        worker_start(fixture);
        assert_int_equal(stored_status(fixture, 1), JOB_QUEUED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, worker_set_up, worker_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(interrupted_attempt_is_made_again_where_it_may),
                TEST(interrupted_attempt_is_unknown_elsewhere),
                TEST(interruptions_below_the_bound),
                TEST(interruptions_at_the_bound),
                TEST(attempt_at_a_provider_that_is_gone_is_unknown),
                TEST(waiting_jobs_are_counted_and_run_at_start),
                TEST(clients_take_turns),
                TEST(models_take_turns),
                TEST(priority_is_among_the_clients_own),
                TEST(job_whose_model_is_gone_fails),
                TEST(job_is_accepted_and_claimed_by_one_sync),
                TEST(refused_submission_is_cancelled_though_it_was_claimed),
                TEST(claim_that_reached_the_disk_is_taken_back),
                TEST(claim_that_did_not_is_made_again),
                TEST(end_that_reached_the_disk_stands),
                TEST(end_that_did_not_is_written_again),
                TEST(end_waits_for_room_on_the_disk),
                TEST(full_disk_is_not_asked_all_the_time),
                TEST(claim_of_the_last_turn_is_not_sent),
        };

        fault_vfs_install();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
