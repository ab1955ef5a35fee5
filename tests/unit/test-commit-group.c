/* Group commit: what shares an fsync, what waits for it, and what a failing disk leaves of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "fault-vfs.h"
#include "store/commit-group.h"

#define TURN_USEC (5 * USEC_PER_SEC)  /* a turn that lasts so long never comes */

typedef struct Fixture {
        char folder[64], path[96];
        sd_event *event;
        CommitGroup *group;
        unsigned commits, failures, reopenings;
        int failure;                /* that the hook is to be told; 0: -EIO */
        size_t last_commit;
} Fixture;

typedef struct TestWrite {
        Write write;
        Fixture *fixture;
        Job job;
        struct TestWrite *then;     /* added by `done` */
        int error;                  /* of apply, instead of a submission */
        bool breaks;                /* SQLite rolls the whole group back */
        bool stands;                /* settle() submits it again */
        bool done;
        int result;
        unsigned syncs, commits;    /* when it was told */
} TestWrite;

/* ------------------------------------------------------------------ fixture */

static void on_committed(size_t writes, void *userdata) {
        Fixture *fixture = userdata;

        fixture->commits++;
        fixture->last_commit = writes;
}

static void on_failed(int error, void *userdata) {
        Fixture *fixture = userdata;

        assert_int_equal(error, fixture->failure < 0 ? fixture->failure : -EIO);
        assert_null(commit_group_store(fixture->group));
        fixture->failures++;
}

static void on_reopened(void *userdata) {
        Fixture *fixture = userdata;

        assert_non_null(commit_group_store(fixture->group));
        fixture->reopenings++;
}

static void open_group(Fixture *fixture) {
        static const CommitGroupHooks hooks = { on_committed, on_failed, on_reopened };

        assert_int_equal(commit_group_new(&fixture->group, fixture->event, fixture->path, &hooks, fixture), 0);
}

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        memset(&disk, 0, sizeof(disk));
        (void) strcpy(fixture->folder, "/tmp/atelier-commit-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        (void) snprintf(fixture->path, sizeof(fixture->path), "%s/db", fixture->folder);
        assert_true(sd_event_new(&fixture->event) >= 0);
        open_group(fixture);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        static const char *const suffixes[] = { "", "-wal", "-shm", ".other", ".other-wal", ".former", ".former-wal" };
        Fixture *fixture = *state;

        memset(&disk, 0, sizeof(disk));
        fixture->group = commit_group_free(fixture->group);
        sd_event_unref(fixture->event);
        for (size_t i = 0; i < ELEMENTS(suffixes); i++) {
                char path[112];

                (void) snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
                (void) unlink(path);
        }
        assert_int_equal(rmdir(fixture->folder), 0);
        free(fixture);
        return 0;
}

static int apply(Write *base, Store *store) {
        TestWrite *write = CONTAINER_OF(base, TestWrite, write);

        if (write->breaks)
                store_group_rollback(store);
        return write->error != 0 ? write->error : store_submit(store, &write->job, NULL, NULL);
}

static int settle(Write *base, Store *store) {
        TestWrite *write = CONTAINER_OF(base, TestWrite, write);
        Job *job;
        int r;

        assert_false(write->done);
        if (write->stands) {
                r = store_submit(store, &write->job, NULL, NULL);
                return r < 0 ? r : WRITE_STANDS;
        }
        r = store_get(store, write->job.id, &job);
        if (r != 0)
                return MIN(r, 0);
        job->status = JOB_CANCELLED;
        r = store_end_queued(store, job);
        job_free(job);
        return r;
}

static void done(Write *base, int result) {
        TestWrite *write = CONTAINER_OF(base, TestWrite, write);

        assert_false(write->done);
        write->done = true;
        write->result = result;
        write->syncs = disk.wal_syncs;
        write->commits = write->fixture->commits;
        if (write->then)
                commit_group_add(write->fixture->group, &write->then->write);
}

/* Jobs are numbered by the caller: equal numbers are one job. */
static TestWrite *init_write(TestWrite *write, Fixture *fixture, unsigned number) {
        *write = (TestWrite) {
                .write = { .apply = apply, .settle = settle, .done = done },
                .fixture = fixture,
                .job = {
                        .model = (char *) "m",
                        .response_format = (char *) "url",
                        .request = (char *) "{}",
                        .created_at = 1,
                },
        };
        (void) snprintf(write->job.id, sizeof(write->job.id), JOB_ID_PREFIX "%032x", number);
        return write;
}

static void add(Fixture *fixture, TestWrite *write, unsigned number) {
        commit_group_add(fixture->group, &init_write(write, fixture, number)->write);
}

static TestWrite *add_many(Fixture *fixture, unsigned count) {
        TestWrite *writes = calloc(count, sizeof(*writes));

        for (unsigned i = 0; i < count; i++)
                add(fixture, &writes[i], i);
        return writes;
}

/* Runs what is ready now; the test fails if nothing is. No timer has a part in it. */
static void turn(Fixture *fixture) {
        assert_true(sd_event_run(fixture->event, 0) > 0);
}

static void turn_until(Fixture *fixture, const bool *condition) {
        while (!*condition)
                assert_true(sd_event_run(fixture->event, TURN_USEC) > 0);
}

static int status_of(Fixture *fixture, const TestWrite *write) {
        Job *job;
        int status, r;

        r = store_get(commit_group_store(fixture->group), write->job.id, &job);
        if (r != 0) {
                assert_int_equal(r, STORE_NOT_FOUND);
                return JOB_STATUS_INVALID;
        }
        status = job->status;
        job_free(job);
        return status;
}

/* The first commit after a checkpoint writes and syncs the head of the WAL as well. */
static void warm_up(Fixture *fixture) {
        TestWrite write;

        add(fixture, &write, 0xffffffff);
        turn(fixture);
        assert_int_equal(write.result, 0);
        disk.wal_syncs = 0;
        fixture->commits = 0;
}

/* ------------------------------------------------------------------ sharing */

static void test_writes_of_one_turn_share_one_fsync(void **state) {
        Fixture *fixture = *state;
        TestWrite *writes;

        warm_up(fixture);
        disk.sync_delay_usec = 5000;
        writes = add_many(fixture, 64);
        assert_false(writes[0].done);
        turn(fixture);

        assert_int_equal(disk.wal_syncs, 1);
        assert_int_equal(fixture->commits, 1);
        assert_int_equal(fixture->last_commit, 64);
        for (unsigned i = 0; i < 64; i++) {
                assert_true(writes[i].done);
                assert_int_equal(writes[i].result, 0);
                assert_int_equal(writes[i].syncs, 1);  /* told after it, not before */
        }
        free(writes);
}

static void test_lone_writer_waits_for_one_fsync_and_no_timer(void **state) {
        Fixture *fixture = *state;

        warm_up(fixture);
        for (unsigned i = 1; i <= 100; i++) {
                TestWrite write;

                add(fixture, &write, i);
                turn(fixture);
                assert_true(write.done);
                assert_int_equal(write.result, 0);
                assert_int_equal(disk.wal_syncs, i);
        }
}

static int apply_reading(Write *base, Store *store) {
        TestWrite *write = CONTAINER_OF(base, TestWrite, write);
        Job *job;
        int r = store_get(store, write->job.id, &job);

        if (r == 0)
                job_free(job);
        return r;
}

static void test_reading_alone_costs_no_fsync(void **state) {
        Fixture *fixture = *state;
        TestWrite write;

        warm_up(fixture);
        init_write(&write, fixture, 0xffffffff)->write.apply = apply_reading;
        commit_group_add(fixture->group, &write.write);
        turn(fixture);
        assert_true(write.done);
        assert_int_equal(write.result, 0);
        assert_int_equal(disk.wal_syncs, 0);
}

static void test_bad_write_fails_alone(void **state) {
        Fixture *fixture = *state;
        TestWrite before, bad, again, after;

        add(fixture, &before, 1);
        init_write(&bad, fixture, 2)->error = -EINVAL;
        commit_group_add(fixture->group, &bad.write);
        add(fixture, &again, 1);
        add(fixture, &after, 3);
        turn(fixture);

        assert_int_equal(before.result, 0);
        assert_int_equal(bad.result, -EINVAL);
        assert_int_equal(again.result, STORE_EXISTS);
        assert_int_equal(after.result, 0);
        assert_int_equal(status_of(fixture, &before), JOB_QUEUED);
        assert_int_equal(status_of(fixture, &bad), JOB_STATUS_INVALID);
        assert_int_equal(status_of(fixture, &after), JOB_QUEUED);
}

/* A source that always has something to do, before the commit's turn. */
static int always_ready(_unused_ sd_event_source *source, void *userdata) {
        (*(unsigned *) userdata)++;
        return 0;
}

static sd_event_source *add_always_ready(Fixture *fixture, unsigned *turns) {
        sd_event_source *source;

        assert_true(sd_event_add_defer(fixture->event, &source, always_ready, turns) >= 0);
        assert_true(sd_event_source_set_enabled(source, SD_EVENT_ON) >= 0);
        return source;
}

static void test_full_group_goes_before_everything_else(void **state) {
        Fixture *fixture = *state;
        unsigned turns = 0;
        sd_event_source *source = add_always_ready(fixture, &turns);
        TestWrite *writes = add_many(fixture, COMMIT_GROUP_MAX);

        turn(fixture);
        assert_int_equal(fixture->last_commit, COMMIT_GROUP_MAX);
        assert_true(writes[COMMIT_GROUP_MAX - 1].done);
        sd_event_source_disable_unref(source);
        free(writes);
}

static void test_busy_loop_does_not_hold_a_group_open(void **state) {
        Fixture *fixture = *state;
        unsigned turns = 0;
        sd_event_source *source = add_always_ready(fixture, &turns);
        usec_t before = time_now_monotonic();
        TestWrite *writes = add_many(fixture, COMMIT_GROUP_MAX - 1);

        turn(fixture);
        turn(fixture);
        while (!writes[0].done && time_now_monotonic() < before + 10 * USEC_PER_SEC)
                turn(fixture);
        assert_true(writes[0].done);
        assert_true(turns > 0);
        sd_event_source_disable_unref(source);
        free(writes);
}

static void test_what_done_adds_is_of_the_next_group(void **state) {
        Fixture *fixture = *state;
        TestWrite first, second, third;

        init_write(&third, fixture, 3);
        init_write(&second, fixture, 2)->then = &third;
        init_write(&first, fixture, 1)->then = &second;
        commit_group_add(fixture->group, &first.write);
        turn(fixture);
        assert_true(first.done);
        assert_false(second.done);
        turn(fixture);
        turn(fixture);
        assert_int_equal(third.result, 0);
        assert_int_equal(first.commits, 1);
        assert_int_equal(second.commits, 2);
        assert_int_equal(third.commits, 3);
}

static void test_freeing_commits_what_is_open(void **state) {
        Fixture *fixture = *state;
        TestWrite write;

        add(fixture, &write, 1);
        fixture->group = commit_group_free(fixture->group);
        assert_true(write.done);
        assert_int_equal(write.result, 0);
        open_group(fixture);
        assert_int_equal(status_of(fixture, &write), JOB_QUEUED);
}

/* ------------------------------------------------------------------ no space */

static void test_full_disk_fails_the_group_and_heals(void **state) {
        Fixture *fixture = *state;
        TestWrite *writes, after;

        warm_up(fixture);
        disk.full = true;
        writes = add_many(fixture, 8);
        turn(fixture);
        for (unsigned i = 0; i < 8; i++) {
                assert_int_equal(writes[i].result, -ENOSPC);
                assert_int_equal(status_of(fixture, &writes[i]), JOB_STATUS_INVALID);
        }
        assert_int_equal(fixture->commits, 0);
        assert_int_equal(fixture->failures, 0);

        disk.full = false;
        add(fixture, &after, 9);
        turn(fixture);
        assert_int_equal(after.result, 0);
        free(writes);
}

static void test_group_that_sqlite_rolled_back_fails_whole(void **state) {
        Fixture *fixture = *state;
        TestWrite before, breaking, after, next;

        add(fixture, &before, 1);
        init_write(&breaking, fixture, 2)->error = -ENOSPC;
        breaking.breaks = true;
        commit_group_add(fixture->group, &breaking.write);
        add(fixture, &after, 3);
        turn(fixture);
        assert_int_equal(before.result, -ENOSPC);
        assert_int_equal(breaking.result, -ENOSPC);
        assert_int_equal(after.result, -ENOSPC);
        assert_int_equal(status_of(fixture, &before), JOB_STATUS_INVALID);
        assert_int_equal(status_of(fixture, &after), JOB_STATUS_INVALID);
        assert_int_equal(fixture->failures, 0);

        add(fixture, &next, 4);
        turn(fixture);
        assert_int_equal(next.result, 0);
}

/* ------------------------------------------------------------------ a failed fsync */

/* The commit fails, and closing the store does not get rid of it either: what was refused is in the WAL. */
#define COMMIT_AND_CLOSE 3
#define SETTLING 8  /* behind the checkpoint of the opening */

static void test_refused_submission_that_reached_the_disk_is_cancelled(void **state) {
        Fixture *fixture = *state;
        TestWrite *writes, after;

        warm_up(fixture);
        disk.failing_syncs = COMMIT_AND_CLOSE;
        writes = add_many(fixture, 4);
        turn(fixture);
        assert_int_equal(fixture->failures, 1);
        assert_int_equal(fixture->reopenings, 1);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(writes[i].result, -EIO);
                assert_int_equal(status_of(fixture, &writes[i]), JOB_CANCELLED);
        }

        add(fixture, &after, 9);
        turn(fixture);
        assert_int_equal(after.result, 0);
        free(writes);
}

static void test_refused_submission_that_did_not_is_not_there(void **state) {
        Fixture *fixture = *state;
        TestWrite write;

        warm_up(fixture);
        disk.failing_syncs = 1;
        add(fixture, &write, 1);
        turn(fixture);
        assert_int_equal(write.result, -EIO);
        assert_int_equal(status_of(fixture, &write), JOB_STATUS_INVALID);
        assert_int_equal(fixture->reopenings, 1);
}

static void test_write_that_settles_to_stand_is_told_so(void **state) {
        Fixture *fixture = *state;
        TestWrite standing, falling, bad;

        warm_up(fixture);
        disk.failing_syncs = 1;
        init_write(&standing, fixture, 1)->stands = true;
        commit_group_add(fixture->group, &standing.write);
        add(fixture, &falling, 2);
        init_write(&bad, fixture, 3)->error = -EINVAL;
        commit_group_add(fixture->group, &bad.write);
        turn(fixture);
        assert_int_equal(standing.result, 0);
        assert_int_equal(falling.result, -EIO);
        assert_int_equal(bad.result, -EINVAL);
        assert_int_equal(status_of(fixture, &standing), JOB_QUEUED);
        assert_int_equal(status_of(fixture, &falling), JOB_STATUS_INVALID);
}

static int settle_claim(Write *base, Store *store) {
        TestWrite *write = CONTAINER_OF(base, TestWrite, write);
        Job *job;
        int r;

        r = store_get(store, write->job.id, &job);
        if (r != 0)
                return MIN(r, 0);
        assert_int_equal(job->status, JOB_IN_PROGRESS);
        job->attempts[0].outcome = ATTEMPT_UNSENT;
        job->status = JOB_QUEUED;
        r = store_end_attempt(store, job, NULL, NULL);
        job_free(job);
        return r;
}

static int apply_claim(Write *base, Store *store) {
        _cleanup_(job_freep) Job *job = NULL;

        return store_start_attempt(store, CONTAINER_OF(base, TestWrite, write)->job.id, "box", "lease", 1, &job);
}

/* A job that is submitted and claimed by one commit: the claim is taken back, then the job is cancelled. */
static void test_last_write_is_settled_first(void **state) {
        Fixture *fixture = *state;
        TestWrite submission, claim;

        warm_up(fixture);
        disk.failing_syncs = COMMIT_AND_CLOSE;
        add(fixture, &submission, 1);
        init_write(&claim, fixture, 1)->write.apply = apply_claim;
        claim.write.settle = settle_claim;
        commit_group_add(fixture->group, &claim.write);
        turn(fixture);
        assert_int_equal(submission.result, -EIO);
        assert_int_equal(claim.result, -EIO);
        assert_int_equal(status_of(fixture, &submission), JOB_CANCELLED);
}

static void test_nobody_is_told_before_doubt_is_settled(void **state) {
        Fixture *fixture = *state;
        TestWrite doubtful, refused;

        warm_up(fixture);
        disk.broken = true;
        add(fixture, &doubtful, 1);
        turn(fixture);
        assert_null(commit_group_store(fixture->group));
        assert_false(doubtful.done);

        /* Meanwhile writes are refused at once: they have touched nothing. */
        add(fixture, &refused, 2);
        turn(fixture);
        assert_true(refused.done);
        assert_int_equal(refused.result, -EIO);
        assert_false(doubtful.done);

        disk.broken = false;
        turn_until(fixture, &doubtful.done);
        assert_int_equal(doubtful.result, -EIO);
        assert_int_equal(status_of(fixture, &doubtful), JOB_CANCELLED);
        assert_int_equal(status_of(fixture, &refused), JOB_STATUS_INVALID);
        assert_int_equal(fixture->failures, 1);
        assert_int_equal(fixture->reopenings, 1);
}

static void test_store_that_fails_while_it_settles_is_opened_once_more(void **state) {
        Fixture *fixture = *state;
        TestWrite doubtful, standing;

        warm_up(fixture);
        init_write(&standing, fixture, 1)->stands = true;
        commit_group_add(fixture->group, &standing.write);
        add(fixture, &doubtful, 2);
        disk.failing_syncs = COMMIT_AND_CLOSE | SETTLING;
        turn(fixture);
        assert_false(doubtful.done);
        assert_int_equal(disk.failing_syncs, 0);

        turn_until(fixture, &doubtful.done);
        assert_int_equal(doubtful.result, -EIO);
        assert_int_equal(standing.result, 0);
        assert_int_equal(status_of(fixture, &doubtful), JOB_CANCELLED);
        assert_int_equal(status_of(fixture, &standing), JOB_QUEUED);
}

static void test_freeing_in_doubt_tells_nothing(void **state) {
        Fixture *fixture = *state;
        TestWrite write;

        warm_up(fixture);
        disk.broken = true;
        add(fixture, &write, 1);
        turn(fixture);
        fixture->group = commit_group_free(fixture->group);
        assert_true(write.done);
        assert_int_equal(write.result, -ECANCELED);
}

static void test_done_may_add_after_the_reopening(void **state) {
        Fixture *fixture = *state;
        TestWrite failing, next;

        warm_up(fixture);
        init_write(&next, fixture, 2);
        disk.failing_syncs = COMMIT_AND_CLOSE;
        init_write(&failing, fixture, 1)->then = &next;
        commit_group_add(fixture->group, &failing.write);
        turn(fixture);
        assert_int_equal(failing.result, -EIO);
        turn(fixture);
        assert_int_equal(next.result, 0);
        assert_int_equal(status_of(fixture, &next), JOB_QUEUED);
}

/* ------------------------------------------------------------------ another file */

#define OTHER_JOB 50  /* of the file that takes the place of the first */

typedef struct Replacement {
        Fixture *fixture;
        unsigned replaced, put_back;
        int error;              /* of replace() */
} Replacement;

static void rename_file(const Fixture *fixture, const char *from, const char *to) {
        char old_path[112], new_path[112];

        (void) snprintf(old_path, sizeof(old_path), "%s%s", fixture->path, from);
        (void) snprintf(new_path, sizeof(new_path), "%s%s", fixture->path, to);
        assert_int_equal(rename(old_path, new_path), 0);
}

static int replace(void *userdata) {
        Replacement *replacement = userdata;

        assert_null(commit_group_store(replacement->fixture->group));
        replacement->replaced++;
        if (replacement->error < 0)
                return replacement->error;
        rename_file(replacement->fixture, "", ".former");
        rename_file(replacement->fixture, ".other", "");
        return 0;
}

static void put_back(void *userdata) {
        Replacement *replacement = userdata;

        replacement->put_back++;
        if (replacement->error < 0)
                return;
        rename_file(replacement->fixture, "", ".other");
        rename_file(replacement->fixture, ".former", "");
}

/* A file with one job. */
static void make_other(Fixture *fixture) {
        TestWrite write;
        char path[112];
        Store *store;

        (void) snprintf(path, sizeof(path), "%s.other", fixture->path);
        assert_int_equal(store_open(&store, path), 0);
        assert_int_equal(store_group_begin(store), 0);
        assert_int_equal(store_submit(store, &init_write(&write, fixture, OTHER_JOB)->job, NULL, NULL), 0);
        assert_int_equal(store_group_commit(store), 0);
        (void) store_free(store);
}

static int replace_file(Replacement *replacement) {
        return commit_group_replace(replacement->fixture->group, replace, put_back, replacement);
}

/* Whether the store in use is the other file's. */
static void check_other(Fixture *fixture, bool other) {
        TestWrite write;

        assert_int_equal(status_of(fixture, init_write(&write, fixture, OTHER_JOB)),
                         other ? JOB_QUEUED : JOB_STATUS_INVALID);
        add(fixture, &write, 60);
        turn(fixture);
        assert_int_equal(write.result, 0);
        assert_int_equal(status_of(fixture, &write), JOB_QUEUED);
}

static void test_file_is_replaced_between_two_groups(void **state) {
        Fixture *fixture = *state;
        Replacement replacement = { .fixture = fixture };
        TestWrite first, second;

        make_other(fixture);
        init_write(&second, fixture, 2);
        init_write(&first, fixture, 1)->then = &second;
        commit_group_add(fixture->group, &first.write);
        assert_int_equal(replace_file(&replacement), 0);
        assert_int_equal(replacement.put_back, 0);

        /* What was open, and what came of that, was told and is in the former file. */
        assert_true(first.done && second.done);
        assert_int_equal(first.result, 0);
        assert_int_equal(second.result, 0);
        check_other(fixture, true);
        assert_int_equal(status_of(fixture, &first), JOB_STATUS_INVALID);
        fixture->group = commit_group_free(fixture->group);
        put_back(&replacement);
        open_group(fixture);
        assert_int_equal(status_of(fixture, &first), JOB_QUEUED);
        assert_int_equal(status_of(fixture, &second), JOB_QUEUED);
}

static void test_replacement_that_fails_leaves_the_file(void **state) {
        Fixture *fixture = *state;
        Replacement replacement = { .fixture = fixture, .error = -ENOTDIR };
        TestWrite before;

        add(fixture, &before, 1);
        turn(fixture);
        assert_int_equal(replace_file(&replacement), -ENOTDIR);
        assert_int_equal(replacement.put_back, 1);
        assert_int_equal(fixture->failures, 0);
        assert_int_equal(status_of(fixture, &before), JOB_QUEUED);
        check_other(fixture, false);
}

static void test_file_that_is_no_store_is_put_back(void **state) {
        Fixture *fixture = *state;
        Replacement replacement = { .fixture = fixture };
        TestWrite before;

        make_other(fixture);
        add(fixture, &before, 1);
        turn(fixture);
        disk.failing_opens = 1;
        assert_true(replace_file(&replacement) < 0);
        assert_int_equal(replacement.replaced, 1);
        assert_int_equal(replacement.put_back, 1);
        assert_int_equal(fixture->failures, 0);
        assert_int_equal(status_of(fixture, &before), JOB_QUEUED);
        check_other(fixture, false);
}

static void test_file_that_cannot_be_opened_again_is_opened_later(void **state) {
        Fixture *fixture = *state;
        Replacement replacement = { .fixture = fixture };
        TestWrite before, between;

        make_other(fixture);
        add(fixture, &before, 1);
        turn(fixture);
        disk.failing_opens = 2;
        fixture->failure = -EACCES;
        assert_int_equal(replace_file(&replacement), -EACCES);
        assert_int_equal(replacement.put_back, 1);
        assert_int_equal(fixture->failures, 1);
        assert_null(commit_group_store(fixture->group));
        add(fixture, &between, 2);
        turn(fixture);
        assert_int_equal(between.result, -EIO);

        while (fixture->reopenings == 0)
                assert_true(sd_event_run(fixture->event, TURN_USEC) > 0);
        assert_int_equal(status_of(fixture, &before), JOB_QUEUED);
        check_other(fixture, false);
}

static void test_closed_store_is_not_replaced(void **state) {
        Fixture *fixture = *state;
        Replacement replacement = { .fixture = fixture };
        TestWrite write;

        warm_up(fixture);
        disk.broken = true;
        add(fixture, &write, 1);
        assert_int_equal(replace_file(&replacement), -EIO);
        assert_null(commit_group_store(fixture->group));
        assert_int_equal(replacement.replaced, 0);
        assert_int_equal(replacement.put_back, 0);
        assert_false(write.done);  /* its outcome is known when the store is open again */
        disk.broken = false;
        turn_until(fixture, &write.done);
        assert_int_equal(write.result, -EIO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(writes_of_one_turn_share_one_fsync),
                TEST(lone_writer_waits_for_one_fsync_and_no_timer),
                TEST(reading_alone_costs_no_fsync),
                TEST(bad_write_fails_alone),
                TEST(full_group_goes_before_everything_else),
                TEST(what_done_adds_is_of_the_next_group),
                TEST(busy_loop_does_not_hold_a_group_open),
                TEST(freeing_commits_what_is_open),
                TEST(full_disk_fails_the_group_and_heals),
                TEST(group_that_sqlite_rolled_back_fails_whole),
                TEST(refused_submission_that_reached_the_disk_is_cancelled),
                TEST(refused_submission_that_did_not_is_not_there),
                TEST(write_that_settles_to_stand_is_told_so),
                TEST(last_write_is_settled_first),
                TEST(nobody_is_told_before_doubt_is_settled),
                TEST(store_that_fails_while_it_settles_is_opened_once_more),
                TEST(freeing_in_doubt_tells_nothing),
                TEST(done_may_add_after_the_reopening),
                TEST(file_is_replaced_between_two_groups),
                TEST(replacement_that_fails_leaves_the_file),
                TEST(file_that_is_no_store_is_put_back),
                TEST(file_that_cannot_be_opened_again_is_opened_later),
                TEST(closed_store_is_not_replaced),
        };

        fault_vfs_install();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
