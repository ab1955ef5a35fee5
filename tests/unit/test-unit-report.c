/* What atelierctl makes of an instance of atelier-alert@.service and of a unit's lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "unit-report.h"

#define INVOCATION "8dffd4fc04734cada05c730be22732fd"

static void assert_parsed(const char *text, const char *unit, const char *invocation, const char *result) {
        _cleanup_(unit_instance_done) UnitInstance instance = {};

        assert_int_equal(unit_instance_parse(&instance, text), 0);
        assert_string_equal(instance.unit, unit);
        assert_string_equal(instance.invocation, invocation);
        assert_true(text_equal(instance.result, result));
}

static void assert_no_unit(const char *text) {
        _cleanup_(unit_instance_done) UnitInstance instance = {};

        assert_int_equal(unit_instance_parse(&instance, text), -EINVAL);
}

static void test_instances(_unused_ void **state) {
        assert_parsed("a.service", "a.service", "", NULL);
        assert_parsed("a.service:" INVOCATION, "a.service", INVOCATION, NULL);
        assert_parsed("a.service:" INVOCATION ":exit-code", "a.service", INVOCATION, "exit-code");
        assert_parsed("a@b\\x2dc:d.service:" INVOCATION ":oom-kill", "a@b\\x2dc:d.service", INVOCATION, "oom-kill");
        assert_parsed("a:b.service", "a:b.service", "", NULL);
}

static void test_what_is_no_unit_is_refused(_unused_ void **state) {
        assert_no_unit("");
        assert_no_unit("worker");
        assert_no_unit(".service");
        assert_no_unit("a/b.service");
        assert_no_unit("a b.service");
        assert_no_unit("a.service=x");
        assert_no_unit(":" INVOCATION ":signal");
}

static void assert_summary(const char *said, const char *recorded, const char *code, const char *status,
                           const char *expected) {
        UnitInstance instance = { .unit = (char *) "a.service", .result = (char *) said };
        UnitStory story = { .result = (char *) recorded, .exit_code = (char *) code, .exit_status = (char *) status };
        _cleanup_free_ char *summary = unit_report_summary(&instance, &story);

        assert_string_equal(summary, expected);
}

static void test_summaries(_unused_ void **state) {
        assert_summary("signal", "watchdog", "killed", "6", "a.service failed: watchdog (killed by ABRT)");
        assert_summary("exit-code", NULL, "exited", "3", "a.service failed: exit-code (exit status 3)");
        assert_summary(NULL, "core-dump", "dumped", "11", "a.service failed: core-dump (killed by SEGV, core dumped)");
        assert_summary("timeout", NULL, NULL, NULL, "a.service failed: timeout");
        assert_summary(NULL, NULL, "killed", "9999", "a.service failed");
}

static void test_the_last_lines_are_kept(_unused_ void **state) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_(unit_story_done) UnitStory story = {};
        _cleanup_free_ char *messages = NULL;

        for (int i = 1; i <= UNIT_LINES_MAX + 5; i++)
                assert_int_equal(buffer_printf(&text, "line %d\n\n", i), 0);
        messages = buffer_take_text(&text);
        assert_int_equal(unit_story_take_lines(&story, messages), 0);
        assert_int_equal(story.n_lines, UNIT_LINES_MAX);
        assert_string_equal(story.lines[0], "line 6");
        assert_string_equal(story.lines[UNIT_LINES_MAX - 1], "line 25");
}

/* A secret that the cut would go through does not survive in half. */
static void test_secrets_are_masked_before_lines_are_cut(_unused_ void **state) {
        _cleanup_(unit_story_done) UnitStory story = {};
        char message[UNIT_LINE_BYTES_MAX + 64];

        memset(message, 'x', sizeof(message));
        (void) strcpy(message + UNIT_LINE_BYTES_MAX - 20, " sk-c4N4ryAbCdEf0123456789");
        assert_int_equal(unit_story_take_lines(&story, message), 0);
        assert_int_equal(story.n_lines, 1);
        assert_null(strstr(story.lines[0], "c4N4"));
        assert_in_range(strlen(story.lines[0]), 1, UNIT_LINE_BYTES_MAX);
}

static void test_a_key_over_several_lines_is_masked_in_all(_unused_ void **state) {
        _cleanup_(unit_story_done) UnitStory story = {};

        assert_int_equal(unit_story_take_lines(&story, "a\n-----BEGIN PRIVATE KEY-----\nc4N4ry\n"
                                                       "-----END PRIVATE KEY-----\nb\n"), 0);
        assert_int_equal(story.n_lines, 3);
        assert_string_equal(story.lines[1], "[masked]");
        assert_string_equal(story.lines[2], "b");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_instances),
                cmocka_unit_test(test_what_is_no_unit_is_refused),
                cmocka_unit_test(test_summaries),
                cmocka_unit_test(test_the_last_lines_are_kept),
                cmocka_unit_test(test_secrets_are_masked_before_lines_are_cut),
                cmocka_unit_test(test_a_key_over_several_lines_is_masked_in_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
