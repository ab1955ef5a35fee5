/* Submitting, cancelling and deleting jobs, as clients of a whole worker see it. */
#include "worker-fixture.h"

#define REFUSED "io.atelier.Queue.Refused"
#define NOT_FOUND "io.atelier.Queue.JobNotFound"
#define IN_PROGRESS "io.atelier.Queue.JobInProgress"

static int set_up(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        worker_start(*state);
        return 0;
}

static int set_up_slow(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        worker_configure(*state, SLOW_CONFIGURATION);
        worker_start(*state);
        return 0;
}

static void set_paused(WorkerFixture *fixture, bool paused) {
        dispatcher_set_paused(fixture->manager->dispatcher, paused);
}

/* What the dispatcher believes is what is there. */
static void check_waiting(WorkerFixture *fixture, int64_t waiting) {
        assert_int_equal(stored_waiting(fixture), waiting);
        assert_int_equal(dispatcher_waiting(fixture->manager->dispatcher), waiting);
}

static void complete(WorkerFixture *fixture, unsigned number, const char *prompt) {
        assert_string_equal(told_status(wait_for(worker_submit(fixture, number, prompt, true))), "completed");
}

/* ------------------------------------------------------------------ submitting */

static void test_watching_client_is_told_each_state(void **state) {
        TestCall *call = wait_for(worker_submit(*state, 1, "a", true));

        assert_int_equal(call->replies, 3);
        assert_string_equal(told_status(call), "completed");
        assert_int_equal(call->n_fds, 1);
}

static void test_client_that_does_not_wait_is_told_once(void **state) {
        TestCall *call = wait_for(worker_submit(*state, 1, "a", false));

        assert_int_equal(call->replies, 1);
        assert_string_equal(told_status(call), "queued");
        WAIT_UNTIL(call->fixture, stored_status(call->fixture, 1) == JOB_COMPLETED);
}

static void test_same_request_id_is_the_same_job(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *first = worker_submit(fixture, 1, "a", true), *second = worker_submit(fixture, 1, "a", true), *third;
        Job *job;

        assert_string_equal(told_status(wait_for(first)), "completed");
        assert_string_equal(told_status(wait_for(second)), "completed");
        third = wait_for(worker_submit(fixture, 1, "a", true));
        assert_string_equal(told_status(third), "completed");
        assert_int_equal(third->n_fds, 1);
        job = stored_job(fixture, 1);
        assert_int_equal(job->n_attempts, 1);
        (void) job_free(job);
        check_waiting(fixture, 0);
}

/* The first is accepted; the second's commit fails, and must not take the first's job with it. */
static void test_refused_repetition_leaves_the_job_alone(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *other, *again;

        complete(fixture, 9, "warm");
        set_paused(fixture, true);
        (void) wait_for(worker_submit(fixture, 1, "a", false));
        other = worker_submit(fixture, 2, "b", false);
        again = worker_submit(fixture, 1, "a", false);
        disk.failing_syncs = 3;
        assert_string_equal(wait_for(other)->error, REFUSED);
        (void) wait_for(again);
        assert_int_equal(stored_status(fixture, 2), JOB_CANCELLED);
        assert_int_equal(stored_status(fixture, 1), JOB_QUEUED);
        check_waiting(fixture, 1);
}

static void test_client_that_goes_before_the_commit_leaves_its_job(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call = worker_submit(fixture, 1, "a", true);

        WAIT_UNTIL(fixture, dispatcher_running(fixture->manager->dispatcher) == 1);
        assert_int_equal(call->replies, 0);
        call->client = varlink_client_free(call->client);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_COMPLETED);
        check_waiting(fixture, 0);
}

static void test_client_that_goes_while_it_waits_leaves_its_job(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *gone, *stays;

        set_paused(fixture, true);
        gone = worker_submit(fixture, 1, "a", true);
        stays = worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, gone->replies == 1 && stays->replies == 1);
        gone->client = varlink_client_free(gone->client);
        set_paused(fixture, false);
        assert_string_equal(told_status(wait_for(stays)), "completed");
}

/* It has closed its end, and nobody has looked yet. */
static void test_client_that_has_gone_unseen_is_forgotten(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *gone, *stays;
        Job *job;

        set_paused(fixture, true);
        gone = worker_submit(fixture, 1, "a", true);
        stays = worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, gone->replies == 1 && stays->replies == 1);
        gone->client = varlink_client_free(gone->client);
        job = stored_job(fixture, 1);
        for (unsigned i = 0; i < 3; i++)
                watchers_notify(fixture->manager->watchers, job);
        (void) job_free(job);
        WAIT_UNTIL(fixture, stays->replies == 4);
        set_paused(fixture, false);
        assert_string_equal(told_status(wait_for(stays)), "completed");
}

static void check_room(WorkerFixture *fixture) {
        TestCall *calls[4];

        for (unsigned i = 0; i < ELEMENTS(calls); i++)
                calls[i] = worker_submit(fixture, i, "a", false);
        for (unsigned i = 0; i < 3; i++)
                assert_string_equal(told_status(wait_for(calls[i])), "queued");
        assert_string_equal(wait_for(calls[3])->error, REFUSED);
        assert_string_equal(json_get_string(calls[3]->reply, "code"), "queue_full");
        check_waiting(fixture, 3);
}

/* All in one turn: those that are not committed yet count as well. */
static void test_queue_takes_as_many_as_it_may_hold(void **state) {
        WorkerFixture *fixture = *state;

        worker_configure(fixture, "worker = { queue_max = 3; };" SANDBOX_CONFIGURATION);
        worker_start(fixture);
        set_paused(fixture, true);
        check_room(fixture);
}

static void test_sixty_four_submitters_share_syncs(void **state) {
        enum { SUBMITTERS = 64 };
        WorkerFixture *fixture = *state;
        TestCall *calls[SUBMITTERS];

        set_paused(fixture, true);
        (void) wait_for(worker_submit(fixture, 0xff, "first", false));
        disk.wal_syncs = 0;
        disk.sync_delay_usec = 5000;
        for (unsigned i = 0; i < SUBMITTERS; i++)
                calls[i] = worker_submit(fixture, i, i == 7 ? "" : "a", false);
        for (unsigned i = 0; i < SUBMITTERS; i++)
                if (i == 7)
                        assert_string_equal(wait_for(calls[i])->error, REFUSED);
                else
                        assert_string_equal(told_status(wait_for(calls[i])), "queued");
        assert_in_range(disk.wal_syncs, 1, SUBMITTERS / 32);
        check_waiting(fixture, SUBMITTERS);  /* one bad, one first */
}

static void test_watchers_of_one_job_are_limited(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *calls[WATCHERS_PER_JOB_MAX];

        for (unsigned i = 0; i < WATCHERS_PER_JOB_MAX; i++)
                calls[i] = worker_submit(fixture, 1, "a", true);
        for (unsigned i = 0; i < WATCHERS_PER_JOB_MAX; i++)
                WAIT_UNTIL(fixture, calls[i]->replies >= 1);
        assert_string_equal(wait_for(worker_submit(fixture, 1, "a", true))->error, "io.systemd.System");
        assert_false(calls[0]->over);
}

/* ------------------------------------------------------------------ cancelling */

static void test_cancelled_job_is_told_to_who_waits_and_never_runs(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *waiting, *cancelling;
        Job *job;

        set_paused(fixture, true);
        waiting = worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, waiting->replies == 1);
        cancelling = wait_for(worker_cancel(fixture, 1, false));
        assert_string_equal(told_status(cancelling), "cancelled");
        assert_string_equal(told_status(wait_for(waiting)), "cancelled");
        check_waiting(fixture, 0);

        set_paused(fixture, false);
        complete(fixture, 2, "b");
        job = stored_job(fixture, 1);
        assert_int_equal(job->status, JOB_CANCELLED);
        assert_int_equal(job->n_attempts, 0);
        (void) job_free(job);
}

static void test_job_in_progress_is_not_cancelled(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *waiting = worker_submit(fixture, 1, "a", true);

        WAIT_UNTIL(fixture, waiting->replies == 2);
        assert_string_equal(wait_for(worker_cancel(fixture, 1, false))->error, IN_PROGRESS);
        assert_string_equal(wait_for(worker_cancel(fixture, 1, true))->error, IN_PROGRESS);
        assert_string_equal(wait_for(worker_cancel(fixture, 2, false))->error, NOT_FOUND);
}

/* In one turn: whichever comes first wins, and the count is right. */
static void test_cancel_and_claim_at_once(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *calls[8];
        unsigned cancelled = 0;

        set_paused(fixture, true);
        for (unsigned i = 0; i < ELEMENTS(calls); i++)
                (void) wait_for(worker_submit(fixture, i, "a", false));
        for (unsigned i = 0; i < ELEMENTS(calls); i++)
                calls[i] = worker_cancel(fixture, i, false);
        set_paused(fixture, false);
        for (unsigned i = 0; i < ELEMENTS(calls); i++) {
                (void) wait_for(calls[i]);
                cancelled += !calls[i]->error[0];
                assert_int_equal(stored_status(fixture, i), calls[i]->error[0] ? JOB_IN_PROGRESS : JOB_CANCELLED);
        }
        WAIT_UNTIL(fixture, dispatcher_running(fixture->manager->dispatcher) == ELEMENTS(calls) - cancelled);
        check_waiting(fixture, 0);
}

static void check_failed_cancel(WorkerFixture *fixture, unsigned failing_syncs) {
        TestCall *waiting;

        complete(fixture, 9, "warm");
        set_paused(fixture, true);
        waiting = worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, waiting->replies == 1);
        disk.failing_syncs = failing_syncs;
        assert_string_equal(told_status(wait_for(worker_cancel(fixture, 1, false))), "cancelled");
        assert_string_equal(told_status(wait_for(waiting)), "cancelled");
        assert_int_equal(disk.failing_syncs, 0);
        assert_int_equal(stored_status(fixture, 1), JOB_CANCELLED);
        check_waiting(fixture, 0);
}

static void test_cancelling_that_reached_the_disk_stands(void **state) {
        check_failed_cancel(*state, 3);
}

static void test_cancelling_that_did_not_is_done_again(void **state) {
        check_failed_cancel(*state, 1);
}

/* ------------------------------------------------------------------ deleting */

static bool image_is_there(WorkerFixture *fixture, const JobImage *image) {
        int fd = image_store_open(fixture->manager->images, image->facts.sha256, image->facts.format);

        if (fd >= 0)
                (void) close(fd);
        return fd >= 0;
}

static void test_shared_image_goes_with_its_last_job(void **state) {
        WorkerFixture *fixture = *state;
        Job *first, *second;

        complete(fixture, 1, "same");
        complete(fixture, 2, "same");
        first = stored_job(fixture, 1);
        second = stored_job(fixture, 2);
        assert_string_equal(first->images[0].facts.sha256, second->images[0].facts.sha256);

        assert_string_equal(wait_for(worker_cancel(fixture, 1, true))->error, "");
        assert_int_equal(stored_status(fixture, 1), JOB_STATUS_INVALID);
        assert_true(image_is_there(fixture, &first->images[0]));
        assert_string_equal(wait_for(worker_cancel(fixture, 2, true))->error, "");
        assert_false(image_is_there(fixture, &first->images[0]));
        assert_string_equal(wait_for(worker_cancel(fixture, 2, true))->error, NOT_FOUND);
        (void) job_free(first);
        (void) job_free(second);
}

static void test_ended_job_stays_unless_it_shall_go(void **state) {
        WorkerFixture *fixture = *state;

        complete(fixture, 1, "a");
        assert_string_equal(told_status(wait_for(worker_cancel(fixture, 1, false))), "completed");
        assert_int_equal(stored_status(fixture, 1), JOB_COMPLETED);
}

static void test_image_whose_deletion_failed_stays(void **state) {
        WorkerFixture *fixture = *state;
        Job *job;

        complete(fixture, 1, "a");
        job = stored_job(fixture, 1);
        disk.full = true;
        assert_string_equal(wait_for(worker_cancel(fixture, 1, true))->error, REFUSED);
        disk.full = false;
        assert_int_equal(stored_status(fixture, 1), JOB_COMPLETED);
        assert_true(image_is_there(fixture, &job->images[0]));
        (void) job_free(job);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, worker_tear_down)
#define SLOW_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_slow, worker_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(watching_client_is_told_each_state),
                TEST(client_that_does_not_wait_is_told_once),
                TEST(same_request_id_is_the_same_job),
                TEST(refused_repetition_leaves_the_job_alone),
                TEST(client_that_goes_before_the_commit_leaves_its_job),
                TEST(client_that_goes_while_it_waits_leaves_its_job),
                TEST(client_that_has_gone_unseen_is_forgotten),
                cmocka_unit_test_setup_teardown(test_queue_takes_as_many_as_it_may_hold, worker_set_up,
                                                worker_tear_down),
                TEST(sixty_four_submitters_share_syncs),
                SLOW_TEST(watchers_of_one_job_are_limited),
                TEST(cancelled_job_is_told_to_who_waits_and_never_runs),
                SLOW_TEST(job_in_progress_is_not_cancelled),
                SLOW_TEST(cancel_and_claim_at_once),
                TEST(cancelling_that_reached_the_disk_stands),
                TEST(cancelling_that_did_not_is_done_again),
                TEST(shared_image_goes_with_its_last_job),
                TEST(ended_job_stays_unless_it_shall_go),
                TEST(image_whose_deletion_failed_stays),
        };

        fault_vfs_install();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
