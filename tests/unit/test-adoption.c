/* A state that takes the place of another: what is there afterwards, and that nothing changes when it is refused. */
#include "state-fixture.h"

#include <sqlite3.h>

#define STATE_REFUSED_ERROR "io.atelier.Store.StateRefused"
#define MEMBER_REFUSED "io.atelier.Store.MemberRefused"
#define NOT_FOUND "io.atelier.Store.AdoptionNotFound"
#define BUSY "io.atelier.Store.Busy"
#define REFUSED "io.atelier.Queue.Refused"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static int set_up(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        worker_start(*state);
        return 0;
}

/* ------------------------------------------------------------------ calls */

static const char *prepare(WorkerFixture *fixture) {
        TestCall *call = wait_for(store_call(fixture, "io.atelier.Store.PrepareAdoption", NULL, NULL, 0));

        assert_string_equal(call->error, "");
        return json_get_string(call->reply, "adoption");
}

static JsonValue *adoption_parameters(const char *adoption) {
        JsonValue *parameters = json_new_object();

        assert_int_equal(json_add_string(parameters, "adoption", adoption), 0);
        return parameters;
}

/* One member of these bytes, announced with another size. */
static TestCall *deliver(WorkerFixture *fixture, const char *adoption, const char *name, int fd, int64_t size) {
        JsonValue *parameters = adoption_parameters(adoption);
        JsonValue *members = json_new_array(), *member = json_new_object();

        assert_int_equal(json_add_string(member, "name", name), 0);
        assert_int_equal(json_add_integer(member, "size_bytes", size), 0);
        assert_int_equal(json_append(members, member), 0);
        assert_int_equal(json_add(parameters, "members", members), 0);
        return wait_for(store_call(fixture, "io.atelier.Store.Receive", parameters, &fd, 1));
}

static void deliver_taken(WorkerFixture *fixture, const char *adoption, const Taken *taken) {
        for (size_t i = 0; i < taken->n; i++) {
                const TakenMember *member = &taken->members[i];

                assert_int_equal(lseek(member->fd, 0, SEEK_SET), 0);
                assert_string_equal(deliver(fixture, adoption, member->name, member->fd, member->size)->error, "");
        }
}

static TestCall *ask_adopt(WorkerFixture *fixture, const char *adoption) {
        return store_call(fixture, "io.atelier.Store.Adopt", adoption_parameters(adoption), NULL, 0);
}

static TestCall *adopt_taken(WorkerFixture *fixture, const Taken *taken) {
        const char *adoption = prepare(fixture);
        TestCall *call;

        deliver_taken(fixture, adoption, taken);
        call = wait_for(ask_adopt(fixture, adoption));
        assert_string_equal(call->error, "");
        return call;
}

/* The same descriptor, described so often and sent so often. */
static TestCall *deliver_many(WorkerFixture *fixture, const char *adoption, int fd, size_t n_members, size_t n_fds) {
        JsonValue *parameters = adoption_parameters(adoption), *members = json_new_array();
        int fds[VARLINK_FDS_MAX];

        for (size_t i = 0; i < n_members; i++) {
                JsonValue *member = json_new_object();

                assert_int_equal(json_add_string(member, "name", "config/empty.conf"), 0);
                assert_int_equal(json_add_integer(member, "size_bytes", 0), 0);
                assert_int_equal(json_append(members, member), 0);
        }
        assert_int_equal(json_add(parameters, "members", members), 0);
        for (size_t i = 0; i < n_fds; i++)
                fds[i] = fd;
        return wait_for(store_call(fixture, "io.atelier.Store.Receive", parameters, fds, n_fds));
}

static int64_t release(WorkerFixture *fixture) {
        TestCall *call = wait_for(store_call(fixture, "io.atelier.Queue.Release", NULL, NULL, 0));

        assert_string_equal(call->error, "");
        return json_get_integer(call->reply, "released", -1);
}

/* A worker with job 1 completed and job 2 waiting, and a snapshot of it; then both are gone and job 3 is there. */
static Taken *make_history(WorkerFixture *fixture) {
        Taken *taken;

        complete_job(fixture, 1, "a");
        set_paused(fixture, true);
        queue_job(fixture, 2, "b");
        taken = take_snapshot(fixture);
        assert_string_equal(wait_for(worker_cancel(fixture, 2, false))->error, "");
        assert_string_equal(delete_job(fixture, 2)->error, "");
        assert_string_equal(delete_job(fixture, 1)->error, "");
        set_paused(fixture, false);
        complete_job(fixture, 3, "c");
        return taken;
}

static void check_untouched(WorkerFixture *fixture) {
        _cleanup_free_ char *image = text_format("current/%s", image_path(fixture, 3));

        assert_int_equal(stored_status(fixture, 1), JOB_STATUS_INVALID);
        assert_int_equal(stored_status(fixture, 3), JOB_COMPLETED);
        assert_true(state_has(fixture, image));
        complete_job(fixture, 4, "d");
}

/* ------------------------------------------------------------------ adopting */

static void test_adopted_state_is_the_one_that_was_taken(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        _cleanup_free_ char *image = NULL, *former = NULL;
        TestCall *call = adopt_taken(fixture, taken);

        assert_int_equal(json_get_integer(call->reply, "jobs", -1), 2);
        assert_int_equal(json_get_integer(call->reply, "images", -1), 1);
        assert_int_equal(json_get_integer(call->reply, "held", -1), 1);
        assert_int_equal(json_get_integer(call->reply, "missing_total", -1), 0);
        assert_int_equal(stored_status(fixture, 1), JOB_COMPLETED);
        assert_int_equal(stored_status(fixture, 2), JOB_QUEUED);
        assert_int_equal(stored_status(fixture, 3), JOB_STATUS_INVALID);
        image = text_format("current/%s", image_path(fixture, 1));
        assert_true(state_has(fixture, image));
        former = text_format("%s/atelier.db", json_get_string(call->reply, "former"));
        assert_true(state_has(fixture, former));
        taken_free(taken);
}

static void test_adopted_jobs_run_when_they_are_released(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);

        (void) adopt_taken(fixture, taken);
        assert_int_equal(dispatcher_held(fixture->manager->dispatcher), 1);
        complete_job(fixture, 7, "e");  /* new work goes on beside it */
        assert_int_equal(stored_status(fixture, 2), JOB_QUEUED);
        assert_int_equal(release(fixture), 1);
        WAIT_UNTIL(fixture, stored_status(fixture, 2) == JOB_COMPLETED);
        assert_int_equal(dispatcher_held(fixture->manager->dispatcher), 0);
        assert_int_equal(dispatcher_waiting(fixture->manager->dispatcher), 0);
        assert_int_equal(release(fixture), 0);
        taken_free(taken);
}

/* The process that made the attempt takes its own snapshot back; also where an attempt is never repeated unasked. */
static void test_job_that_was_in_progress_waits_held(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken;
        Job *job;

        worker_stop(fixture);
        worker_configure(fixture, "providers = ( { name = \"box\"; kind = \"sandbox\"; delay = \"2s\"; "
                                  "retry_unknown = false; } );" SANDBOX_MODEL);
        worker_start(fixture);
        (void) worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_IN_PROGRESS);
        taken = take_snapshot(fixture);
        assert_int_equal(stored_status(fixture, 1), JOB_IN_PROGRESS);
        (void) adopt_taken(fixture, taken);
        job = stored_job(fixture, 1);
        assert_int_equal(job->status, JOB_QUEUED);
        assert_true(job->held);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_UNKNOWN);
        (void) job_free(job);
        taken_free(taken);
}

static void test_state_stands_after_a_restart(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);

        (void) adopt_taken(fixture, taken);
        worker_stop(fixture);
        worker_start(fixture);
        assert_int_equal(stored_status(fixture, 1), JOB_COMPLETED);
        assert_int_equal(dispatcher_held(fixture->manager->dispatcher), 1);
        taken_free(taken);
}

static void test_who_waited_asks_again_and_can_wait(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        TestCall *waiting;

        set_paused(fixture, true);
        waiting = worker_submit(fixture, 5, "e", true);
        WAIT_UNTIL(fixture, waiting->replies == 1);
        (void) adopt_taken(fixture, taken);
        WAIT_UNTIL(fixture, waiting->over);
        assert_int_equal(waiting->status, -ECONNRESET);
        set_paused(fixture, false);
        complete_job(fixture, 5, "e");
        taken_free(taken);
}

static void test_former_states_are_discarded(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        TestCall *call = adopt_taken(fixture, taken);
        const char *former = json_get_string(call->reply, "former");
        const JsonValue *removed;

        call = wait_for(store_call(fixture, "io.atelier.Store.DiscardFormer", NULL, NULL, 0));
        removed = json_get_array(call->reply, "removed");
        assert_int_equal(cJSON_GetArraySize(removed), 1);
        assert_string_equal(cJSON_GetStringValue(removed->child), former);
        assert_false(state_has(fixture, former));
        assert_int_equal(stored_status(fixture, 1), JOB_COMPLETED);
        taken_free(taken);
}

static void test_lost_images_are_counted_and_no_obstacle(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        const char *adoption = prepare(fixture);
        TestCall *call;

        assert_string_equal(deliver(fixture, adoption, "atelier.db", taken->members[0].fd,
                                    taken->members[0].size)->error, "");
        call = wait_for(ask_adopt(fixture, adoption));
        assert_string_equal(call->error, "");
        assert_int_equal(json_get_integer(call->reply, "missing_total", -1), 1);
        assert_int_equal(json_get_integer(call->reply, "images", -1), 0);
        taken_free(taken);
}

/* ------------------------------------------------------------------ parking */

static int set_up_slow(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        worker_configure(*state, "worker = { drain_timeout = \"1s\"; };"
                                 "providers = ( { name = \"box\"; kind = \"sandbox\"; delay = \"10min\"; } );"
                                 SANDBOX_MODEL);
        worker_start(*state);
        return 0;
}

static void test_job_that_does_not_end_keeps_the_state_in_use(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call, *refused;
        const char *adoption;
        Taken *taken;

        taken = take_snapshot(fixture);
        (void) worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_IN_PROGRESS);
        adoption = prepare(fixture);
        deliver_taken(fixture, adoption, taken);
        call = ask_adopt(fixture, adoption);
        WAIT_UNTIL(fixture, dispatcher_parked(fixture->manager->dispatcher));
        refused = wait_for(worker_submit(fixture, 2, "b", false));
        assert_string_equal(refused->error, REFUSED);
        assert_string_equal(json_get_string(refused->reply, "code"), "restoring");
        assert_string_equal(wait_for(call)->error, STATE_REFUSED_ERROR);
        assert_int_equal(stored_status(fixture, 1), JOB_IN_PROGRESS);
        assert_string_equal(told_status(wait_for(worker_submit(fixture, 2, "b", false))), "queued");
        taken_free(taken);
}

static int set_up_parking(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        worker_configure(*state, "providers = ( { name = \"box\"; kind = \"sandbox\"; delay = \"300ms\"; } );"
                                 SANDBOX_MODEL);
        worker_start(*state);
        return 0;
}

/* Adopt waits for job 3, which is in progress; the state that it brings has no jobs. */
static TestCall *begin_parking(WorkerFixture *fixture, TestCall **ret_watching) {
        Taken *taken = take_snapshot(fixture);
        const char *adoption = prepare(fixture);
        TestCall *call;

        deliver_taken(fixture, adoption, taken);
        taken_free(taken);
        *ret_watching = worker_submit(fixture, 3, "c", true);
        WAIT_UNTIL(fixture, (*ret_watching)->replies == 2);
        call = ask_adopt(fixture, adoption);
        WAIT_UNTIL(fixture, dispatcher_parked(fixture->manager->dispatcher));
        assert_false(call->over);
        return call;
}

static void test_job_in_progress_is_waited_for_and_kept_in_the_former_state(void **state) {
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *path = NULL;
        TestCall *watching, *call = begin_parking(fixture, &watching);
        Store *store;
        Job *job;

        assert_string_equal(told_status(wait_for(watching)), "completed");
        assert_int_equal(watching->n_fds, 1);
        assert_string_equal(wait_for(call)->error, "");
        assert_int_equal(stored_status(fixture, 3), JOB_STATUS_INVALID);
        path = text_format("%s/%s/atelier.db", fixture->state, json_get_string(call->reply, "former"));
        assert_int_equal(store_open(&store, path), 0);
        assert_int_equal(store_get(store, job_id(3), &job), 0);
        assert_int_equal(job->status, JOB_COMPLETED);
        (void) job_free(job);
        (void) store_free(store);
}

static void test_caller_that_goes_away_does_not_stop_it(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *watching, *call = begin_parking(fixture, &watching);

        call->client = varlink_client_free(call->client);
        WAIT_UNTIL(fixture, !fixture->manager->adoption);
        assert_int_equal(stored_status(fixture, 3), JOB_STATUS_INVALID);
        assert_int_equal(count_files(fixture->state, "."), 3);  /* current, former, the secret of links */
        complete_job(fixture, 4, "d");
}

static void test_nothing_else_begins_while_it_is_adopted(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *watching, *call = begin_parking(fixture, &watching);
        Taken *taken = begin_snapshot(fixture);

        WAIT_UNTIL(fixture, taken->over);
        assert_string_equal(taken->error, BUSY);
        taken_free(taken);
        assert_string_equal(wait_for(store_call(fixture, "io.atelier.Store.PrepareAdoption", NULL, NULL, 0))->error,
                            BUSY);
        assert_false(call->over);
        assert_string_equal(wait_for(call)->error, "");
        taken_free(take_snapshot(fixture));
}

static void test_adoption_that_gave_up_may_be_tried_again(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *watching;
        const char *adoption;
        Taken *taken;

        worker_configure(fixture, "worker = { drain_timeout = \"50ms\"; };"
                                  "providers = ( { name = \"box\"; kind = \"sandbox\"; delay = \"300ms\"; } );"
                                  SANDBOX_MODEL);
        worker_start(fixture);
        taken = take_snapshot(fixture);
        adoption = prepare(fixture);
        deliver_taken(fixture, adoption, taken);
        watching = worker_submit(fixture, 3, "c", true);
        WAIT_UNTIL(fixture, watching->replies == 2);
        assert_string_equal(wait_for(ask_adopt(fixture, adoption))->error, STATE_REFUSED_ERROR);
        assert_string_equal(told_status(wait_for(watching)), "completed");
        WAIT_UNTIL(fixture, dispatcher_running(fixture->manager->dispatcher) == 0);
        assert_string_equal(wait_for(ask_adopt(fixture, adoption))->error, "");
        assert_int_equal(stored_status(fixture, 3), JOB_STATUS_INVALID);
        taken_free(taken);
}

static void test_worker_that_ends_before_the_exchange_keeps_its_state(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = take_snapshot(fixture);
        const char *adoption;
        TestCall *call;

        (void) worker_submit(fixture, 1, "a", true);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_IN_PROGRESS);
        adoption = prepare(fixture);
        deliver_taken(fixture, adoption, taken);
        call = ask_adopt(fixture, adoption);
        WAIT_UNTIL(fixture, dispatcher_parked(fixture->manager->dispatcher));
        assert_false(call->over);
        worker_stop(fixture);
        worker_start(fixture);
        assert_int_not_equal(stored_status(fixture, 1), JOB_STATUS_INVALID);
        assert_false(state_has(fixture, "next"));
        taken_free(taken);
}

/* ------------------------------------------------------------------ an exchange that fails */

/* All is checked; the folders are exchanged in the next turn. */
static TestCall *adopt_up_to_the_exchange(WorkerFixture *fixture, const Taken *taken) {
        const char *adoption = prepare(fixture);
        TestCall *call;

        deliver_taken(fixture, adoption, taken);
        call = ask_adopt(fixture, adoption);
        WAIT_UNTIL(fixture, dispatcher_parked(fixture->manager->dispatcher));
        assert_false(call->over);
        return call;
}

static void check_put_back(WorkerFixture *fixture) {
        assert_false(state_has(fixture, "current/replaced"));
        assert_int_equal(count_files(fixture->state, "next/images/tmp"), 0);
        assert_false(dispatcher_parked(fixture->manager->dispatcher));
        check_untouched(fixture);
}

/* It is opened to take over what was spent since, and once more when it is in its place. */
static void test_state_that_can_not_take_over_spending_is_refused(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        TestCall *call = adopt_up_to_the_exchange(fixture, taken);

        disk.failing_opens = 1;
        assert_string_equal(wait_for(call)->error, STATE_REFUSED_ERROR);
        assert_int_equal(disk.failing_opens, 0);
        check_put_back(fixture);
        taken_free(taken);
}

static void test_state_that_can_not_be_opened_is_put_back(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        TestCall *call = adopt_up_to_the_exchange(fixture, taken);

        disk.passing_opens = 1;
        disk.failing_opens = 1;
        assert_string_equal(wait_for(call)->error, STATE_REFUSED_ERROR);
        assert_int_equal(disk.failing_opens, 0);
        check_put_back(fixture);
        taken_free(taken);
}

/* As after a failed commit: it is tried again every second. */
static void test_former_state_that_can_not_be_opened_at_once_is_opened_later(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        TestCall *call = adopt_up_to_the_exchange(fixture, taken);

        disk.passing_opens = 1;
        disk.failing_opens = 2;
        assert_string_equal(wait_for(call)->error, STATE_REFUSED_ERROR);
        assert_null(commit_group_store(fixture->manager->group));
        WAIT_UNTIL(fixture, commit_group_store(fixture->manager->group));
        check_put_back(fixture);
        taken_free(taken);
}

static void test_state_whose_images_can_not_be_opened_is_put_back(void **state) {
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *images = text_format("%s/next/images", fixture->state);
        _cleanup_free_ char *aside = text_format("%s/aside", fixture->state);
        Taken *taken = make_history(fixture);
        TestCall *call = adopt_up_to_the_exchange(fixture, taken);

        assert_int_equal(rename(images, aside), 0);
        assert_int_equal(symlink("aside", images), 0);
        assert_string_equal(wait_for(call)->error, STATE_REFUSED_ERROR);
        assert_int_equal(unlink(images), 0);
        check_put_back(fixture);
        taken_free(taken);
}

static void test_exchange_that_does_not_come_about_changes_nothing(void **state) {
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *next = text_format("%s/next", fixture->state);
        _cleanup_free_ char *aside = text_format("%s/aside", fixture->state);
        Taken *taken = make_history(fixture);
        TestCall *call = adopt_up_to_the_exchange(fixture, taken);

        assert_int_equal(rename(next, aside), 0);
        assert_string_equal(wait_for(call)->error, STATE_REFUSED_ERROR);
        check_put_back(fixture);
        taken_free(taken);
}

/* ------------------------------------------------------------------ what is refused */

static void check_adoption_refused(WorkerFixture *fixture, const char *adoption) {
        assert_string_equal(wait_for(ask_adopt(fixture, adoption))->error, STATE_REFUSED_ERROR);
        check_untouched(fixture);
}

/* The snapshot's database, changed. */
static int changed_database(WorkerFixture *fixture, const Taken *taken, const char *text, int64_t *ret_size) {
        _cleanup_free_ char *path = text_format("%s/changed.db", fixture->folder->path);
        char block[65536];
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int64_t offset = 0;
        sqlite3 *database;
        ssize_t n;

        assert_true(fd >= 0);
        while ((n = fd_pread_all(taken->members[0].fd, block, sizeof(block), offset)) > 0) {
                assert_int_equal(fd_write_all(fd, block, (size_t) n), 0);
                offset += n;
        }
        assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(database);
        *ret_size = lseek(fd, 0, SEEK_END);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

static void check_database_refused(WorkerFixture *fixture, const char *text) {
        Taken *taken = make_history(fixture);
        const char *adoption = prepare(fixture);
        int64_t size;
        int fd = changed_database(fixture, taken, text, &size);

        assert_string_equal(deliver(fixture, adoption, taken->members[1].name, taken->members[1].fd,
                                    taken->members[1].size)->error, "");
        assert_string_equal(deliver(fixture, adoption, "atelier.db", fd, size)->error, "");
        check_adoption_refused(fixture, adoption);
        (void) close(fd);
        taken_free(taken);
}

static void test_newer_database_is_refused(void **state) {
        check_database_refused(*state, "PRAGMA user_version = 1000");
}

static void test_database_of_others_is_refused(void **state) {
        check_database_refused(*state, "PRAGMA application_id = 5");
}

static void test_image_of_another_size_than_its_job_says_is_refused(void **state) {
        check_database_refused(*state, "UPDATE image SET size_bytes = size_bytes + 1");
}

/* Recovery would find nothing to settle, now and at every start. */
static void test_job_in_progress_without_an_attempt_is_refused(void **state) {
        check_database_refused(*state, "UPDATE job SET status = 1 WHERE held = 1; DELETE FROM attempt");
}

static void test_damaged_database_is_refused(void **state) {
        check_database_refused(*state, "PRAGMA writable_schema = ON; "
                                       "DELETE FROM sqlite_schema WHERE name = 'image_use'");
}

static void test_empty_database_is_refused(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        const char *adoption = prepare(fixture);
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_string_equal(deliver(fixture, adoption, "atelier.db", fd, 0)->error, "");
        check_adoption_refused(fixture, adoption);
        (void) close(fd);
        taken_free(taken);
}

static void test_state_without_a_database_is_refused(void **state) {
        WorkerFixture *fixture = *state;

        taken_free(make_history(fixture));
        check_adoption_refused(fixture, prepare(fixture));
}

static int file_of(const char *text) {
        int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

static void check_member_refused(WorkerFixture *fixture, const char *name, const char *text, int64_t size) {
        const char *adoption = prepare(fixture);
        int fd = file_of(text);
        TestCall *call = deliver(fixture, adoption, name, fd, size);

        assert_string_equal(call->error, MEMBER_REFUSED);
        assert_string_equal(json_get_string(call->reply, "name"), name);
        assert_int_equal(count_files(fixture->state, "next/images/00"), 0);
        (void) close(fd);
}

static void test_members_that_are_not_what_they_say_are_refused_and_not_kept(void **state) {
        WorkerFixture *fixture = *state;

        taken_free(make_history(fixture));
        check_member_refused(fixture, "images/00/" ZEROS ".png", "short", 6);
        check_member_refused(fixture, "atelier.db", "short", 6);
        check_member_refused(fixture, "atelier.db", "long", 3);
        check_member_refused(fixture, "images/00/../../../x.png", "x", 1);
        check_member_refused(fixture, "../atelier.db", "x", 1);
        check_member_refused(fixture, "images/00/" ZEROS ".exe", "x", 1);
        assert_false(state_has(fixture, "next/atelier.db"));
        check_untouched(fixture);
}

static void test_image_that_has_decayed_is_hashed_and_not_kept(void **state) {
        WorkerFixture *fixture = *state;
        const char *adoption = prepare(fixture), *sha256;
        int fd = file_of("other");
        TestCall *call = deliver(fixture, adoption, "images/00/" ZEROS ".png", fd, 5);

        assert_string_equal(call->error, "");
        sha256 = cJSON_GetStringValue(json_get_array(call->reply, "sha256")->child);
        assert_string_equal(sha256, "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa");
        assert_int_equal(count_files(fixture->state, "next/images/00"), 0);
        (void) close(fd);
}

static void test_pipe_that_ends_early_is_refused(void **state) {
        WorkerFixture *fixture = *state;
        const char *adoption = prepare(fixture);
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(fd_write_all(ends[1], "abc", 3), 0);
        (void) close(ends[1]);
        assert_string_equal(deliver(fixture, adoption, "atelier.db", ends[0], 100)->error, MEMBER_REFUSED);
        (void) close(ends[0]);
}

static void test_member_comes_once(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);
        const char *adoption = prepare(fixture);
        const TakenMember *member = &taken->members[0];

        assert_string_equal(deliver(fixture, adoption, member->name, member->fd, member->size)->error, "");
        assert_int_equal(lseek(member->fd, 0, SEEK_SET), 0);
        assert_string_equal(deliver(fixture, adoption, member->name, member->fd, member->size)->error, MEMBER_REFUSED);
        assert_true(state_has(fixture, "next/atelier.db"));
        taken_free(taken);
}

static void test_each_member_comes_with_its_descriptor_and_16_at_most(void **state) {
        WorkerFixture *fixture = *state;
        const char *adoption = prepare(fixture);
        int fd = file_of("");

        assert_string_equal(deliver_many(fixture, adoption, fd, VARLINK_FDS_MAX, VARLINK_FDS_MAX)->error, "");
        assert_string_equal(deliver_many(fixture, adoption, fd, VARLINK_FDS_MAX + 1, VARLINK_FDS_MAX)->error,
                            VARLINK_ERROR_INVALID_PARAMETER);
        assert_string_equal(deliver_many(fixture, adoption, fd, 2, 1)->error, VARLINK_ERROR_INVALID_PARAMETER);
        assert_string_equal(deliver_many(fixture, adoption, fd, 1, 0)->error, VARLINK_ERROR_INVALID_PARAMETER);
        assert_string_equal(deliver_many(fixture, adoption, fd, 0, 0)->error, VARLINK_ERROR_INVALID_PARAMETER);
        assert_string_equal(deliver(fixture, adoption, "config/x.conf", fd, -1)->error,
                            VARLINK_ERROR_INVALID_PARAMETER);
        (void) close(fd);
}

static void check_not_found(TestCall *call, const char *adoption) {
        (void) wait_for(call);
        assert_string_equal(call->error, NOT_FOUND);
        assert_string_equal(json_get_string(call->reply, "adoption"), adoption);
}

static void check_all_not_found(WorkerFixture *fixture, const char *adoption) {
        int fd = file_of("");

        check_not_found(deliver(fixture, adoption, "atelier.db", fd, 0), adoption);
        check_not_found(ask_adopt(fixture, adoption), adoption);
        check_not_found(store_call(fixture, "io.atelier.Store.AbandonAdoption", adoption_parameters(adoption), NULL,
                                   0), adoption);
        (void) close(fd);
}

static void test_every_call_names_the_adoption_that_it_means(void **state) {
        WorkerFixture *fixture = *state;

        check_all_not_found(fixture, "x");
        (void) prepare(fixture);
        check_all_not_found(fixture, "x");
        assert_int_equal(count_files(fixture->state, "next"), 0);
}

static void test_later_adoption_ends_the_earlier_one(void **state) {
        WorkerFixture *fixture = *state;
        const char *first = prepare(fixture);
        int fd = file_of("x");

        assert_string_equal(deliver(fixture, first, "atelier.db", fd, 1)->error, "");
        (void) prepare(fixture);
        check_all_not_found(fixture, first);
        assert_int_equal(count_files(fixture->state, "next"), 0);
        (void) close(fd);
}

static void test_caller_of_prepare_that_goes_away_leaves_none(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call = store_call(fixture, "io.atelier.Store.PrepareAdoption", NULL, NULL, 0);

        WAIT_UNTIL(fixture, fixture->manager->adoption);
        call->client = varlink_client_free(call->client);
        WAIT_UNTIL(fixture, !fixture->manager->adoption);
        taken_free(take_snapshot(fixture));
        (void) prepare(fixture);
}

static void test_what_nobody_ended_is_removed_at_the_next_start(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = make_history(fixture);

        deliver_taken(fixture, prepare(fixture), taken);
        worker_stop(fixture);
        assert_true(state_has(fixture, "next/atelier.db"));
        worker_start(fixture);
        assert_false(state_has(fixture, "next"));
        check_untouched(fixture);
        taken_free(taken);
}

static void test_abandoned_adoption_leaves_nothing(void **state) {
        WorkerFixture *fixture = *state;
        const char *adoption = prepare(fixture);
        TestCall *call = store_call(fixture, "io.atelier.Store.AbandonAdoption", adoption_parameters(adoption), NULL,
                                    0);

        assert_string_equal(wait_for(call)->error, "");
        assert_false(state_has(fixture, "next"));
        assert_string_equal(wait_for(ask_adopt(fixture, adoption))->error, NOT_FOUND);
}

/* Receive has been given a pipe that nobody has written to yet. */
static void test_adoption_is_abandoned_while_it_receives(void **state) {
        WorkerFixture *fixture = *state;
        const char *adoption = prepare(fixture);
        JsonValue *parameters = adoption_parameters(adoption);
        JsonValue *members = json_new_array(), *member = json_new_object();
        TestCall *receiving, *abandoning;
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(json_add_string(member, "name", "atelier.db"), 0);
        assert_int_equal(json_add_integer(member, "size_bytes", 100), 0);
        assert_int_equal(json_append(members, member), 0);
        assert_int_equal(json_add(parameters, "members", members), 0);
        receiving = store_call(fixture, "io.atelier.Store.Receive", parameters, &ends[0], 1);
        (void) close(ends[0]);
        WAIT_UNTIL(fixture, state_has(fixture, "next/atelier.db"));
        worker_drop_call(receiving);
        abandoning = store_call(fixture, "io.atelier.Store.AbandonAdoption", adoption_parameters(adoption), NULL, 0);
        while (sd_event_run(service_event(fixture->service), 0) > 0)
                continue;
        assert_false(abandoning->over);
        (void) close(ends[1]);
        assert_string_equal(wait_for(abandoning)->error, "");
        assert_false(state_has(fixture, "next"));
        assert_null(fixture->manager->adoption);
}

static void test_snapshot_and_adoption_exclude_each_other(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken;

        (void) prepare(fixture);
        taken = begin_snapshot(fixture);
        WAIT_UNTIL(fixture, taken->over);
        assert_string_equal(taken->error, BUSY);
        taken_free(taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, worker_tear_down)
#define UNSTARTED_TEST(name) cmocka_unit_test_setup_teardown(test_##name, worker_set_up, worker_tear_down)
#define PARKING_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_parking, worker_tear_down)
#define SLOW_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_slow, worker_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(adopted_state_is_the_one_that_was_taken),
                TEST(adopted_jobs_run_when_they_are_released),
                TEST(job_that_was_in_progress_waits_held),
                TEST(state_stands_after_a_restart),
                TEST(who_waited_asks_again_and_can_wait),
                TEST(former_states_are_discarded),
                TEST(lost_images_are_counted_and_no_obstacle),
                SLOW_TEST(job_that_does_not_end_keeps_the_state_in_use),
                SLOW_TEST(worker_that_ends_before_the_exchange_keeps_its_state),
                PARKING_TEST(job_in_progress_is_waited_for_and_kept_in_the_former_state),
                PARKING_TEST(caller_that_goes_away_does_not_stop_it),
                PARKING_TEST(nothing_else_begins_while_it_is_adopted),
                UNSTARTED_TEST(adoption_that_gave_up_may_be_tried_again),
                TEST(state_that_can_not_take_over_spending_is_refused),
                TEST(state_that_can_not_be_opened_is_put_back),
                TEST(former_state_that_can_not_be_opened_at_once_is_opened_later),
                TEST(state_whose_images_can_not_be_opened_is_put_back),
                TEST(exchange_that_does_not_come_about_changes_nothing),
                TEST(newer_database_is_refused),
                TEST(database_of_others_is_refused),
                TEST(image_of_another_size_than_its_job_says_is_refused),
                TEST(job_in_progress_without_an_attempt_is_refused),
                TEST(damaged_database_is_refused),
                TEST(empty_database_is_refused),
                TEST(state_without_a_database_is_refused),
                TEST(members_that_are_not_what_they_say_are_refused_and_not_kept),
                TEST(image_that_has_decayed_is_hashed_and_not_kept),
                TEST(pipe_that_ends_early_is_refused),
                TEST(member_comes_once),
                TEST(each_member_comes_with_its_descriptor_and_16_at_most),
                TEST(every_call_names_the_adoption_that_it_means),
                TEST(later_adoption_ends_the_earlier_one),
                TEST(caller_of_prepare_that_goes_away_leaves_none),
                TEST(what_nobody_ended_is_removed_at_the_next_start),
                TEST(abandoned_adoption_leaves_nothing),
                TEST(adoption_is_abandoned_while_it_receives),
                TEST(snapshot_and_adoption_exclude_each_other),
        };

        fault_vfs_install();
        return cmocka_run_group_tests_name("adoption", tests, NULL, NULL);
}
