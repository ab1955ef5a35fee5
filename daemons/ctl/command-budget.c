/* budget: what may be spent, and stopping it. */
#include <stdio.h>

#include "amounts.h"
#include "arguments.h"
#include "base/money.h"
#include "printable.h"

static int print_budgets(const JsonValue *budgets) {
        static const char *const headings[] = {
                "BUDGET", "OF", ">LIMIT", ">USED", ">LEFT", "STARTS AGAIN", NULL,
        };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *budget;

        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(budget, budgets) {
                const JsonValue *used = json_get_object(budget, "used");
                micros_t limit = json_get_integer(budget, "limit_micros", 0);
                micros_t committed = json_get_integer(used, "spent_micros", 0) +
                                     json_get_integer(used, "reserved_micros", 0) +
                                     json_get_integer(used, "unknown_micros", 0);

                text_table_add(table, json_get_string(budget, "period"), 0);
                text_table_add(table, json_get_string(budget, "name") ?: "all", 0);
                amounts_add_money(table, limit);
                amounts_add_money(table, committed);
                amounts_add_money(table, limit - committed);
                text_table_add_time(table, json_get_integer(budget, "starts_again_at", -1));
        }
        if (text_table_rows(table) == 0) {
                puts("There is no budget: nothing limits what images may cost (worker.daily_budget).");
                return EXIT_SUCCESS;
        }
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static void print_pause(const JsonValue *pause) {
        _cleanup_free_ char *reason = printable_text(json_get_string(pause, "reason") ?: "", 0);
        int64_t until = json_get_integer(pause, "until_day", 0);
        char stamp[TIME_STAMP_MAX], day[PERIOD_TEXT_MAX];

        printf("\nSpending is paused since %s: %s.\n",
               time_format_stamp((usec_t) json_get_integer(pause, "since", 0), stamp), reason ?: "");
        if (until > 0)
                printf("It goes on when %s is over, or with: atelierctl budget resume\n", period_format(until, day));
        else
                puts("It goes on with: atelierctl budget resume");
}

static int budget_show(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "budget show",
                .help = "Every budget, what of it is used, and whether spending is paused.\n",
        };
        _cleanup_(json_freep) JsonValue *usage = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        result = usage_get(&usage);
        if (result != EXIT_SUCCESS)
                return result;
        if (ctl->json)
                return ctl_print_json(usage);
        result = print_budgets(json_get_array(usage, "budgets"));
        if (result == EXIT_SUCCESS && json_has(usage, "pause"))
                print_pause(json_get_object(usage, "pause"));
        return result;
}

static int budget_pause(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "budget pause [REASON]",
                .help = "Nothing that costs money is accepted until `budget resume`; what was accepted goes on. It lasts\n"
                        "over restarts. To stop accepted jobs as well: atelierctl queue pause\n",
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *parameters = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        parameters = json_new_object();
        if (json_add_string(parameters, "reason", argv[optind]) < 0)
                return ctl_fail("memory is short");
        return ctl_call("worker", "io.atelier.Ledger.Pause", TAKE_PTR(parameters), NULL);
}

static int budget_resume(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "budget resume",
                .help = "Ends a pause of spending, whoever brought it about.\n",
        };
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        return ctl_call("worker", "io.atelier.Ledger.Resume", NULL, NULL);
}

int ctl_budget(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "show", "", "Show every budget, and what is left of it", budget_show },
                { "pause", "[REASON]", "Accept nothing that costs money", budget_pause },
                { "resume", "", "Accept it again", budget_resume },
                {},
        };
        static const CommandGroup group = {
                .name = "budget",
                .summary = "Budgets are set in the configuration: worker.daily_budget and others.\n\n",
                .commands = commands,
        };

        return command_group_run(ctl, &group, argc, argv);
}
