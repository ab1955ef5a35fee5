/* batches: many requests that were accepted together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "amounts.h"
#include "arguments.h"
#include "base/text.h"
#include "job-print.h"
#include "job-result.h"
#include "text-table.h"

#define LIST_DEFAULT 20
#define LIST_MAX UINT64_C(1000000000)
#define PAGE_BATCHES 20  /* the worker's limits */
#define PAGE_ITEMS 100
#define PROMPT_COLUMNS_MAX 40

/* { id, caller } and what else the call takes. */
static JsonValue *build_parameters(const char *id, int64_t limit) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add_string(parameters, "id", id);
        if (r >= 0)
                r = json_add(parameters, "caller", job_caller());
        if (r >= 0 && limit > 0)
                r = json_add_integer(parameters, "limit", limit);
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

static int call_for_batch(const char *method, const char *id, JsonValue **ret) {
        JsonValue *parameters = build_parameters(id, 0);

        return parameters ? ctl_call("worker", method, parameters, ret) : ctl_fail("memory is short");
}

/* What a page has is the list's. */
static int append_page(JsonValue *list, JsonValue *page, uint64_t max) {
        int r = 0;

        while (r >= 0 && page && page->child && (uint64_t) cJSON_GetArraySize(list) < max)
                r = json_append(list, cJSON_DetachItemViaPointer(page, page->child));
        return r;
}

/* ------------------------------------------------------------------ list */

static int get_page(const char *after, uint64_t limit, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *parameters = build_parameters(NULL, (int64_t) MIN(limit, (uint64_t) PAGE_BATCHES));

        if (!parameters || json_add_string(parameters, "after", after) < 0)
                return ctl_fail("memory is short");
        return ctl_call("worker", "io.atelier.Queue.ListBatches", TAKE_PTR(parameters), ret);
}

static int get_batches(JsonValue *batches, uint64_t limit, bool *ret_more) {
        uint64_t count = 0;

        do {
                const JsonValue *last = cJSON_GetArrayItem(batches, (int) count - 1);
                _cleanup_(json_freep) JsonValue *reply = NULL;

                if (get_page(json_get_string(last, "id"), limit - count, &reply) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
                if (append_page(batches, cJSON_GetObjectItemCaseSensitive(reply, "batches"), limit) < 0)
                        return ctl_fail("memory is short");
                *ret_more = json_get_bool(reply, "has_more", false) && (uint64_t) cJSON_GetArraySize(batches) > count;
                count = (uint64_t) cJSON_GetArraySize(batches);
        } while (*ret_more && count < limit);
        return EXIT_SUCCESS;
}

static void add_batch(TextTable *table, const JsonValue *batch) {
        const JsonValue *counts = json_get_object(batch, "counts"), *cost = json_get_object(batch, "cost");

        text_table_add(table, json_get_string(batch, "id"), 0);
        text_table_add(table, json_get_string(batch, "status"), 0);
        text_table_add_time(table, json_get_integer(batch, "created_at", -1));
        text_table_add_number(table, json_get_integer(counts, "total", 0));
        text_table_add_number(table, json_get_integer(counts, "queued", 0) + json_get_integer(counts, "in_progress", 0));
        text_table_add_number(table, json_get_integer(counts, "completed", 0));
        text_table_add_number(table, json_get_integer(counts, "failed", 0));
        amounts_add_money(table, json_get_integer(cost, "reserved_micros", 0));
        amounts_add_money(table, json_get_integer(cost, "charged_micros", 0) + json_get_integer(cost, "unknown_micros", 0));
}

static int print_batches(const JsonValue *batches) {
        static const char *const headings[] = { "ID",          "STATUS",  "CREATED",   ">REQUESTS", ">OPEN",
                                                ">COMPLETED", ">FAILED", ">RESERVED", ">COST",     NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *batch;

        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(batch, batches)
                add_batch(table, batch);
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int list_batches(const Ctl *ctl, uint64_t limit) {
        _cleanup_(json_freep) JsonValue *batches = json_new_array();
        bool more = false;
        int r;

        if (!batches)
                return ctl_fail("memory is short");
        r = get_batches(batches, limit, &more);
        if (r != EXIT_SUCCESS || ctl->json)
                return r != EXIT_SUCCESS ? r : ctl_print_json(batches);
        if (!batches->child) {
                puts("There is no batch yet.");
                return EXIT_SUCCESS;
        }
        r = print_batches(batches);
        if (more)
                puts("There are more: --limit=N or --all shows them.");
        return r;
}

static int batches_list(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "batches list [--limit=N|--all]",
                .help = "Batches, newest first; 20 unless told otherwise. COST has what may have been charged as well.\n\n"
                        "  --limit=N   so many\n"
                        "  --all       however many there are\n",
                .options = {
                        { "limit", required_argument, NULL, 'l' },
                        { "all", no_argument, NULL, 'a' },
                        {},
                },
        };
        uint64_t limit = LIST_DEFAULT;
        Arguments arguments;
        int option, r;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0) {
                r = EXIT_SUCCESS;
                if (option == 'l')
                        r = arguments_number(&form, "--limit", LIST_MAX, &limit);
                else
                        limit = LIST_MAX;
                if (r != EXIT_SUCCESS)
                        return r;
        }
        return option == ARGUMENTS_STOP ? arguments.result : list_batches(ctl, limit);
}

/* ------------------------------------------------------------------ one batch */

static int get_items(const char *id, JsonValue *items) {
        int64_t after = 0;
        bool more;

        do {
                _cleanup_(json_freep) JsonValue *parameters = build_parameters(id, PAGE_ITEMS), *reply = NULL;
                int64_t before = after;

                if (!parameters || json_add_integer(parameters, "after", after) < 0)
                        return ctl_fail("memory is short");
                if (ctl_call("worker", "io.atelier.Queue.ListBatchItems", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
                if (append_page(items, cJSON_GetObjectItemCaseSensitive(reply, "items"), LIST_MAX) < 0)
                        return ctl_fail("memory is short");
                if (items->child)
                        after = json_get_integer(items->child->prev, "number", 0);
                more = json_get_bool(reply, "has_more", false) && after > before;
        } while (more);
        return EXIT_SUCCESS;
}

/* Why one failed says more than what was asked for. */
static void add_item(TextTable *table, const JsonValue *item) {
        const JsonValue *job = json_get_object(item, "job"), *failure = json_get_object(job, "failure");

        text_table_add_number(table, json_get_integer(item, "number", 0));
        text_table_add(table, json_get_string(item, "custom_id"), 0);
        text_table_add(table, json_get_string(job, "id"), 0);
        text_table_add(table, job ? job_state(job) : "deleted", 0);
        text_table_add_number(table, cJSON_GetArraySize(json_get_array(job, "images")));
        text_table_add(table, failure ? json_get_string(failure, "code") ?: json_get_string(failure, "message")
                                      : json_get_string(json_get_object(job, "request"), "prompt"),
                       PROMPT_COLUMNS_MAX);
}

static int print_batch(const JsonValue *batch, const JsonValue *items) {
        static const char *const headings[] = { ">NUMBER", "CUSTOM ID", "JOB", "STATUS", ">IMAGES", "PROMPT OR FAILURE", NULL };
        _cleanup_(json_freep) JsonValue *one = json_new_array();
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *item;

        if (!one || json_append(one, cJSON_CreateObjectReference(batch->child)) < 0 || text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        if (print_batches(one) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        puts("");
        cJSON_ArrayForEach(item, items)
                add_item(table, item);
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int batches_show(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "batches show ID",
                .help = "What has become of a batch, and of each of its requests.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *reply = NULL, *items = json_new_array();
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (!items)
                return ctl_fail("memory is short");
        if (call_for_batch("io.atelier.Queue.GetBatch", argv[optind], &reply) != EXIT_SUCCESS ||
            get_items(argv[optind], items) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (!ctl->json)
                return print_batch(json_get_object(reply, "batch"), items);
        if (json_add(reply, "items", TAKE_PTR(items)) < 0)
                return ctl_fail("memory is short");
        return ctl_print_json(reply);
}

static int batches_cancel(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "batches cancel ID",
                .help = "Cancels what of a batch waits. What is with a provider goes on, and is not tried again.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *reply = NULL;
        const JsonValue *counts;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (call_for_batch("io.atelier.Queue.CancelBatch", argv[optind], &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(json_get_object(reply, "batch"));
        counts = json_get_object(json_get_object(reply, "batch"), "counts");
        printf("%lld of %lld are cancelled, %lld go on.\n", (long long) json_get_integer(counts, "cancelled", 0),
               (long long) json_get_integer(counts, "total", 0), (long long) json_get_integer(counts, "in_progress", 0));
        return EXIT_SUCCESS;
}

int ctl_batches(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "list", "[--limit=N|--all]", "Show batches, newest first", batches_list },
                { "show", "ID", "Show a batch and its requests", batches_show },
                { "cancel", "ID", "Cancel what of a batch waits", batches_cancel },
                {},
        };
        static const CommandGroup group = { .name = "batches", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
