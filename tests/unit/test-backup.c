/* The tasks backup, verify and restore, as their callers see them, against a worker that can do wrong. */
#include "scheduler-fixture.h"

/* ------------------------------------------------------------------ backup */

static void test_a_backup_makes_an_archive(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call = wait_for(begin_backup(f, false));
        BackupFile file;

        assert_string_equal(run_text(call, "result"), "succeeded");
        assert_int_equal(backup_folder_find(f->backups, NULL, &file), 0);
        assert_non_null(strstr(run_text(call, "message"), file.name.text));
        assert_true(json_get_integer(json_get_object(call->reply, "run"), "ended_at", 0) > 0);
        assert_int_equal(json_get_integer(call->reply, "total", 0), json_get_integer(call->reply, "done", 1));
        assert_int_equal(count_files(f), 1);
}

static void test_with_more_the_run_is_told_when_it_begins(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call = wait_for(begin_backup(f, true));
        const JsonValue *first = json_get_object(call->first, "run");

        assert_true(call->replies >= 2);
        assert_string_equal(json_get_string(first, "result"), "running");
        assert_false(json_has(first, "ended_at"));
        assert_string_equal(json_get_string(first, "id"), run_text(call, "id"));
        assert_string_equal(run_text(call, "result"), "succeeded");
}

static void test_a_task_that_there_is_not(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call = wait_for(begin_call(f, "io.atelier.Tasks.Run", "task", "restore", false));

        assert_string_equal(call->error, "io.atelier.Tasks.TaskNotFound");
        assert_string_equal(json_get_string(call->reply, "task"), "restore");
}

/* The next run removes what a cut-off one has left. */
static void test_leftovers_are_removed(void **state) {
        SchedulerFixture *f = *state;

        folder_write(f->folder, "backups/.atelier-20261123T020000Z-abc123.partial", "cut off");
        folder_write(f->folder, "backups/notes.txt", "not ours");
        (void) make_backup(f);
        assert_int_equal(count_files(f), 2);
}

static void assert_backup_fails(SchedulerFixture *f, const char *expected) {
        FixtureCall *call = wait_for(begin_backup(f, false));

        assert_string_equal(call->error, "");
        assert_string_equal(run_text(call, "result"), "failed");
        if (!strstr(run_text(call, "message"), expected))
                fail_msg("'%s' is not in: %s", expected, run_text(call, "message"));
}

/* There is an archive, and somebody looks. */
static void test_an_image_that_has_decayed_fails_the_backup(void **state) {
        SchedulerFixture *f = *state;
        char name[128];

        (void) snprintf(name, sizeof(name), "images/ff/%064d.png", 0);
        (void) memset(name + strlen("images/ff/"), 'f', 64);
        f->worker.n_members = 1;
        add_member(f, name, 1000);
        assert_backup_fails(f, name);
        assert_int_equal(count_files(f), 1);
}

static void test_members_that_do_not_come_fail_the_backup(void **state) {
        SchedulerFixture *f = *state;

        f->worker.faults.keep_back = 1;
        assert_backup_fails(f, "makes no sense");
        assert_int_equal(count_files(f), 0);
}

static void test_a_worker_that_ends_in_the_middle_fails_the_backup(void **state) {
        SchedulerFixture *f = *state;

        f->worker.faults.leave = true;
        assert_backup_fails(f, "the worker ended in the middle");
        assert_int_equal(count_files(f), 0);
}

static void test_a_busy_worker_fails_the_backup(void **state) {
        SchedulerFixture *f = *state;

        f->worker.faults.refuse = "io.atelier.Store.Busy";
        assert_backup_fails(f, "busy with another snapshot or adoption");
        assert_int_equal(count_files(f), 0);
}

static void test_a_worker_that_is_not_there_fails_the_backup(void **state) {
        SchedulerFixture *f = *state;

        fake_worker_stop(f);
        assert_backup_fails(f, "systemctl start atelier-worker.socket");
}

static void test_a_folder_that_is_missing_fails_the_backup(void **state) {
        SchedulerFixture *f = *state;

        assert_int_equal(rmdir(f->backups), 0);
        assert_backup_fails(f, f->backups);
}

static void test_missing_images_make_a_whole_archive_and_a_failed_run(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call;
        BackupFile file;

        f->worker.faults.missing = 5;
        assert_backup_fails(f, "lacks 5 images");
        assert_int_equal(backup_folder_find(f->backups, NULL, &file), 0);
        call = wait_for(begin_call(f, "io.atelier.Backups.Verify", "name", file.name.text, false));
        assert_string_equal(call->error, "");
}

/* ------------------------------------------------------------------ one at a time, and whatever becomes of callers */

/* A backup that the worker keeps waiting. */
static FixtureCall *begin_hanging_backup(SchedulerFixture *f) {
        FixtureCall *call;

        f->worker.faults.hang = true;
        call = begin_backup(f, false);
        WAIT_UNTIL(f, f->worker.kept);
        return call;
}

static void test_a_second_backup_is_told_of_the_first(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call;

        (void) begin_hanging_backup(f);
        call = wait_for(begin_backup(f, false));
        assert_string_equal(call->error, "io.atelier.Tasks.TaskRunning");
        assert_string_equal(run_text(call, "task"), "backup");
        assert_string_equal(run_text(call, "result"), "running");
}

static void test_a_restore_waits_for_no_backup_but_a_verification_runs_beside_it(void **state) {
        SchedulerFixture *f = *state;
        const char *name = make_backup(f);
        FixtureCall *call;

        (void) begin_hanging_backup(f);
        call = wait_for(begin_call(f, "io.atelier.Backups.Restore", "name", name, false));
        assert_string_equal(call->error, "io.atelier.Backups.Busy");
        assert_string_equal(json_get_string(call->reply, "task"), "backup");
        assert_true(json_get_integer(call->reply, "started_at", 0) > 0);
        assert_string_equal(wait_for(begin_call(f, "io.atelier.Backups.Verify", "name", name, false))->error, "");
}

static const RunRecord *newest_run(SchedulerFixture *f) {
        return run_history_at(f->manager->history, 0);
}

static void test_a_run_goes_on_when_its_caller_goes(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call = begin_hanging_backup(f);

        call->client = varlink_client_free(call->client);
        WAIT_UNTIL(f, !runs_in_lane(f->manager->runs, TASK_LANE_STATE)->call);
        f->worker.faults.hang = false;
        varlink_call_abandon(f->worker.kept);
        f->worker.kept = NULL;
        WAIT_UNTIL(f, !runs_in_lane(f->manager->runs, TASK_LANE_STATE));
        assert_int_equal(newest_run(f)->result, RUN_FAILED);
        (void) make_backup(f);
}

static void test_a_run_without_a_sign_of_life_stops_the_watchdog(void **state) {
        SchedulerFixture *f = *state;
        Run *run;

        (void) begin_hanging_backup(f);
        assert_true(scheduler_service_kind.healthy(f->manager));
        run = (Run *) runs_in_lane(f->manager->runs, TASK_LANE_STATE);
        run->touched_at -= RUN_STALL_USEC - USEC_PER_MINUTE;
        assert_true(scheduler_service_kind.healthy(f->manager));
        run->touched_at -= USEC_PER_MINUTE;
        assert_false(scheduler_service_kind.healthy(f->manager));
        task_touch(run->context);
        assert_true(scheduler_service_kind.healthy(f->manager));
}

/* What SIGTERM does to what runs. */
static void test_a_stop_ends_the_run_and_is_recorded(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call = begin_hanging_backup(f);

        scheduler_service_kind.quiesce(f->manager);
        (void) wait_for(call);
        assert_string_equal(run_text(call, "result"), "failed");
        assert_string_equal(run_text(call, "message"), "stopped");
        assert_string_equal(newest_run(f)->message, "stopped");
        assert_int_equal(count_files(f), 0);
}

static void test_an_end_in_the_middle_leaves_nothing_behind(void **state) {
        SchedulerFixture *f = *state;

        (void) begin_hanging_backup(f);
        scheduler_restart(f);
        assert_int_equal(newest_run(f)->result, RUN_FAILED);
        assert_int_equal(count_files(f), 0);
}

static void test_a_run_that_a_crash_cut_off_is_found(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call;

        assert_int_equal(run_history_begin(f->manager->history, "0123456789abcdef0123456789abcdef", "backup", 1), 0);
        scheduler_restart(f);
        call = wait_for(begin_call(f, "io.atelier.Tasks.History", "task", "backup", false));
        assert_string_equal(json_get_string(cJSON_GetArrayItem(json_get_array(call->reply, "runs"), 0), "result"),
                            "interrupted");
}

/* ------------------------------------------------------------------ what is told of them */

static void test_history_and_lists(void **state) {
        SchedulerFixture *f = *state;
        const char *name = make_backup(f);
        const JsonValue *item;
        FixtureCall *call;

        assert_string_equal(wait_for(begin_call(f, "io.atelier.Backups.Verify", NULL, NULL, false))->error, "");
        call = wait_for(begin_call(f, "io.atelier.Tasks.History", NULL, NULL, false));
        assert_int_equal(cJSON_GetArraySize(json_get_array(call->reply, "runs")), 2);
        item = cJSON_GetArrayItem(json_get_array(call->reply, "runs"), 0);
        assert_string_equal(json_get_string(item, "task"), "verify");
        call = wait_for(begin_call(f, "io.atelier.Tasks.History", "task", "nonsense", false));
        assert_string_equal(call->error, "io.atelier.Tasks.TaskNotFound");

        call = wait_for(begin_call(f, "io.atelier.Tasks.List", NULL, NULL, false));
        item = cJSON_GetArrayItem(json_get_array(call->reply, "tasks"), 0);
        assert_string_equal(json_get_string(item, "name"), "backup");
        assert_string_equal(json_get_string(json_get_object(item, "last"), "result"), "succeeded");

        call = wait_for(begin_call(f, "io.atelier.Backups.List", NULL, NULL, false));
        item = cJSON_GetArrayItem(json_get_array(call->reply, "backups"), 0);
        assert_string_equal(json_get_string(item, "name"), name);
        assert_true(json_get_integer(item, "size_bytes", 0) > 0);
}

static char *status_of(SchedulerFixture *f) {
        Buffer text = {};

        scheduler_service_kind.status(&text, f->manager);
        return buffer_take_text(&text);
}

static void test_the_status_line_says_what_is_done(void **state) {
        SchedulerFixture *f = *state;
        _cleanup_free_ char *fresh = status_of(f), *after = NULL, *during = NULL;

        assert_string_equal(fresh, "idle, no backup yet");
        (void) make_backup(f);
        after = status_of(f);
        assert_non_null(strstr(after, "idle, last backup 20"));
        (void) begin_hanging_backup(f);
        WAIT_UNTIL(f, task_total(runs_in_lane(f->manager->runs, TASK_LANE_STATE)->context) > 0);
        during = status_of(f);
        assert_non_null(strstr(during, "backing up, "));
        assert_non_null(strstr(during, " of 3.5 MB"));
}

static void test_metrics_tell_of_the_last_backup(void **state) {
        SchedulerFixture *f = *state;
        _cleanup_(buffer_done) Buffer text = {};
        char line[128];

        (void) make_backup(f);
        f->worker.faults.leave = true;
        (void) wait_for(begin_backup(f, false));
        assert_int_equal(scheduler_service_kind.metrics(&text, f->manager), 0);
        assert_int_equal(buffer_append(&text, "", 1), 0);
        (void) snprintf(line, sizeof(line), "genai_backup_last_size_bytes %llu\n",
                        (unsigned long long) f->manager->newest.size_bytes);
        assert_non_null(strstr((char *) text.data, line));
        assert_non_null(strstr((char *) text.data, "genai_task_runs_total{task=\"backup\",result=\"succeeded\"} 1\n"));
        assert_non_null(strstr((char *) text.data, "genai_task_runs_total{task=\"backup\",result=\"failed\"} 1\n"));
        assert_non_null(strstr((char *) text.data, "genai_task_duration_seconds_count{task=\"backup\"} 2\n"));
        assert_null(strstr((char *) text.data, "genai_backup_last_success_timestamp_seconds 0\n"));
}

/* ------------------------------------------------------------------ verify */

static void test_an_archive_is_verified(void **state) {
        SchedulerFixture *f = *state;
        const char *name = make_backup(f);
        FixtureCall *call = wait_for(begin_call(f, "io.atelier.Backups.Verify", NULL, NULL, false));

        assert_string_equal(json_get_string(call->reply, "name"), name);
        assert_int_equal(json_get_integer(call->reply, "members", 0), f->worker.n_members);
        assert_int_equal(json_get_integer(call->reply, "done", 0), json_get_integer(call->reply, "total", -1));
}

/* The byte in the middle of the newest archive becomes another. */
static void spoil_archive(SchedulerFixture *f, const char *name) {
        _cleanup_free_ char *path = text_format("%s/%s", f->backups, name);
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
        off_t middle = lseek(fd, 0, SEEK_END) / 2;
        uint8_t byte;

        assert_int_equal(pread(fd, &byte, 1, middle), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, middle), 1);
}

static void test_a_spoilt_archive_is_refused_by_name(void **state) {
        SchedulerFixture *f = *state;
        const char *name = make_backup(f);
        FixtureCall *call;

        spoil_archive(f, name);
        call = wait_for(begin_call(f, "io.atelier.Backups.Verify", "name", name, false));
        assert_string_equal(call->error, "io.atelier.Backups.BackupRefused");
        assert_string_equal(json_get_string(call->reply, "name"), name);
        assert_true(strlen(json_get_string(call->reply, "reason")) > 0);
        assert_int_equal(newest_run(f)->result, RUN_FAILED);
}

static void test_an_archive_that_there_is_not(void **state) {
        static const char *const names[] = { "../../etc/passwd", "nonsense", NULL };
        SchedulerFixture *f = *state;

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                FixtureCall *call = wait_for(begin_call(f, "io.atelier.Backups.Verify", "name", names[i], false));

                assert_string_equal(call->error, "io.atelier.Backups.BackupNotFound");
                assert_string_equal(json_get_string(call->reply, "name") ?: "", names[i] ?: "");
        }
        assert_string_equal(wait_for(begin_call(f, "io.atelier.Backups.Restore", NULL, NULL, false))->error,
                            "io.atelier.Backups.BackupNotFound");
        assert_int_equal(f->worker.prepared, 0);
}

/* ------------------------------------------------------------------ restore */

static FixtureCall *restore(SchedulerFixture *f, bool more) {
        return wait_for(begin_call(f, "io.atelier.Backups.Restore", NULL, NULL, more));
}

static void test_a_restore_hands_over_what_was_backed_up(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call;

        (void) make_backup(f);
        call = restore(f, true);
        assert_string_equal(call->error, "");
        assert_int_equal(json_get_integer(call->reply, "jobs", 0), 12);
        assert_int_equal(json_get_integer(call->reply, "held", 0), 3);
        assert_string_equal(json_get_string(call->reply, "former"), "former-1");
        assert_int_equal(f->worker.adopted, 1);
        assert_int_equal(f->worker.abandoned, 0);

        assert_int_equal(f->worker.n_received, f->worker.n_members);
        for (size_t i = 0; i < f->worker.n_members; i++) {
                assert_string_equal(f->worker.received[i].name, f->worker.members[i].name);
                assert_string_equal(f->worker.received[i].sha256, f->worker.members[i].sha256);
        }
        /* Five gathered, the large one, the last. */
        assert_int_equal(f->worker.receives, 3);
}

static void test_more_members_than_a_call_takes(void **state) {
        SchedulerFixture *f = *state;

        f->worker.n_members = 1;
        for (unsigned i = 1; i <= 40; i++)
                add_image(f, i, 41000 - i * 1000);   /* each shorter than what its memory file held before */
        (void) make_backup(f);
        assert_string_equal(restore(f, false)->error, "");
        assert_int_equal(f->worker.n_received, 41);
        for (size_t i = 0; i < 41; i++)
                assert_string_equal(f->worker.received[i].sha256, f->worker.members[i].sha256);
        assert_int_equal(f->worker.receives, 3);
}

static void assert_restore_fails(SchedulerFixture *f, const char *error, const char *reason) {
        FixtureCall *call = restore(f, false);

        assert_string_equal(call->error, error);
        if (!strstr(json_get_string(call->reply, "reason"), reason))
                fail_msg("'%s' is not in: %s", reason, json_get_string(call->reply, "reason"));
        assert_int_equal(f->worker.adopted, 0);
        assert_int_equal(newest_run(f)->result, RUN_FAILED);
}

static void test_a_spoilt_archive_is_never_adopted(void **state) {
        SchedulerFixture *f = *state;

        spoil_archive(f, make_backup(f));
        assert_restore_fails(f, "io.atelier.Backups.BackupRefused", "");
        assert_int_equal(f->worker.abandoned, 1);
}

static void test_a_member_that_the_worker_refuses_fails_the_restore(void **state) {
        SchedulerFixture *f = *state;

        (void) make_backup(f);
        f->worker.faults.refuse_member = f->worker.members[2].name;
        assert_restore_fails(f, "io.atelier.Backups.RestoreFailed", "it is purple");
        assert_int_equal(f->worker.abandoned, 1);
}

/* It comes through a pipe, which closes in the middle. */
static void test_a_large_member_that_the_worker_refuses_fails_the_restore(void **state) {
        SchedulerFixture *f = *state;

        (void) make_backup(f);
        f->worker.faults.refuse_member = f->worker.members[5].name;
        assert_restore_fails(f, "io.atelier.Backups.RestoreFailed", "it is purple");
        assert_int_equal(f->worker.abandoned, 1);
}

static void test_a_hash_that_differs_fails_the_restore(void **state) {
        SchedulerFixture *f = *state;

        (void) make_backup(f);
        for (size_t i = 2; i <= 5; i += 3) {
                f->worker.faults.spoil_member = f->worker.members[i].name;
                assert_restore_fails(f, "io.atelier.Backups.RestoreFailed", f->worker.members[i].name);
        }
        assert_int_equal(f->worker.abandoned, 2);
}

static void test_a_state_that_the_worker_refuses_fails_the_restore(void **state) {
        SchedulerFixture *f = *state;

        (void) make_backup(f);
        f->worker.faults.refuse_state = true;
        assert_restore_fails(f, "io.atelier.Backups.RestoreFailed", "the database is damaged");
        assert_int_equal(f->worker.abandoned, 1);
}

static void test_a_stop_while_the_worker_adopts_abandons_the_adoption(void **state) {
        SchedulerFixture *f = *state;
        FixtureCall *call;

        (void) make_backup(f);
        f->worker.faults.hang_adopt = true;
        call = begin_call(f, "io.atelier.Backups.Restore", NULL, NULL, false);
        WAIT_UNTIL(f, f->worker.kept);
        scheduler_service_kind.quiesce(f->manager);
        (void) wait_for(call);
        assert_string_equal(call->error, "io.atelier.Backups.RestoreFailed");
        assert_string_equal(json_get_string(call->reply, "reason"), "stopped; the state in use is as before");
        assert_int_equal(f->worker.abandoned, 1);
}

#define test(function) cmocka_unit_test_setup_teardown(function, scheduler_set_up, scheduler_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                test(test_a_backup_makes_an_archive),
                test(test_with_more_the_run_is_told_when_it_begins),
                test(test_a_task_that_there_is_not),
                test(test_leftovers_are_removed),
                test(test_an_image_that_has_decayed_fails_the_backup),
                test(test_members_that_do_not_come_fail_the_backup),
                test(test_a_worker_that_ends_in_the_middle_fails_the_backup),
                test(test_a_busy_worker_fails_the_backup),
                test(test_a_worker_that_is_not_there_fails_the_backup),
                test(test_a_folder_that_is_missing_fails_the_backup),
                test(test_missing_images_make_a_whole_archive_and_a_failed_run),
                test(test_a_second_backup_is_told_of_the_first),
                test(test_a_restore_waits_for_no_backup_but_a_verification_runs_beside_it),
                test(test_a_run_goes_on_when_its_caller_goes),
                test(test_a_run_without_a_sign_of_life_stops_the_watchdog),
                test(test_a_stop_ends_the_run_and_is_recorded),
                test(test_an_end_in_the_middle_leaves_nothing_behind),
                test(test_a_run_that_a_crash_cut_off_is_found),
                test(test_history_and_lists),
                test(test_the_status_line_says_what_is_done),
                test(test_metrics_tell_of_the_last_backup),
                test(test_an_archive_is_verified),
                test(test_a_spoilt_archive_is_refused_by_name),
                test(test_an_archive_that_there_is_not),
                test(test_a_restore_hands_over_what_was_backed_up),
                test(test_more_members_than_a_call_takes),
                test(test_a_spoilt_archive_is_never_adopted),
                test(test_a_member_that_the_worker_refuses_fails_the_restore),
                test(test_a_large_member_that_the_worker_refuses_fails_the_restore),
                test(test_a_hash_that_differs_fails_the_restore),
                test(test_a_state_that_the_worker_refuses_fails_the_restore),
                test(test_a_stop_while_the_worker_adopts_abandons_the_adoption),
        };

        return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
