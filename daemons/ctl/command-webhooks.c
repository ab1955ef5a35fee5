/* webhooks: who is told of the end of jobs, and how that goes. */
#include <stdio.h>

#include "arguments.h"
#include "text-table.h"

static void add_row(TextTable *table, const JsonValue *endpoint) {
        text_table_add(table, json_get_string(endpoint, "name"), 0);
        text_table_add_number(table, json_get_integer(endpoint, "pending", 0));
        text_table_add_number(table, json_get_integer(endpoint, "delivered", 0));
        text_table_add_number(table, json_get_integer(endpoint, "given_up", 0));
        text_table_add(table, json_get_string(endpoint, "problem"), 0);
        text_table_add(table, json_get_string(endpoint, "last_cause"), 0);
}

static int print_endpoints(const JsonValue *endpoints) {
        static const char *const headings[] = { "NAME", ">PENDING", ">DELIVERED", ">GIVEN UP", "PROBLEM", "LAST CAUSE", NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *endpoint;

        if (cJSON_GetArraySize(endpoints) == 0) {
                puts("There are no webhooks; the setting `webhooks` names them.");
                return EXIT_SUCCESS;
        }
        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(endpoint, endpoints)
                add_row(table, endpoint);
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int webhooks_list(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "webhooks list",
                .help = "The endpoints of the configuration, and how many webhooks of the jobs that are there wait, were\n"
                        "delivered, and were given up.\n",
        };
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (ctl_call("worker", "io.atelier.Webhooks.List", NULL, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        return ctl->json ? ctl_print_json(reply) : print_endpoints(json_get_array(reply, "endpoints"));
}

static int retry(const Ctl *ctl, const char *endpoint) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        long long count;

        if (json_add_string(parameters, "endpoint", endpoint) < 0)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Webhooks.Retry", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(reply);
        count = json_get_integer(reply, "count", 0);
        printf("%lld that had been given up %s sent again.\n", count, count == 1 ? "is" : "are");
        return EXIT_SUCCESS;
}

static int webhooks_retry(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "webhooks retry [NAME]",
                .help = "What was given up is sent again, and what waits is at once; of one endpoint, or of all.\n",
                .words_max = 1,
        };
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        return retry(ctl, optind < argc ? argv[optind] : NULL);
}

int ctl_webhooks(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "list", "", "Show who is told, and how that goes", webhooks_list },
                { "retry", "[NAME]", "Send again what was given up", webhooks_retry },
                {},
        };
        static const CommandGroup group = {
                .name = "webhooks",
                .summary = "Who is told of the end of jobs: the setting `webhooks`.\n\n",
                .commands = commands,
        };

        return command_group_run(ctl, &group, argc, argv);
}
