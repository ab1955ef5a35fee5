/* The history of runs: what is on disk after a crash at any point is what is told at the next start. */
#include <sys/resource.h>

#include <signal.h>

#include "base/file.h"
#include "conf-folder.h"
#include "run-history.h"

#define AT (UINT64_C(1795400000) * USEC_PER_SEC)

static ConfFolder *folder;

static int setup(void **state) {
        void *made = NULL;
        int r = folder_setup(&made);

        *state = folder = made;
        return r;
}

static RunHistory *open_history(void) {
        RunHistory *history = NULL;

        assert_int_equal(run_history_new(&history, folder->path), 0);
        return history;
}

static RunHistory *open_again(RunHistory *history) {
        run_history_free(history);
        return open_history();
}

static char *read_history(void) {
        _cleanup_free_ char *path = text_format("%s/history", folder->path);
        char *text;

        assert_int_equal(file_read(AT_FDCWD, path, 64 << 20, &text, NULL), 0);
        return text;
}

static size_t count_lines(void) {
        _cleanup_free_ char *text = read_history();
        size_t lines = 0;

        for (const char *p = text; (p = strchr(p, '\n')); p++)
                lines++;
        return lines;
}

static const char *id_of(unsigned number) {
        static char id[ID_TEXT_MAX];

        (void) snprintf(id, sizeof(id), "%032x", number);
        return id;
}

static void begin(RunHistory *history, unsigned number) {
        assert_int_equal(run_history_begin(history, id_of(number), "backup", AT + number), 0);
}

static void end(RunHistory *history, unsigned number) {
        assert_int_equal(run_history_end(history, id_of(number), RUN_SUCCEEDED, AT + number + 1, "made"), 0);
}

static void assert_newest(RunHistory *history, unsigned number, RunResult result) {
        const RunRecord *record = run_history_at(history, 0);

        assert_non_null(record);
        assert_string_equal(record->id, id_of(number));
        assert_int_equal(record->result, result);
}

static size_t count_runs(const RunHistory *history) {
        size_t count = 0;

        while (run_history_at(history, count))
                count++;
        return count;
}

/* ---------------------------------------------------------------- what is kept */

static void test_a_run_is_told_after_a_restart(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();
        const RunRecord *record;

        begin(history, 1);
        assert_int_equal(run_history_end(history, id_of(1), RUN_FAILED, AT + 9, "no \"room\"\nat all"), 0);
        history = open_again(history);
        record = run_history_at(history, 0);
        assert_string_equal(record->task, "backup");
        assert_int_equal(record->result, RUN_FAILED);
        assert_int_equal(record->started_at, AT + 1);
        assert_int_equal(record->ended_at, AT + 9);
        assert_string_equal(record->message, "no \"room\"\nat all");
        assert_false(record->cut_off);
        assert_null(run_history_at(history, 1));
}

static void test_runs_are_told_newest_first(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();

        for (unsigned i = 1; i <= 3; i++) {
                begin(history, i);
                end(history, i);
        }
        history = open_again(history);
        for (size_t i = 0; i < 3; i++)
                assert_string_equal(run_history_at(history, i)->id, id_of(3 - (unsigned) i));
        assert_null(run_history_at(history, 3));
}

static void test_the_last_of_a_task_is_found_by_its_result(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();

        begin(history, 1);
        end(history, 1);
        assert_int_equal(run_history_begin(history, id_of(2), "restore", AT + 2), 0);
        begin(history, 3);
        assert_int_equal(run_history_end(history, id_of(3), RUN_FAILED, AT + 4, NULL), 0);
        assert_int_equal(run_history_last(history, "backup", RUN_RESULT_INVALID)->result, RUN_FAILED);
        assert_int_equal(run_history_last(history, "backup", RUN_SUCCEEDED)->started_at, AT + 1);
        assert_null(run_history_last(history, "verify", RUN_RESULT_INVALID));
}

static void test_a_long_message_is_cut(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();
        char message[2 * HISTORY_MESSAGE_MAX];

        memset(message, 'x', sizeof(message) - 1);
        message[sizeof(message) - 1] = 0;
        begin(history, 1);
        assert_int_equal(run_history_end(history, id_of(1), RUN_FAILED, AT, message), 0);
        history = open_again(history);
        assert_int_equal(strlen(run_history_at(history, 0)->message), HISTORY_MESSAGE_MAX - 1);
}

static void test_the_end_of_a_run_that_never_began_is_refused(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();

        assert_int_equal(run_history_end(history, id_of(1), RUN_FAILED, AT, NULL), -ENOENT);
}

/* ---------------------------------------------------------------- crashes */

static void test_a_run_without_an_end_was_interrupted(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();

        begin(history, 1);
        end(history, 1);
        begin(history, 2);
        history = open_again(history);
        assert_newest(history, 2, RUN_INTERRUPTED);
        assert_true(run_history_at(history, 0)->cut_off);
        assert_true(run_history_at(history, 0)->ended_at > 0);
        assert_false(run_history_at(history, 1)->cut_off);
}

static void test_an_interruption_is_found_once(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();

        begin(history, 1);
        history = open_again(history);
        history = open_again(history);
        assert_newest(history, 1, RUN_INTERRUPTED);
        assert_false(run_history_at(history, 0)->cut_off);
}

/* Whatever of the file a power cut leaves, it opens, and what is added afterwards is read again. */
static void test_a_file_cut_at_any_byte_goes_on(_unused_ void **state) {
        RunHistory *history = open_history();
        _cleanup_free_ char *whole = NULL;

        begin(history, 1);
        end(history, 1);
        begin(history, 2);
        end(history, 2);
        run_history_free(history);
        whole = read_history();

        for (size_t size = 0; size <= strlen(whole); size++) {
                size_t ended = 0;

                folder_write_bytes(folder, "history", whole, size);
                history = open_history();
                for (const char *p = whole; (p = strstr(p, "\"end\"")) && strchr(p, '\n') < whole + size; p++)
                        ended++;
                for (size_t i = 0; i < count_runs(history); i++)
                        ended -= run_history_at(history, i)->result == RUN_SUCCEEDED;
                assert_int_equal(ended, 0);

                begin(history, 3);
                end(history, 3);
                history = open_again(history);
                assert_newest(history, 3, RUN_SUCCEEDED);
                assert_int_equal(run_history_dropped_lines(history), 0);
                run_history_free(history);
        }
}

static void test_a_torn_line_is_told_and_dropped(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = NULL;

        folder_write(folder, "history", "{\"begin\":\"00000000000000000000000000000001\",\"task\":\"backup\",\"at\":1}\n"
                                        "{\"end\":\"000000000000000000");
        history = open_history();
        assert_int_equal(run_history_dropped_lines(history), 1);
        assert_newest(history, 1, RUN_INTERRUPTED);
        history = open_again(history);
        assert_int_equal(run_history_dropped_lines(history), 0);
        assert_newest(history, 1, RUN_INTERRUPTED);
}

static void test_lines_that_make_no_sense_cost_only_themselves(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = NULL;

        folder_write(folder, "history",
                     "nonsense\n"
                     "{\"begin\":\"00000000000000000000000000000001\",\"task\":\"backup\",\"at\":1}\n"
                     "{\"begin\":\"00000000000000000000000000000001\",\"task\":\"again\",\"at\":1}\n"
                     "{\"begin\":\"short\",\"task\":\"backup\",\"at\":1}\n"
                     "{\"end\":\"00000000000000000000000000000009\",\"result\":\"failed\",\"at\":2}\n"
                     "{\"end\":\"00000000000000000000000000000001\",\"result\":\"odd\",\"at\":2}\n"
                     "{\"end\":\"00000000000000000000000000000001\",\"result\":\"failed\",\"at\":2,\"later\":[]}\n");
        history = open_history();
        assert_int_equal(run_history_dropped_lines(history), 5);
        assert_int_equal(count_runs(history), 1);
        assert_newest(history, 1, RUN_FAILED);
}

static void test_a_line_that_does_not_fit_on_the_disk_is_taken_back(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();
        struct rlimit before, tight;
        size_t size;
        int r;

        begin(history, 1);
        {
                _cleanup_free_ char *text = read_history();
                size = strlen(text);
        }
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        tight = before;
        tight.rlim_cur = size + 10;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        r = run_history_end(history, id_of(1), RUN_SUCCEEDED, AT, "made");
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(r, -EFBIG);
        assert_newest(history, 1, RUN_SUCCEEDED);
        {
                _cleanup_free_ char *text = read_history();
                assert_int_equal(strlen(text), size);
        }

        begin(history, 2);
        end(history, 2);
        history = open_again(history);
        assert_int_equal(run_history_dropped_lines(history), 0);
        assert_newest(history, 2, RUN_SUCCEEDED);
        assert_int_equal(run_history_at(history, 1)->result, RUN_INTERRUPTED);
}

/* ---------------------------------------------------------------- bounds */

static void fill(RunHistory *history, unsigned first, unsigned last) {
        for (unsigned i = first; i <= last; i++) {
                begin(history, i);
                end(history, i);
        }
}

static void test_no_more_runs_are_told_than_the_bound(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();

        fill(history, 1, HISTORY_RUNS_MAX + 1);
        assert_int_equal(count_runs(history), HISTORY_RUNS_MAX);
        assert_newest(history, HISTORY_RUNS_MAX + 1, RUN_SUCCEEDED);
}

static void test_the_file_is_rewritten_past_twice_the_bound(_unused_ void **state) {
        _cleanup_(run_history_freep) RunHistory *history = open_history();

        fill(history, 1, 2 * HISTORY_RUNS_MAX);
        assert_int_equal(count_lines(), 4 * HISTORY_RUNS_MAX);
        begin(history, 2 * HISTORY_RUNS_MAX + 1);
        assert_int_equal(count_lines(), 2 * HISTORY_RUNS_MAX - 1);
        end(history, 2 * HISTORY_RUNS_MAX + 1);
        assert_int_equal(count_lines(), 2 * HISTORY_RUNS_MAX);

        history = open_again(history);
        assert_int_equal(run_history_dropped_lines(history), 0);
        assert_int_equal(count_runs(history), HISTORY_RUNS_MAX);
        assert_newest(history, 2 * HISTORY_RUNS_MAX + 1, RUN_SUCCEEDED);
}

static void test_a_file_too_large_is_set_aside(_unused_ void **state) {
        _cleanup_free_ char *path = text_format("%s/history", folder->path);
        _cleanup_free_ char *aside = text_format("%s/history.damaged", folder->path);
        _cleanup_(run_history_freep) RunHistory *history = NULL;

        folder_write(folder, "history", "");
        assert_int_equal(truncate(path, 32 << 20), 0);
        history = open_history();
        assert_int_equal(run_history_dropped_lines(history), 1);
        assert_int_equal(access(aside, F_OK), 0);
        fill(history, 1, 1);
        history = open_again(history);
        assert_newest(history, 1, RUN_SUCCEEDED);
}

static void test_a_folder_that_is_missing_is_told(_unused_ void **state) {
        RunHistory *history = NULL;

        assert_int_equal(run_history_new(&history, "/tmp/atelier-no-such-folder"), -ENOENT);
        assert_null(history);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                test(test_a_run_is_told_after_a_restart),
                test(test_runs_are_told_newest_first),
                test(test_the_last_of_a_task_is_found_by_its_result),
                test(test_a_long_message_is_cut),
                test(test_the_end_of_a_run_that_never_began_is_refused),
                test(test_a_run_without_an_end_was_interrupted),
                test(test_an_interruption_is_found_once),
                test(test_a_file_cut_at_any_byte_goes_on),
                test(test_a_torn_line_is_told_and_dropped),
                test(test_lines_that_make_no_sense_cost_only_themselves),
                test(test_a_line_that_does_not_fit_on_the_disk_is_taken_back),
                test(test_no_more_runs_are_told_than_the_bound),
                test(test_the_file_is_rewritten_past_twice_the_bound),
                test(test_a_file_too_large_is_set_aside),
                test(test_a_folder_that_is_missing_is_told),
        };

        return cmocka_run_group_tests_name("run-history", tests, NULL, NULL);
}
