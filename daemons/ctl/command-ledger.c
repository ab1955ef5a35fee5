/* ledger: the entries of what images cost, and whether they are as they were written. */
#include <stdio.h>

#include "amounts.h"
#include "arguments.h"
#include "base/text.h"
#include "follow.h"
#include "printable.h"
#include "progress-line.h"

#define LIST_DEFAULT 20
#define LIST_MAX 1000

/* ------------------------------------------------------------------ list */

static void add_change(TextTable *table, const JsonValue *entry, const char *member) {
        int64_t change = json_get_integer(entry, member, 0);

        if (change == 0)
                text_table_add(table, NULL, 0);
        else
                amounts_add_money(table, change);
}

static int print_entries(const JsonValue *entries) {
        static const char *const headings[] = {
                ">ENTRY", "TIME", "KIND", ">RESERVED", ">SPENT", ">UNKNOWN", "MODEL", "JOB", "NOTE", NULL,
        };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *entry;

        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(entry, entries) {
                text_table_add_number(table, json_get_integer(entry, "number", 0));
                text_table_add_time(table, json_get_integer(entry, "at", -1));
                text_table_add(table, json_get_string(entry, "kind"), 0);
                add_change(table, entry, "reserved_micros");
                add_change(table, entry, "spent_micros");
                add_change(table, entry, "unknown_micros");
                text_table_add(table, json_get_string(entry, "model"), 0);
                text_table_add(table, json_get_string(entry, "job"), 0);
                text_table_add(table, json_get_string(entry, "note"), 0);
        }
        if (text_table_rows(table) == 0) {
                puts("There is no such entry.");
                return EXIT_SUCCESS;
        }
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

/* Both lists are asked for alike. */
typedef struct ListKind {
        const char *method, *member, *command;
        int (*print)(const JsonValue *array);
} ListKind;

typedef struct ListRange {
        uint64_t after, limit;
        const char *since;     /* as it was written, or NULL */
        usec_t since_time;
} ListRange;

static int list_some(const Ctl *ctl, const ListKind *kind, const ListRange *range) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        const JsonValue *array;
        int r;

        if (json_add_integer(parameters, "after", (int64_t) range->after) < 0 ||
            json_add_integer(parameters, "limit", (int64_t) range->limit) < 0 ||
            (range->since && json_add_integer(parameters, "since", (int64_t) range->since_time) < 0))
                return ctl_fail("memory is short");
        if (ctl_call("worker", kind->method, TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        array = json_get_array(reply, kind->member);
        if (ctl->json)
                return ctl_print_json(array);
        r = kind->print(array);
        if (r == EXIT_SUCCESS && json_get_bool(reply, "has_more", false))
                printf("There are more: atelierctl ledger %s%s%s --after=%lld\n", kind->command,
                       range->since ? " --since=" : "", range->since ?: "",
                       (long long) json_get_integer(array->child->prev, "number", 0));
        return r;
}

/* A day, or how long ago. */
static int take_since(const CommandForm *form, ListRange *range) {
        usec_t now = time_now_realtime(), ago;

        if (time_parse_day(optarg, &range->since_time) < 0) {
                if (time_parse_duration(optarg, &ago) < 0 || ago > now)
                        return arguments_misused(form, "--since takes a day such as 2026-11-22 (UTC), or how long ago (30d)");
                range->since_time = now - ago;
        }
        range->since = optarg;
        return EXIT_SUCCESS;
}

static int take_option(const CommandForm *form, int option, ListRange *range) {
        if (option == 's')
                return take_since(form, range);
        return option == 'a' ? arguments_number(form, "--after", (uint64_t) JSON_INTEGER_MAX, &range->after)
                             : arguments_number(form, "--limit", LIST_MAX, &range->limit);
}

static int run_list(Ctl *ctl, const CommandForm *form, const ListKind *kind, int argc, char *argv[]) {
        ListRange range = { .limit = LIST_DEFAULT };
        Arguments arguments;
        int option;

        arguments_begin(&arguments, ctl, form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0) {
                int r = take_option(form, option, &range);

                if (r != EXIT_SUCCESS)
                        return r;
        }
        return option == ARGUMENTS_STOP ? arguments.result : list_some(ctl, kind, &range);
}

static int ledger_list(Ctl *ctl, int argc, char *argv[]) {
        static const ListKind kind = { "io.atelier.Ledger.ListEntries", "entries", "list", print_entries };
        static const CommandForm form = {
                .form = "ledger list [--after=NUMBER] [--limit=N]",
                .help = "Entries, oldest first; 20 unless told otherwise.\n\n"
                        "  --after=NUMBER   those behind this one\n"
                        "  --limit=N        so many, at most 1000\n",
                .options = {
                        { "after", required_argument, NULL, 'a' },
                        { "limit", required_argument, NULL, 'l' },
                        {},
                },
        };

        return run_list(ctl, &form, &kind, argc, argv);
}

/* ------------------------------------------------------------------ defects */

static int print_defects(const JsonValue *defects) {
        static const char *const headings[] = {
                ">DEFECT", "TIME", "PROVIDER", "PROVIDER REQUEST", "MODEL", ">CHARGED", ">UNKNOWN", "JOB", "WHAT", NULL,
        };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *defect;

        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(defect, defects) {
                text_table_add_number(table, json_get_integer(defect, "number", 0));
                text_table_add_time(table, json_get_integer(defect, "at", -1));
                text_table_add(table, json_get_string(defect, "provider"), 0);
                text_table_add(table, json_get_string(defect, "provider_request_id"), 0);
                text_table_add(table, json_get_string(defect, "model"), 0);
                add_change(table, defect, "charged_micros");
                add_change(table, defect, "unknown_micros");
                text_table_add(table, json_get_string(defect, "job"), 0);
                text_table_add(table, json_get_string(defect, "detail") ?: json_get_string(defect, "kind"), 0);
        }
        if (text_table_rows(table) == 0) {
                puts("There is no such defect.");
                return EXIT_SUCCESS;
        }
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int ledger_defects(Ctl *ctl, int argc, char *argv[]) {
        static const ListKind kind = { "io.atelier.Ledger.ListDefects", "defects", "defects", print_defects };
        static const CommandForm form = {
                .form = "ledger defects [--since=TIME] [--after=NUMBER] [--limit=N]",
                .help = "What was wrong with replies that were charged, or may have been, oldest first: what a claim for a\n"
                        "refund needs. 20 unless told otherwise.\n\n"
                        "  --since=TIME     from this day on (2026-11-22, UTC), or not longer ago (30d)\n"
                        "  --after=NUMBER   those behind this one\n"
                        "  --limit=N        so many, at most 1000\n",
                .options = {
                        { "since", required_argument, NULL, 's' },
                        { "after", required_argument, NULL, 'a' },
                        { "limit", required_argument, NULL, 'l' },
                        {},
                },
        };

        return run_list(ctl, &form, &kind, argc, argv);
}

/* ------------------------------------------------------------------ verify */

static void on_progress(const JsonValue *parameters, void *userdata) {
        int64_t entries = json_get_integer(parameters, "entries", 0);
        _cleanup_free_ char *text = text_format("checking: %lld entries", (long long) entries);

        if (text)
                progress_line_show(userdata, text);
}

static int tell_verified(const Ctl *ctl, const JsonValue *reply) {
        _cleanup_free_ char *problem = printable_text(json_get_string(reply, "problem") ?: "", 0);
        bool ok = json_get_bool(reply, "ok", false);

        if (ctl->json && ctl_print_json(reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (!ok)
                return ctl_fail("the ledger is not as it was written: %s", problem ?: "");
        if (!ctl->json)
                printf("%lld entries are as they were written, and the running totals are their sums.\n",
                       (long long) json_get_integer(reply, "entries", 0));
        return EXIT_SUCCESS;
}

static int ledger_verify(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "ledger verify",
                .help = "Checks the hash of every entry and every running total. Work goes on meanwhile.\n",
        };
        _cleanup_(progress_line_freep) ProgressLine *line = NULL;
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (progress_line_new(&line, ctl->json) < 0)
                return ctl_fail("memory is short");
        result = follow_call(&(Follow) {
                .daemon = "worker",
                .method = "io.atelier.Ledger.Verify",
                .tries = 1,
                .on_reply = on_progress,
                .userdata = line,
        }, &answer);
        line = progress_line_free(line);
        return result == EXIT_SUCCESS ? tell_verified(ctl, answer.parameters) : result;
}

int ctl_ledger(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "list", "[--after=NUMBER] [--limit=N]", "Show what was booked", ledger_list },
                { "defects", "[--since=TIME] [--after=NUMBER] [--limit=N]", "Show what was wrong with replies that cost",
                  ledger_defects },
                { "verify", "", "Check every entry and every total", ledger_verify },
                {},
        };
        static const CommandGroup group = { .name = "ledger", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
