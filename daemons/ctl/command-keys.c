/* keys: by which clients are known. */
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "base/money.h"
#include "base/text.h"
#include "printable.h"
#include "text-table.h"

/* ------------------------------------------------------------------ create */

static const CommandForm create_form = {
        .form = "keys create NAME [OPTIONS]",
        .help = "A new key for a client, written once: only a hash of it is kept.\n\n"
                "  --daily-budget=AMOUNT     what it may spend in a day, in dollars: 5, 2.50\n"
                "  --monthly-budget=AMOUNT   the same for a month\n",
        .options = {
                { "daily-budget", required_argument, NULL, 'd' },
                { "monthly-budget", required_argument, NULL, 'm' },
        },
        .words_min = 1,
        .words_max = 1,
};

static int add_budget(JsonValue *parameters, const char *option, const char *name) {
        micros_t amount;

        if (money_parse(optarg, &amount) < 0)
                return arguments_misused(&create_form, "--%s takes an amount in dollars, such as 5 or 2.50", option);
        return json_add_integer(parameters, name, amount) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

/* The key alone goes to standard output, so that it can be piped to where it is kept. */
static void print_created(const JsonValue *reply) {
        _cleanup_free_ char *name = printable_text(json_get_string(json_get_object(reply, "key"), "name") ?: "", 0);

        fprintf(stderr, "Key %s for %s; it is not shown again:\n",
                json_get_string(json_get_object(reply, "key"), "id") ?: "?", name ?: "?");
        puts(json_get_string(reply, "token") ?: "");
}

static int create(const Ctl *ctl, JsonValue *parameters, const char *name) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        char *token;

        if (json_add_string(parameters, "name", name) < 0) {
                (void) json_free(parameters);
                return ctl_fail("memory is short");
        }
        if (ctl_call("worker", "io.atelier.Keys.Create", parameters, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                (void) ctl_print_json(reply);
        else
                print_created(reply);
        token = (char *) json_get_string(reply, "token");
        if (token)
                explicit_bzero(token, strlen(token));
        return EXIT_SUCCESS;
}

static int keys_create(Ctl *ctl, int argc, char *argv[]) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        Arguments arguments;
        int option, r = EXIT_SUCCESS;

        if (!parameters)
                return ctl_fail("memory is short");
        arguments_begin(&arguments, ctl, &create_form, argc, argv);
        while (r == EXIT_SUCCESS && (option = arguments_next(&arguments)) >= 0)
                r = option == 'd' ? add_budget(parameters, "daily-budget", "daily_budget_micros")
                                  : add_budget(parameters, "monthly-budget", "monthly_budget_micros");
        if (r != EXIT_SUCCESS)
                return r;
        if (option == ARGUMENTS_STOP)
                return arguments.result;
        return create(ctl, TAKE_PTR(parameters), argv[optind]);
}

/* ------------------------------------------------------------------ list */

static void add_amount(TextTable *table, const JsonValue *key, const char *name) {
        char text[MONEY_TEXT_MAX];

        text_table_add(table, json_has(key, name) ? money_format(json_get_integer(key, name, 0), text) : NULL, 0);
}

static void add_row(TextTable *table, const JsonValue *key) {
        text_table_add(table, json_get_string(key, "id"), 0);
        text_table_add(table, json_get_string(key, "name"), 0);
        text_table_add_time(table, json_get_integer(key, "created_at", -1));
        text_table_add_time(table, json_get_integer(key, "revoked_at", -1));
        add_amount(table, key, "daily_budget_micros");
        add_amount(table, key, "monthly_budget_micros");
}

static int print_keys(const JsonValue *keys) {
        static const char *const headings[] = { "ID", "NAME", "CREATED", "REVOKED", ">DAILY", ">MONTHLY", NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;
        const JsonValue *key;

        if (cJSON_GetArraySize(keys) == 0) {
                puts("There is no key yet; make one with: atelierctl keys create NAME");
                return EXIT_SUCCESS;
        }
        if (text_table_new(&table, headings) < 0)
                return ctl_fail("memory is short");
        cJSON_ArrayForEach(key, keys)
                add_row(table, key);
        return text_table_print(table, stdout) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

/* Appends a page to `keys`; *ret_more says whether another one follows. */
static int fetch_page(JsonValue *keys, bool *ret_more) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        const JsonValue *key;
        int last = cJSON_GetArraySize(keys) - 1;

        if (json_add_string(parameters, "after", json_get_string(cJSON_GetArrayItem(keys, last), "id")) < 0)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Keys.List", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        cJSON_ArrayForEach(key, json_get_array(reply, "keys"))
                if (json_append(keys, cJSON_Duplicate(key, true)) < 0)
                        return ctl_fail("memory is short");
        *ret_more = json_get_bool(reply, "has_more", false) && cJSON_GetArraySize(keys) > last + 1;
        return EXIT_SUCCESS;
}

static int keys_list(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "keys list",
                .help = "The keys there are, oldest first, revoked ones too.\n",
        };
        _cleanup_(json_freep) JsonValue *keys = json_new_array();
        bool more = true;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (!keys)
                return ctl_fail("memory is short");
        while (more)
                if (fetch_page(keys, &more) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
        return ctl->json ? ctl_print_json(keys) : print_keys(keys);
}

/* ------------------------------------------------------------------ revoke */

static int keys_revoke(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "keys revoke ID",
                .help = "Has every further request with the key refused. Jobs that were accepted go on.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (json_add_string(parameters, "id", argv[optind]) < 0)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Keys.Revoke", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(json_get_object(reply, "key"));
        printf("Key %s is revoked.\n", argv[optind]);
        return EXIT_SUCCESS;
}

int ctl_keys(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "create", "NAME [OPTIONS]", "Make a key", keys_create },
                { "list", "", "Show which there are", keys_list },
                { "revoke", "ID", "Have it refused from now on", keys_revoke },
                {},
        };
        static const CommandGroup group = {
                .name = "keys",
                .summary = "Once there is a key, clients that are neither root nor of group atelier on the Unix\n"
                           "socket must show one: Authorization: Bearer atl_...\n",
                .commands = commands,
        };

        return command_group_run(ctl, &group, argc, argv);
}
