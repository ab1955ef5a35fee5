/* audit: who did what, and whether the trail of it is whole. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "amounts.h"
#include "arguments.h"
#include "audit-journal.h"
#include "base/text.h"
#include "follow.h"
#include "printable.h"
#include "progress-line.h"

#define SHOW_DEFAULT 20
#define SHOW_MAX 1000
#define PAGE_RECORDS 1000 /* the worker's limit */

/* Which records. */
typedef struct Range {
        const char *key;  /* NULL: of all */
        uint64_t after, limit;
        bool after_given, csv;
} Range;

static int get_page(const Range *range, uint64_t after, uint64_t limit, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();

        if (json_add_integer(parameters, "after", (int64_t) after) < 0 ||
            json_add_integer(parameters, "limit", (int64_t) limit) < 0 ||
            json_add_string(parameters, "key", range->key) < 0)
                return ctl_fail("memory is short");
        return ctl_call("worker", "io.atelier.Audit.List", TAKE_PTR(parameters), ret);
}

static uint64_t last_number(const JsonValue *records, uint64_t otherwise) {
        return records && records->child ? (uint64_t) json_get_integer(records->child->prev, "number", 0) : otherwise;
}

/* ------------------------------------------------------------------ show */

/* "key 0123456789abcdef from 127.0.0.1", "uid 0". */
static char *who(const JsonValue *record) {
        const char *key = json_get_string(record, "key"), *origin = json_get_string(record, "origin");
        const char *address = json_get_string(record, "address");
        int64_t uid = json_get_integer(record, "uid", -1);

        if (key || origin)
                return text_format("%s%s%s%s", key ? "key " : "", key ?: origin, address ? " from " : "", address ?: "");
        return uid >= 0 ? text_format("uid %lld", (long long) uid) : NULL;
}

static void add_record(TextTable *table, const JsonValue *record) {
        _cleanup_free_ char *actor = who(record);
        int64_t count = json_get_integer(record, "count", 1), cost = json_get_integer(record, "cost_micros", 0);

        text_table_add_number(table, json_get_integer(record, "number", 0));
        text_table_add_time(table, json_get_integer(record, "at", -1));
        text_table_add(table, actor, 0);
        text_table_add(table, json_get_string(record, "action"), 0);
        text_table_add(table, json_get_string(record, "outcome"), 0);
        if (count > 1)
                text_table_add_number(table, count);
        else
                text_table_add(table, NULL, 0);
        if (cost > 0)
                amounts_add_money(table, cost);
        else
                text_table_add(table, NULL, 0);
        text_table_add(table, json_get_string(record, "object"), 0);
        text_table_add(table, json_get_string(record, "detail"), 0);
}

static int print_records(const JsonValue *records) {
        static const char *const headings[] = {
                ">RECORD", "TIME", "WHO", "WHAT", "OUTCOME", ">TIMES", ">COST", "OF", "DETAIL", NULL,
        };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *record;

        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(record, records)
                add_record(table, record);
        if (text_table_rows(table) == 0) {
                puts("There is no such record.");
                return EXIT_SUCCESS;
        }
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

/* Those of a key have no numbers of their own: the last of them are found by walking through all. */
static int get_newest(const Range *range, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *page = NULL, *records = json_new_array();
        uint64_t after = 0;
        JsonValue *list;

        do {
                (void) json_free(TAKE_PTR(page));
                if (get_page(range, after, PAGE_RECORDS, &page) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
                list = cJSON_GetObjectItemCaseSensitive(page, "records");
                after = last_number(list, after);
                while (list && list->child)
                        if (json_append(records, cJSON_DetachItemViaPointer(list, list->child)) < 0)
                                return ctl_fail("memory is short");
                while ((uint64_t) cJSON_GetArraySize(records) > range->limit)
                        cJSON_DeleteItemFromArray(records, 0);
        } while (json_get_bool(page, "has_more", false));
        *ret = TAKE_PTR(records);
        return EXIT_SUCCESS;
}

static int get_from(const Range *range, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *page = NULL;
        uint64_t after = range->after, last;

        if (get_page(range, after, range->limit, &page) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        last = (uint64_t) json_get_integer(page, "last", 0);
        if (!range->after_given && last > range->limit) {
                (void) json_free(TAKE_PTR(page));
                if (get_page(range, last - range->limit, range->limit, &page) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
        }
        *ret = cJSON_DetachItemFromObjectCaseSensitive(page, "records");
        return *ret ? EXIT_SUCCESS : ctl_fail("memory is short");
}

static int take_option(const CommandForm *form, int option, Range *range) {
        switch (option) {
        case 'k':
                range->key = optarg;
                return EXIT_SUCCESS;
        case 'a':
                range->after_given = true;
                return arguments_number(form, "--after", (uint64_t) JSON_INTEGER_MAX, &range->after);
        case 'c':
                range->csv = true;
                return EXIT_SUCCESS;
        default:
                return arguments_number(form, "--limit", SHOW_MAX, &range->limit);
        }
}

static int audit_show(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "audit show [--key=ID] [--after=NUMBER] [--limit=N]",
                .help = "The newest records, 20 unless told otherwise.\n\n"
                        "  --key=ID         of this key alone\n"
                        "  --after=NUMBER   not the newest, but those behind this one\n"
                        "  --limit=N        so many, at most 1000\n",
                .options = {
                        { "key", required_argument, NULL, 'k' },
                        { "after", required_argument, NULL, 'a' },
                        { "limit", required_argument, NULL, 'l' },
                        {},
                },
        };
        _cleanup_(json_freep) JsonValue *records = NULL;
        Range range = { .limit = SHOW_DEFAULT };
        Arguments arguments;
        int option, r;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0) {
                r = take_option(&form, option, &range);
                if (r != EXIT_SUCCESS)
                        return r;
        }
        if (option == ARGUMENTS_STOP)
                return arguments.result;
        r = range.key && !range.after_given ? get_newest(&range, &records) : get_from(&range, &records);
        if (r != EXIT_SUCCESS)
                return r;
        return ctl->json ? ctl_print_json(records) : print_records(records);
}

/* ------------------------------------------------------------------ export */

static const char *const columns[] = {
        "number", "at", "action", "outcome", "key", "origin", "address", "uid", "object", "model", "cost_micros",
        "unknown_micros", "count", "detail", "hash",
};

/* RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe. */
static void print_csv_text(const char *text) {
        bool quote = strpbrk(text, ",\"\r\n") || strchr("=+-@\t", *text);

        if (!quote) {
                (void) fputs(text, stdout);
                return;
        }
        (void) putchar('"');
        if (*text && strchr("=+-@\t", *text))
                (void) putchar('\'');
        for (; *text; text++) {
                if (*text == '"')
                        (void) putchar('"');
                (void) putchar(*text);
        }
        (void) putchar('"');
}

static void print_csv(const JsonValue *record) {
        for (size_t i = 0; i < ELEMENTS(columns); i++) {
                const JsonValue *value = cJSON_GetObjectItemCaseSensitive(record, columns[i]);

                if (i > 0)
                        (void) putchar(',');
                if (cJSON_IsString(value))
                        print_csv_text(value->valuestring);
                else if (value)
                        (void) printf("%lld", (long long) json_get_integer(record, columns[i], 0));
        }
        (void) fputs("\r\n", stdout);
}

static int print_line(const JsonValue *record) {
        _cleanup_free_ char *text = json_format(record);

        return text && puts(text) >= 0 ? EXIT_SUCCESS : ctl_fail("the record can't be written");
}

static void print_csv_head(void) {
        for (size_t i = 0; i < ELEMENTS(columns); i++)
                (void) printf("%s%s", i > 0 ? "," : "", columns[i]);
        (void) fputs("\r\n", stdout);
}

static int export_all(const Range *range) {
        uint64_t after = range->after;
        bool more = true;

        if (range->csv)
                print_csv_head();
        while (more) {
                _cleanup_(json_freep) JsonValue *page = NULL;
                const JsonValue *records, *record;

                if (get_page(range, after, PAGE_RECORDS, &page) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
                records = json_get_array(page, "records");
                cJSON_ArrayForEach(record, records)
                        if (range->csv)
                                print_csv(record);
                        else if (print_line(record) != EXIT_SUCCESS)
                                return EXIT_FAILURE;
                after = last_number(records, after);
                more = json_get_bool(page, "has_more", false);
        }
        return fflush(stdout) == 0 ? EXIT_SUCCESS : ctl_fail("the records can't be written: %s", strerror(errno));
}

static int audit_export(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "audit export [--csv] [--key=ID] [--after=NUMBER]",
                .help = "All records, oldest first, one a line: as JSON, with what their hashes are made of.\n\n"
                        "  --csv            as comma-separated values (RFC 4180)\n"
                        "  --key=ID         of this key alone\n"
                        "  --after=NUMBER   those behind this one\n",
                .options = {
                        { "csv", no_argument, NULL, 'c' },
                        { "key", required_argument, NULL, 'k' },
                        { "after", required_argument, NULL, 'a' },
                        {},
                },
        };
        Range range = {};
        Arguments arguments;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0) {
                int r = take_option(&form, option, &range);

                if (r != EXIT_SUCCESS)
                        return r;
        }
        return option == ARGUMENTS_STOP ? arguments.result : export_all(&range);
}

/* ------------------------------------------------------------------ verify */

static void on_progress(const JsonValue *parameters, void *userdata) {
        _cleanup_free_ char *text =
                text_format("checking: %lld records", (long long) json_get_integer(parameters, "records", 0));

        if (text)
                progress_line_show(userdata, text);
}

/* A page of the worker's records, in which those of the journal are looked up; they come in about the same order. */
typedef struct Lookup {
        JsonValue *page;
        int64_t first;
} Lookup;

static const char *look_up(int64_t number, void *userdata) {
        Lookup *lookup = userdata;
        const JsonValue *record;

        for (bool asked = false;; asked = true) {
                record = lookup->page && number >= lookup->first
                                 ? cJSON_GetArrayItem(json_get_array(lookup->page, "records"), (int) (number - lookup->first))
                                 : NULL;
                if (record || asked)
                        break;
                (void) json_free(TAKE_PTR(lookup->page));
                if (get_page(&(Range) {}, (uint64_t) number - 1, PAGE_RECORDS, &lookup->page) != EXIT_SUCCESS)
                        return NULL;
                lookup->first = number;
        }
        if (json_get_integer(record, "number", 0) != number)
                return "";
        return json_get_string(record, "hash") ?: "";
}

static int compare_journal(AuditJournal *ret, char **problem) {
        _cleanup_(json_freep) JsonValue *page = NULL;
        Lookup lookup = {};
        int r;

        if (get_page(&(Range) {}, 0, 1, &page) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        r = audit_journal_compare(json_get_string(page, "chain") ?: "", look_up, &lookup, ret, problem);
        (void) json_free(lookup.page);
        if (r == -ECANCELED)
                return EXIT_FAILURE;
        return r < 0 ? ctl_fail("the journal can't be read: %s", strerror(-r)) : EXIT_SUCCESS;
}

static int tell_verified(const Ctl *ctl, JsonValue *reply, const AuditJournal *journal, const char *journal_problem) {
        _cleanup_free_ char *problem = printable_text(journal_problem ?: json_get_string(reply, "problem") ?: "", 0);
        bool ok = json_get_bool(reply, "ok", false) && !journal_problem;

        if (ctl->json) {
                cJSON_DeleteItemFromObjectCaseSensitive(reply, "ok");
                cJSON_DeleteItemFromObjectCaseSensitive(reply, "problem");
                if (json_add_bool(reply, "ok", ok) < 0 || json_add_string(reply, "problem", ok ? NULL : problem) < 0 ||
                    json_add_integer(reply, "in_journal", (int64_t) journal->compared) < 0 ||
                    json_add_integer(reply, "of_other_trails", (int64_t) journal->others) < 0)
                        return ctl_fail("memory is short");
                if (ctl_print_json(reply) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
        }
        if (!ok)
                return ctl_fail("the audit trail is not as it was written: %s", problem ?: "");
        if (ctl->json)
                return EXIT_SUCCESS;
        printf("%lld records are as they were written; the journal has %llu of them, the same.\n",
               (long long) json_get_integer(reply, "records", 0), (unsigned long long) journal->compared);
        if (journal->others > 0)
                printf("It also has %llu of another trail: of a state that was there before.\n",
                       (unsigned long long) journal->others);
        return EXIT_SUCCESS;
}

static int audit_verify(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "audit verify",
                .help = "Checks that no record is missing or altered, and that those in the journal are the same. What the\n"
                        "journal has rotated away is not missed there.\n",
        };
        _cleanup_(progress_line_freep) ProgressLine *line = NULL;
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        _cleanup_free_ char *problem = NULL;
        AuditJournal journal = {};
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (progress_line_new(&line, ctl->json) < 0)
                return ctl_fail("memory is short");
        result = follow_call(&(Follow) {
                .daemon = "worker",
                .method = "io.atelier.Audit.Verify",
                .tries = 1,
                .on_reply = on_progress,
                .userdata = line,
        }, &answer);
        line = progress_line_free(line);
        if (result == EXIT_SUCCESS && json_get_bool(answer.parameters, "ok", false))
                result = compare_journal(&journal, &problem);
        return result == EXIT_SUCCESS ? tell_verified(ctl, answer.parameters, &journal, problem) : result;
}

int ctl_audit(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "show", "[--key=ID] [--after=NUMBER] [--limit=N]", "Show the newest records", audit_show },
                { "export", "[--csv] [--key=ID] [--after=NUMBER]", "Print all records, for other programs", audit_export },
                { "verify", "", "Check that no record is missing or altered", audit_verify },
                {},
        };
        static const CommandGroup group = { .name = "audit", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
