/* images: what was made, what it cost, and links to it. */
#include <stdio.h>

#include "amounts.h"
#include "arguments.h"
#include "base/money.h"
#include "base/text.h"
#include "base/time.h"
#include "job-result.h"
#include "printable.h"

/* A line "  name        value", the value being foreign; nothing where there is none. */
static void print_line(const char *name, const char *value) {
        _cleanup_free_ char *shown = text_empty(value) ? NULL : printable_text(value, 0);

        if (shown)
                printf("  %-12s %s\n", name, shown);
}

static void print_number(const char *name, int64_t number) {
        _cleanup_free_ char *text = text_format("%lld", (long long) number);

        print_line(name, text);
}

static void print_time(const char *name, int64_t time) {
        char stamp[TIME_STAMP_MAX];

        if (time > 0)
                print_line(name, time_format_stamp((usec_t) time, stamp));
}

static void print_money(const char *name, int64_t micros) {
        char text[MONEY_TEXT_MAX];

        print_line(name, money_format(micros, text));
}

static void print_key(const JsonValue *receipt) {
        const char *key = json_get_string(receipt, "key"), *name = json_get_string(receipt, "key_name");
        _cleanup_free_ char *text = key ? text_format("%s%s%s%s", key, name ? " (" : "", name ?: "", name ? ")" : "")
                                        : NULL;

        print_line("key", text);
}

static void print_request(const JsonValue *request) {
        static const char *const members[] = { "prompt", "size", "quality", "style", "background", "output_format" };

        for (size_t i = 0; i < ELEMENTS(members); i++)
                print_line(members[i], json_get_string(request, members[i]));
}

/* "2 × image 1024x1024 high at $0.04", "1712 × image_output at $30.00 per 1000000" */
static void print_item(const JsonValue *item) {
        const char *size = json_get_string(item, "size"), *quality = json_get_string(item, "quality");
        int64_t per = json_get_integer(item, "per", 1);
        char price[MONEY_TEXT_MAX];
        _cleanup_free_ char *text = NULL, *each = per > 1 ? text_format(" per %lld", (long long) per) : NULL;

        text = text_format("%lld × %s%s%s%s%s at %s%s", (long long) json_get_integer(item, "count", 0),
                           json_get_string(item, "what") ?: "?", size ? " " : "", size ?: "", quality ? " " : "",
                           quality ?: "", money_format(json_get_integer(item, "price_micros", 0), price), each ?: "");
        print_line("price", text);
}

static void print_budget(const JsonValue *budget) {
        const char *name = json_get_string(budget, "name");
        char limit[MONEY_TEXT_MAX];
        _cleanup_free_ char *text = text_format("%s%s%s, %s: %s", json_get_string(budget, "scope") ?: "?",
                                                name ? " " : "", name ?: "", json_get_string(budget, "period") ?: "?",
                                                money_format(json_get_integer(budget, "limit_micros", 0), limit));

        print_line("budget", text);
}

static void print_entry(const JsonValue *entry) {
        _cleanup_free_ char *text = text_format("%lld %s %s", (long long) json_get_integer(entry, "number", 0),
                                                json_get_string(entry, "kind") ?: "?",
                                                json_get_string(entry, "hash") ?: "");

        print_line("entry", text);
        print_line("  note", json_get_string(entry, "note"));
}

static void print_defect(const JsonValue *defect) {
        print_line("defect", json_get_string(defect, "detail") ?: json_get_string(defect, "kind"));
}

static void print_receipt(const JsonValue *receipt) {
        _cleanup_free_ char *job = printable_text(json_get_string(receipt, "job") ?: "?", 0);
        int64_t images = json_get_integer(receipt, "images", 1);
        const JsonValue *item;

        printf("%s\n", job ?: "");
        print_key(receipt);
        print_time("created", json_get_integer(receipt, "created_at", 0));
        print_time("ended", json_get_integer(receipt, "ended_at", 0));
        print_line("model", json_get_string(receipt, "model"));
        print_request(json_get_object(receipt, "request"));
        print_line("provider", json_get_string(receipt, "provider"));
        print_line("request", json_get_string(receipt, "provider_request_id"));
        if (images > 1)
                print_number("of images", images);
        cJSON_ArrayForEach(item, json_get_array(receipt, "items"))
                print_item(item);
        print_money("charged", json_get_integer(receipt, "charged_micros", 0));
        if (json_get_integer(receipt, "unknown_micros", 0) > 0)
                print_money("unknown", json_get_integer(receipt, "unknown_micros", 0));
        cJSON_ArrayForEach(item, json_get_array(receipt, "budgets"))
                print_budget(item);
        cJSON_ArrayForEach(item, json_get_array(receipt, "entries"))
                print_entry(item);
        cJSON_ArrayForEach(item, json_get_array(receipt, "defects"))
                print_defect(item);
}

static int images_receipt(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "images receipt SHA256",
                .help = "For whom an image was made, from what, by whom, and what it cost: for each job that has it, the\n"
                        "newest first. `atelierctl ledger verify` checks the entries that it names.\n",
                .words_min = 1,
                .words_max = 1,
        };
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        const JsonValue *receipt;
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (json_add_string(parameters, "sha256", argv[optind]) < 0 ||
            json_add(parameters, "caller", job_caller()) < 0)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Ledger.GetReceipts", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                return ctl_print_json(json_get_array(reply, "receipts"));
        cJSON_ArrayForEach(receipt, json_get_array(reply, "receipts"))
                print_receipt(receipt);
        if (json_get_bool(reply, "has_more", false))
                puts("There are more, which are older.");
        return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ links */

static int print_link(const JsonValue *link) {
        const char *url = json_get_string(link, "url"), *path = json_get_string(link, "path");

        puts(url ?: path ?: "");
        if (!url)
                fprintf(stderr, "The address of the api goes before it, such as http://localhost:8080; the setting "
                                "api.public_url puts it there.\n");
        return EXIT_SUCCESS;
}

static int make_link(const Ctl *ctl, const char *sha256, usec_t expires_in) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object(), *reply = NULL;
        int r;

        r = json_add_string(parameters, "sha256", sha256);
        if (r >= 0 && expires_in > 0)
                r = json_add_integer(parameters, "expires_in", (int64_t) (expires_in / USEC_PER_SEC));
        if (r < 0 || json_add(parameters, "caller", job_caller()) < 0)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Links.Create", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        return ctl->json ? ctl_print_json(json_get_object(reply, "link")) : print_link(json_get_object(reply, "link"));
}

static int images_link(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "images link SHA256 [--expires-in=TIME]",
                .help = "Makes a link by which whoever has it may open the image, without a key.\n\n"
                        "  --expires-in=TIME  for how long, 1min to 7d; without it 1h\n",
                .options = { { "expires-in", required_argument, NULL, 'e' }, {} },
                .words_min = 1,
                .words_max = 1,
        };
        usec_t expires_in = 0;
        Arguments arguments;
        int option;

        arguments_begin(&arguments, ctl, &form, argc, argv);
        while ((option = arguments_next(&arguments)) >= 0)
                if (time_parse_duration(optarg, &expires_in) < 0 || expires_in == 0 || expires_in == USEC_INFINITY)
                        return arguments_misused(&form, "--expires-in: expected a duration such as 30min");
        if (option == ARGUMENTS_STOP)
                return arguments.result;
        return make_link(ctl, argv[optind], expires_in);
}

static int images_revoke_links(Ctl *ctl, int argc, char *argv[]) {
        static const CommandForm form = {
                .form = "images revoke-links",
                .help = "Makes every link to an image invalid that was handed out so far, whoever asked for it.\n",
        };
        int result;

        if (!arguments_plain(ctl, &form, argc, argv, &result))
                return result;
        if (ctl_call("worker", "io.atelier.Links.RevokeAll", NULL, NULL) != EXIT_SUCCESS)
                return EXIT_FAILURE;
        if (ctl->json)
                puts("{}");
        else
                puts("Every link to an image is revoked.");
        return EXIT_SUCCESS;
}

int ctl_images(Ctl *ctl, int argc, char *argv[]) {
        static const Command commands[] = {
                { "receipt", "SHA256", "Show what an image was made from and what it cost", images_receipt },
                { "link", "SHA256 [OPTIONS]", "Make a link that opens it without a key", images_link },
                { "revoke-links", "", "Make all links invalid", images_revoke_links },
                {},
        };
        static const CommandGroup group = { .name = "images", .commands = commands };

        return command_group_run(ctl, &group, argc, argv);
}
