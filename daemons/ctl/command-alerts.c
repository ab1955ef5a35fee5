/* alerts: what the alerter has heard of, and whether it could tell. */
#include <stdio.h>

#include "arguments.h"
#include "base/buffer.h"
#include "base/text.h"
#include "follow.h"
#include "text-table.h"

#define SUMMARY_COLUMNS_MAX 60
#define TEST_TIMEOUT_USEC (5 * USEC_PER_MINUTE)  /* receivers that don't answer are waited for */

/* ------------------------------------------------------------------ list */

/* "slack: sent, hook: failed (HTTP 404)" */
static char *format_deliveries(const JsonValue *deliveries) {
        _cleanup_(buffer_done) Buffer text = {};
        const JsonValue *delivery;

        cJSON_ArrayForEach(delivery, deliveries) {
                const char *error = json_get_string(delivery, "error");

                if (buffer_printf(&text, "%s%s: %s%s%s%s", text.size > 0 ? ", " : "",
                                  json_get_string(delivery, "receiver") ?: "?",
                                  json_get_string(delivery, "state") ?: "?", error ? " (" : "", error ?: "",
                                  error ? ")" : "") < 0)
                        return NULL;
        }
        return buffer_take_text(&text);
}

static void add_alert(TextTable *table, const JsonValue *alert) {
        _cleanup_free_ char *deliveries = format_deliveries(json_get_array(alert, "deliveries"));

        text_table_add(table, json_get_string(alert, "id"), 0);
        text_table_add(table, json_get_string(alert, "severity"), 0);
        text_table_add(table, json_get_string(alert, "state"), 0);
        text_table_add_time(table, json_get_integer(alert, "fired_at", -1));
        text_table_add_number(table, json_get_integer(alert, "count", 1));
        text_table_add(table, json_get_string(alert, "source"), 0);
        text_table_add(table, json_get_string(alert, "name"), 0);
        text_table_add(table, json_get_string(alert, "summary"), SUMMARY_COLUMNS_MAX);
        text_table_add(table, deliveries, 0);
}

static int print_alerts(const JsonValue *alerts, bool all) {
        static const char *const headings[] = { "ID",     "SEVERITY", "STATE",   "FIRED", ">COUNT",
                                                "SOURCE", "NAME",     "SUMMARY", "TOLD",  NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *alert;

        if (cJSON_GetArraySize(alerts) == 0) {
                puts(all ? "There was no alert yet." : "Nothing is firing.");
                return EXIT_SUCCESS;
        }
        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(alert, alerts)
                add_alert(table, alert);
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int list_alerts(const Ctl *ctl, bool all) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        const JsonValue *alerts;

        if (json_add_string(parameters, "state", all ? NULL : "firing") < 0)
                return ctl_fail("memory is short");
        if (ctl_call("alerter", "io.atelier.Alerts.List", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        alerts = json_get_array(reply, "alerts");
        return ctl->json ? ctl_print_json(alerts) : print_alerts(alerts, all);
}

static int alerts_list(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "alerts list [--all]",
                .help = "Alerts that are firing, newest first, and whom they have reached.\n\n"
                        "  --all   also those that are resolved\n",
                .options = { { "all", no_argument, NULL, 'a' } },
        };
        Arguments arguments;
        bool all = false;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                all = true;
        return option == ARGUMENTS_STOP ? arguments.result : list_alerts(ctl, all);
}

/* ------------------------------------------------------------------ resolve */

static int alerts_resolve(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "alerts resolve ID",
                .help = "Says that it is over. Receivers that were told of the alert are told of that too.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (json_add_string(parameters, "id", argv[optind]) < 0)
                return ctl_fail("memory is short");
        if (ctl_call("alerter", "io.atelier.Alerts.Resolve", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        return ctl->json ? ctl_print_json(json_get_object(reply, "alert")) : EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ test */

static int print_deliveries(const JsonValue *deliveries) {
        static const char *const headings[] = { "RECEIVER", "STATE", "ERROR", NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *delivery;

        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(delivery, deliveries) {
                text_table_add(table, json_get_string(delivery, "receiver"), 0);
                text_table_add(table, json_get_string(delivery, "state"), 0);
                text_table_add(table, json_get_string(delivery, "error"), 0);
        }
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int judge_deliveries(const JsonValue *deliveries) {
        const JsonValue *delivery;
        int failed = 0, count = cJSON_GetArraySize(deliveries);

        if (count == 0)
                return ctl_fail(
                        "no receiver is configured: alerts go to the journal alone; name one in receivers = ( ... ) "
                        "of /etc/atelier/atelier.conf");
        cJSON_ArrayForEach(delivery, deliveries)
                failed += !text_equal(json_get_string(delivery, "state"), "sent");
        return failed == 0 ? EXIT_SUCCESS : ctl_fail("%d of %d receivers could not be told", failed, count);
}

static int test_receivers(const Ctl *ctl, const char *receiver) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        const JsonValue *deliveries;
        Follow follow = {
                .daemon = "alerter",
                .method = "io.atelier.Alerts.TestReceiver",
                .parameters = parameters,
                .timeout = TEST_TIMEOUT_USEC,
        };
        int r;

        if (json_add_string(parameters, "receiver", receiver) < 0)
                return ctl_fail("memory is short");
        r = follow_call(&follow, &answer);
        if (r == FOLLOW_TIMED_OUT)
                return ctl_fail("the receivers have not answered in 5 minutes; see: journalctl -u atelier-alerter");
        if (r != EXIT_SUCCESS)
                return r;

        deliveries = json_get_array(answer.parameters, "deliveries");
        r = ctl->json ? ctl_print_json(deliveries) : EXIT_SUCCESS;
        if (!ctl->json && cJSON_GetArraySize(deliveries) > 0)
                r = print_deliveries(deliveries);
        return r == EXIT_SUCCESS ? judge_deliveries(deliveries) : r;
}

static int alerts_test(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "alerts test [RECEIVER]",
                .help = "Sends a test alert to all receivers or to one, and waits for their answers.\n"
                        "Fails when one could not be told.\n",
                .words_max = 1,
        };
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        return test_receivers(ctl, argv[optind]);
}

int ctl_alerts(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "list", "[--all]", "Show what is firing, and whom it has reached", alerts_list },
                { "fire", "NAME --severity= --source=", "Raise an alert", ctl_alerts_fire },
                { "resolve", "ID", "Say that it is over", alerts_resolve },
                { "test", "[RECEIVER]", "Send a test alert to the receivers", alerts_test },
                {},
        };
        static const CommandGroup group = { .name = "alerts", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
