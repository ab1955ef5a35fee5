/* A database that is not in use: its unfinished jobs are held, what is wrong with it is told; and what holding means once it
 * is in use. */
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

#include "base/fd.h"
#include "state/state-database.h"
#include "store/store.h"

#define LEASE "00000000000000000000000000000001"
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

typedef struct Fixture {
        char folder[64], path[96];
        Store *store;
} Fixture;

static const char *id_of(unsigned number) {
        static char ids[4][JOB_ID_MAX];
        static unsigned next;
        char *id = ids[next++ % ELEMENTS(ids)];

        (void) snprintf(id, JOB_ID_MAX, JOB_ID_PREFIX "%032x", number);
        return id;
}

static void submit(Fixture *fixture, unsigned number) {
        Job job = {
                .model = (char *) "sandbox",
                .response_format = (char *) "url",
                .request = (char *) "{\"prompt\":\"a\"}",
                .created_at = 1000 + number,
        };

        (void) strcpy(job.id, id_of(number));
        assert_int_equal(store_submit(fixture->store, &job, NULL, NULL), 0);
}

static int start(Fixture *fixture, unsigned number) {
        _cleanup_(job_freep) Job *job = NULL;

        return store_start_attempt(fixture->store, id_of(number), "box", LEASE, 2000, &job);
}

static Job *get(Fixture *fixture, unsigned number) {
        Job *job;

        assert_int_equal(store_get(fixture->store, id_of(number), &job), 0);
        return job;
}

/* Status and hold of a job. */
static void check_job(Fixture *fixture, unsigned number, JobStatus status, bool held) {
        _cleanup_(job_freep) Job *job = get(fixture, number);

        assert_int_equal(job->status, status);
        assert_int_equal(job->held, held);
}

static void end(Fixture *fixture, unsigned number, AttemptOutcome outcome, JobStatus status) {
        _cleanup_(job_freep) Job *job = get(fixture, number);

        job->attempts[job->n_attempts - 1].outcome = outcome;
        job->attempts[job->n_attempts - 1].ended_at = 3000;
        job->status = status;
        job->ended_at = job_status_ended(status) ? 3000 : 0;
        assert_int_equal(store_end_attempt(fixture->store, job, NULL, NULL), 0);
}

static void complete(Fixture *fixture, unsigned number, const char *sha256, ImageFormat format) {
        _cleanup_(job_freep) Job *job = NULL;

        submit(fixture, number);
        assert_int_equal(start(fixture, number), 0);
        job = get(fixture, number);
        job->images = calloc(1, sizeof(*job->images));
        job->n_images = 1;
        job->images[0].facts = (ImageFacts) { .format = format, .width = 64, .height = 32, .size_bytes = 100 };
        (void) strcpy(job->images[0].facts.sha256, sha256);
        job->attempts[0].outcome = ATTEMPT_COMPLETED;
        job->attempts[0].ended_at = 3000;
        job->status = JOB_COMPLETED;
        job->ended_at = 3000;
        assert_int_equal(store_end_attempt(fixture->store, job, NULL, NULL), 0);
}

static void open_store(Fixture *fixture) {
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
}

/* What a snapshot's copy, or a restored state, goes through. */
static void hold(Fixture *fixture, StateTotals *ret) {
        StateDatabase *database;

        fixture->store = store_free(fixture->store);
        assert_int_equal(state_database_open(&database, fixture->path, true), 0);
        if (ret)
                *ret = *state_database_totals(database);
        (void) state_database_free(database);
}

/* Jobs 1 and 2 wait, 3 is in progress, 4, 5 and 6 are completed with two images between them. */
static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        (void) strcpy(fixture->folder, "/tmp/atelier-state-database-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        (void) snprintf(fixture->path, sizeof(fixture->path), "%s/db", fixture->folder);
        open_store(fixture);
        assert_int_equal(store_group_begin(fixture->store), 0);
        for (unsigned number = 1; number <= 3; number++)
                submit(fixture, number);
        assert_int_equal(start(fixture, 3), 0);
        complete(fixture, 4, SHA_B, IMAGE_PNG);
        complete(fixture, 5, SHA_A, IMAGE_WEBP);
        complete(fixture, 6, SHA_A, IMAGE_WEBP);
        assert_int_equal(store_group_commit(fixture->store), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        static const char *const names[] = { "db", "db-wal", "db-journal" };
        Fixture *fixture = *state;
        char path[128];

        fixture->store = store_free(fixture->store);
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", fixture->folder, names[i]);
                (void) unlink(path);
        }
        assert_int_equal(rmdir(fixture->folder), 0);
        free(fixture);
        return 0;
}

/* ------------------------------------------------------------------ what holding means */

static void check_counts(Fixture *fixture, int64_t waiting, int64_t held) {
        int64_t count;

        assert_int_equal(store_count_waiting(fixture->store, &count), 0);
        assert_int_equal(count, waiting);
        assert_int_equal(store_count_held(fixture->store, &count), 0);
        assert_int_equal(count, held);
}

static void test_unfinished_jobs_alone_are_held(void **state) {
        Fixture *fixture = *state;

        hold(fixture, NULL);
        open_store(fixture);
        check_job(fixture, 1, JOB_QUEUED, true);
        check_job(fixture, 2, JOB_QUEUED, true);
        check_job(fixture, 3, JOB_IN_PROGRESS, true);
        check_job(fixture, 4, JOB_COMPLETED, false);
}

static void test_held_job_neither_waits_nor_starts(void **state) {
        Fixture *fixture = *state;
        char *model = NULL;

        hold(fixture, NULL);
        open_store(fixture);
        check_counts(fixture, 0, 3);
        assert_int_equal(store_next_waiting_model(fixture->store, "", &model), STORE_NOT_FOUND);
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(start(fixture, 1), STORE_WRONG_STATE);
        assert_int_equal(store_group_commit(fixture->store), 0);
        check_job(fixture, 1, JOB_QUEUED, true);
}

static void test_released_jobs_wait_in_their_order(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *model = NULL;
        WaitingJob first, second;
        int64_t released, to_budget;

        hold(fixture, NULL);
        open_store(fixture);
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(store_release(fixture->store, NULL, 0, &released, &to_budget), 0);
        assert_int_equal(store_group_commit(fixture->store), 0);
        assert_int_equal(released, 3);
        check_counts(fixture, 2, 0);
        assert_int_equal(store_next_waiting_model(fixture->store, "", &model), 0);
        assert_int_equal(store_next_untried(fixture->store, model, NULL, &first), 0);
        assert_string_equal(first.id, id_of(1));
        assert_int_equal(store_next_untried(fixture->store, model, &first, &second), 0);
        assert_string_equal(second.id, id_of(2));
        assert_int_equal(store_next_untried(fixture->store, model, &second, &first), STORE_NOT_FOUND);
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(start(fixture, 1), 0);
        assert_int_equal(store_group_commit(fixture->store), 0);
}

static void test_only_named_held_jobs_are_released(void **state) {
        Fixture *fixture = *state;
        const char *const ids[] = { id_of(2), id_of(4), id_of(99) };
        int64_t released, to_budget;

        hold(fixture, NULL);
        open_store(fixture);
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(store_release(fixture->store, ids, ELEMENTS(ids), &released, &to_budget), 0);
        assert_int_equal(released, 1);
        assert_int_equal(store_release(fixture->store, ids, 0, &released, &to_budget), 0);  /* an empty list names none */
        assert_int_equal(released, 0);
        assert_int_equal(store_group_commit(fixture->store), 0);
        check_counts(fixture, 1, 2);
        check_job(fixture, 2, JOB_QUEUED, false);
}

static void test_cancelled_job_is_held_no_more(void **state) {
        Fixture *fixture = *state;
        Job *job;

        hold(fixture, NULL);
        open_store(fixture);
        job = get(fixture, 1);
        job->status = JOB_CANCELLED;
        job->ended_at = 4000;
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(store_end_queued(fixture->store, job), 0);
        assert_int_equal(store_group_commit(fixture->store), 0);
        (void) job_free(job);
        check_job(fixture, 1, JOB_CANCELLED, false);
        check_counts(fixture, 0, 2);
}

/* The state may come back to the very process that made the attempt: to it, too, the attempt is nobody's. */
static void test_held_job_in_progress_is_an_orphan_to_everybody(void **state) {
        Fixture *fixture = *state;
        Job *orphan;

        hold(fixture, NULL);
        open_store(fixture);
        assert_int_equal(store_next_orphan(fixture->store, LEASE, &orphan), 0);
        assert_string_equal(orphan->id, id_of(3));
        (void) job_free(orphan);
}

static void test_interrupted_job_stays_held_when_it_waits_again(void **state) {
        Fixture *fixture = *state;

        hold(fixture, NULL);
        open_store(fixture);
        assert_int_equal(store_group_begin(fixture->store), 0);
        end(fixture, 3, ATTEMPT_UNKNOWN, JOB_QUEUED);
        assert_int_equal(store_group_commit(fixture->store), 0);
        check_job(fixture, 3, JOB_QUEUED, true);
        check_counts(fixture, 0, 3);
}

static void test_interrupted_job_that_fails_is_held_no_more(void **state) {
        Fixture *fixture = *state;

        hold(fixture, NULL);
        open_store(fixture);
        assert_int_equal(store_group_begin(fixture->store), 0);
        end(fixture, 3, ATTEMPT_UNKNOWN, JOB_FAILED);
        assert_int_equal(store_group_commit(fixture->store), 0);
        check_job(fixture, 3, JOB_FAILED, false);
        check_counts(fixture, 0, 2);
}

static void test_job_is_shown_as_held_only_while_it_is(void **state) {
        Fixture *fixture = *state;
        _cleanup_(json_freep) JsonValue *held = NULL, *ended = NULL;
        _cleanup_(job_freep) Job *first = NULL, *second = NULL;

        hold(fixture, NULL);
        open_store(fixture);
        first = get(fixture, 1);
        second = get(fixture, 4);
        held = job_to_json(first);
        ended = job_to_json(second);
        assert_true(json_get_bool(held, "held", false));
        assert_false(json_has(ended, "held"));
}

/* ------------------------------------------------------------------ the file */

static void test_totals_count_each_image_once(void **state) {
        Fixture *fixture = *state;
        StateTotals totals;

        hold(fixture, &totals);
        assert_int_equal(totals.jobs, 6);
        assert_int_equal(totals.held, 3);
        assert_int_equal(totals.images, 2);
        assert_int_equal(totals.image_bytes, 200);
}

/* Of a job that has ended nobody needs them. */
static void test_uploads_of_unfinished_jobs_are_images_as_well(void **state) {
        UploadFacts uploads[] = { { SHA_C, IMAGE_JPEG, 7 }, { SHA_B, IMAGE_PNG, 100 } };
        Fixture *fixture = *state;
        StateTotals totals;

        for (unsigned number = 21; number <= 22; number++) {
                Job job = { .model = (char *) "m", .response_format = (char *) "url", .request = (char *) "{}",
                            .created_at = 1, .uploads = uploads, .n_uploads = ELEMENTS(uploads) };

                uploads[0].sha256[0] = number == 22 ? 'd' : 'c';
                (void) strcpy(job.id, id_of(number));
                assert_int_equal(store_group_begin(fixture->store), 0);
                assert_int_equal(store_submit(fixture->store, &job, NULL, NULL), 0);
                if (number == 22) {
                        job.status = JOB_CANCELLED;
                        job.ended_at = 2;
                        assert_int_equal(store_end_queued(fixture->store, &job), 0);
                }
                assert_int_equal(store_group_commit(fixture->store), 0);
        }
        hold(fixture, &totals);
        assert_int_equal(totals.jobs, 8);
        assert_int_equal(totals.images, 3);
        assert_int_equal(totals.image_bytes, 207);
}

static void test_images_come_once_in_the_order_of_their_names(void **state) {
        Fixture *fixture = *state;
        StateDatabase *database;
        StateImage image;

        fixture->store = store_free(fixture->store);
        assert_int_equal(state_database_open(&database, fixture->path, false), 0);
        assert_int_equal(state_database_next_image(database, &image), 1);
        assert_string_equal(image.sha256, SHA_A);
        assert_int_equal(image.format, IMAGE_WEBP);
        assert_int_equal(image.size_bytes, 100);
        assert_int_equal(state_database_next_image(database, &image), 1);
        assert_string_equal(image.sha256, SHA_B);
        assert_int_equal(image.format, IMAGE_PNG);
        assert_int_equal(state_database_next_image(database, &image), 0);
        (void) state_database_free(database);
}

/* Bytes 18 and 19 of a database say what it needs: 1 is no journal beside it that counts. */
static void test_what_was_held_is_one_file_of_its_own(void **state) {
        Fixture *fixture = *state;
        _cleanup_close_ int fd = -1;
        uint8_t header[20];
        char path[128];

        hold(fixture, NULL);
        (void) snprintf(path, sizeof(path), "%s-wal", fixture->path);
        assert_int_not_equal(access(path, F_OK), 0);
        (void) snprintf(path, sizeof(path), "%s-journal", fixture->path);
        assert_int_not_equal(access(path, F_OK), 0);
        fd = open(fixture->path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(fd_pread_all(fd, header, sizeof(header), 0), sizeof(header));
        assert_int_equal(header[18], 1);
        assert_int_equal(header[19], 1);
}

static void change(Fixture *fixture, const char *text) {
        sqlite3 *database;

        fixture->store = store_free(fixture->store);
        assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(database);
}

static void test_newer_version_is_told_from_what_is_not_ours(void **state) {
        Fixture *fixture = *state;
        StateDatabase *database;

        change(fixture, "PRAGMA user_version = 1000");
        assert_int_equal(state_database_open(&database, fixture->path, true), -EPROTONOSUPPORT);
        change(fixture, "PRAGMA user_version = 1; PRAGMA application_id = 5");
        assert_int_equal(state_database_open(&database, fixture->path, true), -EUCLEAN);
}

/* An index is cut off the schema: its page belongs to nothing any more. */
static void test_damage_is_found_by_the_thorough_check_alone(void **state) {
        Fixture *fixture = *state;
        StateDatabase *database;

        change(fixture, "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'job_in_progress';");
        assert_int_equal(state_database_open(&database, fixture->path, false), 0);
        (void) state_database_free(database);
        assert_int_equal(state_database_open(&database, fixture->path, true), -EUCLEAN);
}

/* Whoever made the archive may have written anything: it must not run here, nor bring the worker down later. */
static void test_what_no_store_has_written_is_refused(void **state) {
        static const char *const changes[] = {
                "CREATE TRIGGER t AFTER UPDATE OF held ON job BEGIN UPDATE job SET held = 0; END",
                "CREATE TRIGGER t AFTER INSERT ON job BEGIN UPDATE job SET key = 'thief'; END",
                "CREATE VIEW v AS SELECT 1",
                "CREATE TABLE other (a)",
                "CREATE INDEX other ON job (model)",
                "DROP INDEX job_held",
                "UPDATE job SET status = 90000000 WHERE sequence = 4",
                "UPDATE job SET status = 1 WHERE sequence = 4",
                "UPDATE job SET status = 1 WHERE sequence = 1",
                "UPDATE attempt SET outcome = 90000000 WHERE job = 4",
                "UPDATE attempt SET outcome = 2 WHERE job = 3",
                "INSERT INTO image (job, number, sha256, format, width, height, size_bytes) VALUES (3, 0, '" SHA_A "', "
                "'png', 1, 1, 1)",
                "UPDATE image SET format = 'exe'",
                "UPDATE job SET usage = '[' WHERE sequence = 4",
                "UPDATE job SET failure = '{' WHERE sequence = 4",
        };
        Fixture *fixture = *state;
        char spare[128], copy[192];

        (void) snprintf(spare, sizeof(spare), "%s/spare", fixture->folder);
        (void) snprintf(copy, sizeof(copy), "VACUUM INTO '%s'", spare);
        for (size_t i = 0; i < ELEMENTS(changes); i++) {
                StateDatabase *database;

                change(fixture, copy);
                change(fixture, changes[i]);
                if (state_database_open(&database, fixture->path, true) != -EUCLEAN)
                        fail_msg("taken: %s", changes[i]);
                assert_int_equal(rename(spare, fixture->path), 0);
        }
        hold(fixture, &(StateTotals) {});
}

/* Also where it is not looked at so closely: the database in use, put there by hand. */
static void test_triggers_do_not_run(void **state) {
        Fixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        change(fixture, "CREATE TRIGGER t AFTER INSERT ON job BEGIN UPDATE job SET key = 'thief'; END");
        open_store(fixture);
        assert_int_equal(store_group_begin(fixture->store), 0);
        submit(fixture, 7);
        assert_int_equal(store_group_commit(fixture->store), 0);
        job = get(fixture, 7);
        assert_null(job->key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(unfinished_jobs_alone_are_held),
                TEST(held_job_neither_waits_nor_starts),
                TEST(released_jobs_wait_in_their_order),
                TEST(only_named_held_jobs_are_released),
                TEST(cancelled_job_is_held_no_more),
                TEST(held_job_in_progress_is_an_orphan_to_everybody),
                TEST(interrupted_job_stays_held_when_it_waits_again),
                TEST(interrupted_job_that_fails_is_held_no_more),
                TEST(job_is_shown_as_held_only_while_it_is),
                TEST(totals_count_each_image_once),
                TEST(uploads_of_unfinished_jobs_are_images_as_well),
                TEST(images_come_once_in_the_order_of_their_names),
                TEST(what_was_held_is_one_file_of_its_own),
                TEST(newer_version_is_told_from_what_is_not_ours),
                TEST(damage_is_found_by_the_thorough_check_alone),
                TEST(what_no_store_has_written_is_refused),
                TEST(triggers_do_not_run),
        };

        return cmocka_run_group_tests_name("state-database", tests, NULL, NULL);
}
