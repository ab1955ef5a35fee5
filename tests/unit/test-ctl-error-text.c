/* What atelierctl makes of the daemons' errors, and of words that are almost right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "error-text.h"
#include "interfaces/interfaces.h"
#include "io/varlink.h"
#include "nearest-name.h"

static char *sentence(const char *error, const char *parameters) {
        _cleanup_(json_freep) JsonValue *value = NULL;
        Buffer buffer = {};

        assert_int_equal(json_parse(parameters, strlen(parameters), &value, NULL), 0);
        assert_int_equal(error_text(&buffer, "worker", "io.atelier.Queue.Get", error, value), 0);
        return buffer_take_text(&buffer);
}

static void assert_sentence(const char *error, const char *parameters, const char *expected) {
        _cleanup_free_ char *text = sentence(error, parameters);

        assert_string_equal(text, expected);
}

static void test_members_are_filled_in(void **state) {
        (void) state;
        assert_sentence("io.atelier.Queue.JobNotFound", "{\"id\":\"job_1\"}",
                        "there is no job job_1; see: atelierctl jobs list");
        assert_sentence(
                "io.atelier.Tasks.TaskRunning",
                "{\"run\":{\"id\":\"1\",\"task\":\"backup\",\"result\":\"running\",\"started_at\":1700000000000000}}",
                "task backup is running already, since 2023-11-14T22:13:20Z; see: atelierctl task history backup");
        assert_sentence(VARLINK_ERROR_PERMISSION_DENIED, "{}",
                        "io.atelier.Queue.Get: not allowed; be root or a member of group atelier-admin");
}

static void test_what_is_absent_is_left_out_with_its_brackets(void **state) {
        (void) state;
        assert_sentence("io.atelier.Backups.BackupNotFound", "{\"name\":\"x\"}",
                        "there is no backup x; see: atelierctl backup list");
        assert_sentence("io.atelier.Backups.BackupNotFound", "{\"name\":null}",
                        "there is no backup; see: atelierctl backup list");
        assert_sentence("io.atelier.Backups.BackupNotFound", "{}", "there is no backup; see: atelierctl backup list");
        assert_sentence("io.atelier.Queue.JobNotFound", "{}", "there is no job ?; see: atelierctl jobs list");
        assert_sentence("io.atelier.Queue.Refused", "{\"status\":400,\"type\":\"t\",\"message\":\"No.\"}",
                        "the request is refused: No.");
        assert_sentence("io.atelier.Queue.Refused", "{\"code\":\"c\",\"message\":\"No.\"}",
                        "the request is refused (c): No.");
}

static void test_foreign_text_is_escaped(void **state) {
        (void) state;
        assert_sentence("io.atelier.Queue.JobNotFound", "{\"id\":\"\\u001b[2J{x}\"}",
                        "there is no job \\x1b[2J{x}; see: atelierctl jobs list");
        assert_sentence("com.example.Bad\x1b", "{}",
                        "atelier-worker answers com.example.Bad\\x1b to io.atelier.Queue.Get; see: journalctl -u "
                        "atelier-worker");
}

static void test_system_errors_are_named(void **state) {
        (void) state;
        assert_sentence(VARLINK_ERROR_SYSTEM, "{\"errno\":28}",
                        "atelier-worker failed at io.atelier.Queue.Get: No space left on device; see: journalctl -u "
                        "atelier-worker");
        assert_sentence(VARLINK_ERROR_SYSTEM, "{\"errno\":-1}",
                        "atelier-worker failed at io.atelier.Queue.Get: it does not say why; see: journalctl -u "
                        "atelier-worker");
}

static void assert_has_sentence(const char *error) {
        _cleanup_free_ char *text = sentence(error, "{}");

        if (strstr(text, " answers "))
                fail_msg("%s has no sentence", error);
}

/* Each "error NAME (" of an interface's text. */
static unsigned assert_errors_have_sentences(const char *interface) {
        char name[64], error[96];
        unsigned count = 0;

        assert_int_equal(sscanf(strstr(interface, "interface "), "interface %63s", name), 1);
        for (const char *p = interface; (p = strstr(p, "\nerror ")); p++, count++) {
                char own[32];

                assert_int_equal(sscanf(p, "\nerror %31[A-Za-z]", own), 1);
                (void) snprintf(error, sizeof(error), "%s.%s", name, own);
                assert_has_sentence(error);
        }
        return count;
}

static void test_every_error_of_ours_has_a_sentence(void **state) {
        (void) state;
        assert_int_equal(assert_errors_have_sentences(interface_daemon), 1);
        assert_true(assert_errors_have_sentences(interface_queue) >= 3);
        assert_true(assert_errors_have_sentences(interface_store) >= 6);
        assert_true(assert_errors_have_sentences(interface_tasks) >= 2);
        assert_true(assert_errors_have_sentences(interface_backups) >= 4);
        assert_true(assert_errors_have_sentences(interface_alerts) >= 2);
}

static void test_every_standard_error_has_a_sentence(void **state) {
        static const char *const errors[] = {
                VARLINK_ERROR_INTERFACE_NOT_FOUND,
                VARLINK_ERROR_METHOD_NOT_FOUND,
                VARLINK_ERROR_METHOD_NOT_IMPLEMENTED,
                VARLINK_ERROR_INVALID_PARAMETER,
                VARLINK_ERROR_PERMISSION_DENIED,
                VARLINK_ERROR_EXPECTED_MORE,
                VARLINK_ERROR_SYSTEM,
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(errors); i++)
                assert_has_sentence(errors[i]);
}

static void test_the_nearest_name_is_found(void **state) {
        static const char *const names[] = { "list", "show", "cancel", "resume", "in_progress" };

        (void) state;
        assert_string_equal(nearest_name("lst", names, ELEMENTS(names)), "list");
        assert_string_equal(nearest_name("cancle", names, ELEMENTS(names)), "cancel");
        assert_string_equal(nearest_name("resumes", names, ELEMENTS(names)), "resume");
        assert_string_equal(nearest_name("in", names, ELEMENTS(names)), "in_progress");
        assert_null(nearest_name("delete", names, ELEMENTS(names)));
        assert_null(nearest_name("", names, ELEMENTS(names)));
        assert_null(nearest_name("a-word-that-is-longer-than-any-name", names, ELEMENTS(names)));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_members_are_filled_in),
                cmocka_unit_test(test_what_is_absent_is_left_out_with_its_brackets),
                cmocka_unit_test(test_foreign_text_is_escaped),
                cmocka_unit_test(test_system_errors_are_named),
                cmocka_unit_test(test_every_error_of_ours_has_a_sentence),
                cmocka_unit_test(test_every_standard_error_has_a_sentence),
                cmocka_unit_test(test_the_nearest_name_is_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
