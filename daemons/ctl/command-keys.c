/* keys: by which clients are known. */
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "base/buffer.h"
#include "base/money.h"
#include "base/text.h"
#include "base/time.h"
#include "printable.h"
#include "text-table.h"

/* ------------------------------------------------------------------ create */

#define RATE_MAX 1000000
#define GRACE_MAX (30 * USEC_PER_DAY)
#define NAME_COLUMNS_MAX 30
#define LIST_COLUMNS_MAX 40
#define DURATION_MAX (100 * 365 * USEC_PER_DAY)

static const CommandForm create_form = {
        .form = "keys create NAME [OPTIONS]",
        .help = "A new key for a client, written once: only a hash of it is kept.\n\n"
                "  --owner=NAME               who is to be asked about it\n"
                "  --expires-in=DURATION      it is refused from then on: 90d, 12h\n"
                "  --model=NAME               one that it may ask for, and no others; may be given again\n"
                "  --network=ADDRESS          from where it may be used (192.0.2.0/24, unix), and from nowhere\n"
                "                             else; may be given again\n"
                "  --daily-budget=AMOUNT      what it may spend in a day, in dollars: 5, 2.50\n"
                "  --monthly-budget=AMOUNT    the same for a month\n"
                "  --requests-per-minute=N    of requests for images\n"
                "  --images-per-minute=N      of images that are made for them\n",
        .options = {
                { "owner", required_argument, NULL, 'o' },
                { "expires-in", required_argument, NULL, 'e' },
                { "model", required_argument, NULL, 'M' },
                { "network", required_argument, NULL, 'n' },
                { "daily-budget", required_argument, NULL, 'd' },
                { "monthly-budget", required_argument, NULL, 'm' },
                { "requests-per-minute", required_argument, NULL, 'r' },
                { "images-per-minute", required_argument, NULL, 'i' },
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

static int add_rate(JsonValue *parameters, const char *option, const char *name) {
        uint64_t rate;
        int r;

        r = arguments_number(&create_form, option, RATE_MAX, &rate);
        if (r != EXIT_SUCCESS)
                return r;
        return json_add_integer(parameters, name, (int64_t) rate) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int add_expiry(JsonValue *parameters) {
        usec_t duration;

        if (time_parse_duration(optarg, &duration) < 0 || duration == 0 || duration > DURATION_MAX)
                return arguments_misused(&create_form, "--expires-in takes a duration such as 90d or 12h, of up to 100 years");
        return json_add_integer(parameters, "expires_at", (int64_t) (time_now_realtime() + duration)) < 0
                       ? ctl_fail("memory is short")
                       : EXIT_SUCCESS;
}

static int add_to_list(JsonValue *parameters, const char *name) {
        JsonValue *list = cJSON_GetObjectItemCaseSensitive(parameters, name);
        int r = 0;

        if (!list) {
                list = json_new_array();
                r = json_add(parameters, name, list);
        }
        if (r >= 0)
                r = json_append(list, cJSON_CreateString(optarg));
        return r < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
}

static int add_option(JsonValue *parameters, int option) {
        switch (option) {
        case 'o':
                return json_add_string(parameters, "owner", optarg) < 0 ? ctl_fail("memory is short") : EXIT_SUCCESS;
        case 'e':
                return add_expiry(parameters);
        case 'M':
                return add_to_list(parameters, "models");
        case 'n':
                return add_to_list(parameters, "networks");
        case 'd':
                return add_budget(parameters, "daily-budget", "daily_budget_micros");
        case 'm':
                return add_budget(parameters, "monthly-budget", "monthly_budget_micros");
        case 'r':
                return add_rate(parameters, "--requests-per-minute", "requests_per_minute");
        default:
                return add_rate(parameters, "--images-per-minute", "images_per_minute");
        }
}

/* The key alone goes to standard output, so that it can be piped to where it is kept. */
static void print_token(const JsonValue *reply) {
        const JsonValue *key = json_get_object(reply, "key");
        _cleanup_free_ char *name = printable_text(json_get_string(key, "name") ?: "", 0);
        int64_t former_until = json_get_integer(key, "former_until", -1);
        char stamp[TIME_STAMP_MAX];

        fprintf(stderr, "Key %s for %s; it is not shown again:\n", json_get_string(key, "id") ?: "?", name ?: "?");
        puts(json_get_string(reply, "token") ?: "");
        (void) fflush(stdout);
        if (former_until >= 0)
                fprintf(stderr, "The one that it had is good until %s.\n", time_format_stamp((usec_t) former_until, stamp));
}

/* Calls what makes a token, and shows that once. */
static int make_token(const Ctl *ctl, const char *method, JsonValue *parameters) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        char *token;

        if (ctl_call("worker", method, parameters, &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                (void) ctl_print_json(reply);
        else
                print_token(reply);
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
                r = add_option(parameters, option);
        if (r != EXIT_SUCCESS)
                return r;
        if (option == ARGUMENTS_STOP)
                return arguments.result;
        if (json_add_string(parameters, "name", argv[optind]) < 0)
                return ctl_fail("memory is short");
        return make_token(ctl, "io.atelier.Keys.Create", TAKE_PTR(parameters));
}

/* ------------------------------------------------------------------ rotate */

static int keys_rotate(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "keys rotate ID [--grace=DURATION]",
                .help = "A new secret for a key, written once. The one that it has is as good for a day.\n\n"
                        "  --grace=DURATION   for so long instead: 2h, 7d; 0 has it refused at once\n",
                .options = { { "grace", required_argument, NULL, 'g' } },
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        Arguments arguments;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0) {
                usec_t grace;

                if (time_parse_duration(optarg, &grace) < 0 || grace > GRACE_MAX)
                        return arguments_misused(&form, "--grace takes a duration such as 2h or 7d, of up to 30 days");
                if (json_add_integer(parameters, "grace_usec", (int64_t) grace) < 0)
                        return ctl_fail("memory is short");
        }
        if (option == ARGUMENTS_STOP)
                return arguments.result;
        if (json_add_string(parameters, "id", argv[optind]) < 0)
                return ctl_fail("memory is short");
        return make_token(ctl, "io.atelier.Keys.Rotate", TAKE_PTR(parameters));
}

/* ------------------------------------------------------------------ list */

static void add_amount(TextTable *table, const JsonValue *key, const char *name) {
        char text[MONEY_TEXT_MAX];

        text_table_add(table, json_has(key, name) ? money_format(json_get_integer(key, name, 0), text) : NULL, 0);
}

static void add_rate_cell(TextTable *table, const JsonValue *key, const char *name) {
        if (json_has(key, name))
                text_table_add_number(table, json_get_integer(key, name, 0));
        else
                text_table_add(table, NULL, 0);
}

static void add_list_cell(TextTable *table, const JsonValue *list) {
        _cleanup_(buffer_done) Buffer text = {};
        const JsonValue *entry;

        cJSON_ArrayForEach(entry, list) {
                (void) buffer_append_text(&text, text.size > 0 ? "," : "");
                (void) buffer_append_text(&text, cJSON_GetStringValue(entry) ?: "");
        }
        text_table_add(table, text.size > 0 ? (const char *) text.data : NULL, LIST_COLUMNS_MAX);
}

static const char *state_of(const JsonValue *key, usec_t now) {
        if (json_has(key, "revoked_at"))
                return "revoked";
        if (json_has(key, "expires_at") && json_get_integer(key, "expires_at", 0) <= (int64_t) now)
                return "expired";
        return json_has(key, "former_until") ? "rotating" : "good";
}

static void add_row(TextTable *table, const JsonValue *key) {
        text_table_add(table, json_get_string(key, "id"), 0);
        text_table_add(table, json_get_string(key, "name"), NAME_COLUMNS_MAX);
        text_table_add(table, state_of(key, time_now_realtime()), 0);
        text_table_add_time(table, json_get_integer(key, "created_at", -1));
        /* The state says what was then, or will be. */
        text_table_add_time(table, json_get_integer(key, json_has(key, "revoked_at") ? "revoked_at" : "expires_at", -1));
        text_table_add_time(table, json_get_integer(key, "used_at", -1));
        add_amount(table, key, "daily_budget_micros");
        add_amount(table, key, "monthly_budget_micros");
        add_rate_cell(table, key, "requests_per_minute");
        add_rate_cell(table, key, "images_per_minute");
        add_list_cell(table, json_get_array(key, "models"));
        add_list_cell(table, json_get_array(key, "networks"));
}

static int print_keys(const JsonValue *keys) {
        static const char *const headings[] = {
                "ID", "NAME", "STATE", "CREATED", "UNTIL", "USED", ">DAILY", ">MONTHLY", ">REQUESTS/MIN", ">IMAGES/MIN",
                "MODELS", "NETWORKS", NULL,
        };
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
                { "rotate", "ID [--grace=DURATION]", "Make a new secret for one; the old one is good for a while", keys_rotate },
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
