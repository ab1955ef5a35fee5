/* docs/permissions.md says of each method who may call it, as the daemons' tables have it. The system test permissions/ calls each
 * of them as each of these users. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/text.h"
#include "interfaces/interfaces.h"
#include "io/access.h"

#define MANUAL "docs/permissions.md"
#define MANUAL_BEGIN "<!-- begin permissions -->\n"
#define MANUAL_END "<!-- end permissions -->"
#define MANUAL_BYTES_MAX (64 * 1024)
#define METHOD "\nmethod "

extern const AccessRule api_access[], worker_access[], scheduler_access[], alerter_access[];

static const struct {
        const char *name;
        const AccessRule *rules;
        const char *const interfaces[9];
} daemons[] = {
        { "Api", api_access, { interface_daemon } },
        { "Worker", worker_access,
          { interface_daemon, interface_queue, interface_ledger, interface_keys, interface_webhooks, interface_audit,
            interface_links, interface_store } },
        { "Scheduler", scheduler_access, { interface_daemon, interface_tasks, interface_backups } },
        { "Alerter", alerter_access, { interface_daemon, interface_alerts } },
};

/* What somebody is to a daemon, in the columns' order; access.c says so too. */
static const unsigned roles[] = {
        ACCESS_MEMBER,
        ACCESS_MEMBER | ACCESS_ADMIN,
        ACCESS_MEMBER | ACCESS_API,
        ACCESS_MEMBER | ACCESS_WORKER,
        ACCESS_MEMBER | ACCESS_SCHEDULER,
        ACCESS_MEMBER | ACCESS_ALERTER,
        ACCESS_ALERT,
};

static void describe_method(const AccessRule *rules, const char *method, Buffer *text) {
        unsigned who = access_rule_who(rules, method);

        assert_int_equal(buffer_printf(text, "| `%s` |", method), 0);
        for (size_t i = 0; i < ELEMENTS(roles); i++)
                assert_int_equal(buffer_append_text(text, who & roles[i] ? " yes |" : " |"), 0);
        assert_int_equal(buffer_append_text(text, "\n"), 0);
}

static void describe_interface(const AccessRule *rules, const char *interface, Buffer *text) {
        const char *begin = strstr(interface, "interface ");
        char name[128] = "";

        assert_non_null(begin);
        assert_int_equal(sscanf(begin, "interface %127s", name), 1);
        for (const char *method = strstr(begin, METHOD); method; method = strstr(method + 1, METHOD)) {
                const char *from = method + strlen(METHOD);
                _cleanup_free_ char *full = text_format("%s.%.*s", name, (int) strcspn(from, "( "), from);

                assert_non_null(full);
                describe_method(rules, full, text);
        }
}

static void test_the_document_is_what_the_tables_say(_unused_ void **state) {
        _cleanup_free_ char *manual = NULL, *expected = NULL;
        Buffer text = {};
        char *begin, *end;
        size_t size;

        assert_int_equal(file_read(AT_FDCWD, MANUAL, MANUAL_BYTES_MAX, &manual, &size), 0);
        begin = strstr(manual, MANUAL_BEGIN);
        assert_non_null(begin);
        begin += strlen(MANUAL_BEGIN);
        end = strstr(begin, MANUAL_END);
        assert_non_null(end);

        assert_int_equal(buffer_append(&text, manual, (size_t) (begin - manual)), 0);
        for (size_t i = 0; i < ELEMENTS(daemons); i++) {
                assert_int_equal(buffer_printf(&text, "\n## io.atelier.%s\n\n| method | atelier | atelier-admin | atelier-api | "
                                               "atelier-worker | atelier-scheduler | atelier-alerter | atelier-alert |\n"
                                               "|---|---|---|---|---|---|---|---|\n", daemons[i].name), 0);
                for (size_t j = 0; daemons[i].interfaces[j]; j++)
                        describe_interface(daemons[i].rules, daemons[i].interfaces[j], &text);
        }
        assert_int_equal(buffer_printf(&text, "\n%s", end), 0);
        expected = buffer_take_text(&text);
        if (getenv("ATELIER_UPDATE"))
                assert_int_equal(file_replace(AT_FDCWD, MANUAL, expected, strlen(expected), 0644), 0);
        else
                assert_string_equal(manual, expected);
}

/* A rule for what no interface has is a slip of the pen. */
static void test_each_rule_is_for_a_method(_unused_ void **state) {
        for (size_t i = 0; i < ELEMENTS(daemons); i++)
                for (const AccessRule *rule = daemons[i].rules; rule->method; rule++) {
                        const char *dot = strrchr(rule->method, '.');
                        _cleanup_free_ char *interface =
                                text_format("interface %.*s\n", (int) (dot - rule->method), rule->method);
                        _cleanup_free_ char *method = text_format(METHOD "%s(", dot + 1);
                        bool found = false;

                        for (size_t j = 0; daemons[i].interfaces[j] && !found; j++)
                                found = strstr(daemons[i].interfaces[j], interface) &&
                                        (text_equal(dot, ".*") || strstr(daemons[i].interfaces[j], method));
                        if (!found)
                                fail_msg("%s: no such method", rule->method);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_document_is_what_the_tables_say),
                cmocka_unit_test(test_each_rule_is_for_a_method),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
