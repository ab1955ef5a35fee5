/* usage: what images cost, and what of each budget is used. */
#include <stdio.h>

#include "amounts.h"
#include "arguments.h"
#include "base/text.h"

/* ------------------------------------------------------------------ the summary */

static void add_row(TextTable *table, const char *name, const JsonValue *amounts) {
        text_table_add(table, name, 0);
        amounts_add(table, amounts);
}

static int print_amounts(const JsonValue *usage) {
        static const char *const headings[] = { "PERIOD", AMOUNTS_HEADINGS, NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;

        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        add_row(table, "today", json_get_object(usage, "today"));
        add_row(table, "month", json_get_object(usage, "month"));
        add_row(table, "total", json_get_object(usage, "total"));
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int print_by_model(void) {
        static const char *const headings[] = { "MODEL TODAY", AMOUNTS_HEADINGS, NULL };
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *row;

        if (text_table_new(&table, headings) < 0 || json_add_string(parameters, "scope", "model") < 0)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Ledger.Report", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        cJSON_ArrayForEach(row, json_get_array(reply, "rows"))
                add_row(table, json_get_string(row, "name"), json_get_object(row, "amounts"));
        if (text_table_rows(table) == 0)
                return EXIT_SUCCESS;
        putchar('\n');
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int print_summary(const Ctl *ctl) {
        _cleanup_(json_freep) JsonValue *usage = NULL;
        int r;

        r = usage_get(&usage);
        if (r != EXIT_SUCCESS)
                return r;
        if (ctl->json)
                return ctl_print_json(usage);
        r = print_amounts(usage);
        return r == EXIT_SUCCESS ? print_by_model() : r;
}

/* ------------------------------------------------------------------ the report */

typedef struct Report {
        const char *scope;
        bool month;
        int64_t from, to;     /* 0: not given */
} Report;

static JsonValue *report_parameters(const Report *report) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add_string(parameters, "scope", report->scope);
        if (r >= 0)
                r = json_add_string(parameters, "period", report->month ? "month" : "day");
        if (r >= 0 && report->from > 0)
                r = json_add_integer(parameters, "from", report->from);
        if (r >= 0 && report->to > 0)
                r = json_add_integer(parameters, "to", report->to);
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

static int print_report(const Ctl *ctl, const Report *report) {
        static const char *const headings[] = { "PERIOD", "NAME", AMOUNTS_HEADINGS, NULL };
        _cleanup_(json_freep) JsonValue *parameters = report_parameters(report), *reply = NULL;
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *row;

        if (!parameters || text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Ledger.Report", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(json_get_array(reply, "rows"));
        cJSON_ArrayForEach(row, json_get_array(reply, "rows")) {
                char period[PERIOD_TEXT_MAX];

                text_table_add(table, period_format(json_get_integer(row, "period", 0), period), 0);
                text_table_add(table, json_get_string(row, "name") ?: "all", 0);
                amounts_add(table, json_get_object(row, "amounts"));
        }
        if (text_table_rows(table) == 0)
                puts("Nothing was booked in this time.");
        else if (text_table_print(table, stdout) < 0)
                return ctl_fail("memory is short");
        if (json_get_bool(reply, "has_more", false))
                puts("There is more: a shorter time shows all of it.");
        return EXIT_SUCCESS;
}

static int take_period(const CommandForm *form, const char *option, bool month, const char *text, int64_t *ret) {
        if (!text || period_parse(text, month, ret) >= 0)
                return EXIT_SUCCESS;
        return arguments_misused(form, "%s takes %s", option,
                                 month ? "a month such as 2026-11" : "a day such as 2026-11-23");
}

int ctl_usage(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "usage [--by=all|model|key] [--monthly] [--from=DAY] [--to=DAY]",
                .help = "What images cost: without options today, this month, ever, and today by model.\n\n"
                        "  --by=all|model|key   a row for each period, and for each model or key\n"
                        "  --monthly            months instead of days; --from and --to are then such as 2026-11\n"
                        "  --from=DAY           the first one, such as 2026-11-23; today unless given\n"
                        "  --to=DAY             the last one; today unless given\n",
                .options = {
                        { "by", required_argument, NULL, 'b' },
                        { "monthly", no_argument, NULL, 'm' },
                        { "from", required_argument, NULL, 'f' },
                        { "to", required_argument, NULL, 't' },
                        {},
                },
        };
        const char *from = NULL, *to = NULL;
        Report report = {};
        Arguments arguments;
        int option, r;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                if (option == 'b')
                        report.scope = optarg;
                else if (option == 'm')
                        report.month = true;
                else if (option == 'f')
                        from = optarg;
                else
                        to = optarg;
        if (option == ARGUMENTS_STOP)
                return arguments.result;
        if (!report.scope && !report.month && !from && !to)
                return print_summary(ctl);
        report.scope = report.scope ?: "all";
        if (!text_equal(report.scope, "all") && !text_equal(report.scope, "model") && !text_equal(report.scope, "key"))
                return arguments_misused(&form, "--by takes all, model or key");
        r = take_period(&form, "--from", report.month, from, &report.from);
        if (r == EXIT_SUCCESS)
                r = take_period(&form, "--to", report.month, to, &report.to);
        return r == EXIT_SUCCESS ? print_report(ctl, &report) : r;
}
