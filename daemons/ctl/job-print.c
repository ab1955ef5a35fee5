#include "job-print.h"

#include <stdarg.h>

#include "base/money.h"
#include "base/text.h"
#include "printable.h"
#include "size-text.h"

#define PROMPT_COLUMNS_MAX 40  /* in a table */

const char *const job_table_headings[] = { "ID", "STATUS", "CREATED", "MODEL", ">IMAGES", "PROMPT", NULL };

const char *job_state(const JsonValue *job) {
        return json_get_bool(job, "held", false) ? "held" : json_get_string(job, "status") ?: "?";
}

void job_print_row(TextTable *table, const JsonValue *job) {
        text_table_add(table, json_get_string(job, "id"), 0);
        text_table_add(table, job_state(job), 0);
        text_table_add_time(table, json_get_integer(job, "created_at", -1));
        text_table_add(table, json_get_string(job, "model"), 0);
        text_table_add_number(table, cJSON_GetArraySize(json_get_array(job, "images")));
        text_table_add(table, json_get_string(json_get_object(job, "request"), "prompt"), PROMPT_COLUMNS_MAX);
}

/* ------------------------------------------------------------------ one job */

/* A line "  name      value"; nothing where there is no value. */
static void print_member(const char *name, const char *value) {
        _cleanup_free_ char *shown = NULL;

        if (text_empty(value))
                return;
        shown = printable_text(value, 0);
        printf("  %-10s %s\n", name, shown ?: "");
}

static void print_formatted(const char *name, const char *format, ...) _printf_(2, 3);

static void print_formatted(const char *name, const char *format, ...) {
        char *text = NULL;
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (length < 0)
                return;
        print_member(name, text);
        free(text);
}

static void print_time(const JsonValue *job, const char *name, const char *member) {
        int64_t time = json_get_integer(job, member, -1);
        char stamp[TIME_STAMP_MAX];

        if (time >= 0)
                print_member(name, time_format_stamp((usec_t) time, stamp));
}

static void print_took(const JsonValue *job) {
        int64_t started = json_get_integer(job, "started_at", -1), ended = json_get_integer(job, "ended_at", -1);

        if (started >= 0 && ended >= started)
                print_formatted("took", "%.1f s", (double) (ended - started) / (double) USEC_PER_SEC);
}

static void print_request(const JsonValue *request) {
        static const char *const members[] = { "size", "quality", "style", "background", "moderation", "output_format",
                                               "user" };

        print_member("prompt", json_get_string(request, "prompt"));
        if (json_has(request, "n"))
                print_formatted("n", "%lld", (long long) json_get_integer(request, "n", 0));
        for (size_t i = 0; i < ELEMENTS(members); i++)
                print_member(members[i], json_get_string(request, members[i]));
}

/* What the client asked for where it named an alias. */
static void print_asked(const JsonValue *asked) {
        const char *size = json_get_string(asked, "size"), *quality = json_get_string(asked, "quality");

        if (asked)
                print_formatted("asked", "%s%s%s%s%s", json_get_string(asked, "model") ?: "?", size ? ", size " : "",
                                size ?: "", quality ? ", quality " : "", quality ?: "");
}

static void print_image(const JsonValue *image) {
        char size[SIZE_TEXT_MAX];

        print_formatted("image", "%s.%s, %lldx%lld, %s", json_get_string(image, "sha256") ?: "?",
                        json_get_string(image, "format") ?: "?", (long long) json_get_integer(image, "width", 0),
                        (long long) json_get_integer(image, "height", 0),
                        size_text((uint64_t) MAX(json_get_integer(image, "size_bytes", 0), 0), size));
        print_member("  revised", json_get_string(image, "revised_prompt"));
}

static void print_attempt(const JsonValue *attempt) {
        int64_t started = json_get_integer(attempt, "started_at", 0);
        int64_t delay = json_get_integer(attempt, "retry_delay_usec", -1);
        const char *request = json_get_string(attempt, "provider_request_id");
        const char *cause = json_get_string(attempt, "cause");
        char stamp[TIME_STAMP_MAX];

        print_formatted("attempt", "%lld: %s by %s at %s%s%s%s%s", (long long) json_get_integer(attempt, "number", 0),
                        json_get_string(attempt, "outcome") ?: "?", json_get_string(attempt, "provider") ?: "?",
                        time_format_stamp((usec_t) MAX(started, 0), stamp), request ? ", request " : "",
                        request ?: "", cause ? ": " : "", cause ?: "");
        if (json_get_string(attempt, "model"))
                print_formatted("  by model", "%s%s%s", json_get_string(attempt, "model"),
                                json_get_string(attempt, "note") ? ", as " : "",
                                json_get_string(attempt, "note") ?: "");
        if (delay >= 0)
                print_formatted("  again", "after %.1f s", (double) delay / (double) USEC_PER_SEC);
}

static void print_amount(const JsonValue *cost, const char *name, const char *member) {
        int64_t amount = json_get_integer(cost, member, 0);
        char text[MONEY_TEXT_MAX];

        if (amount > 0)
                print_member(name, money_format(amount, text));
}

/* A job that costs nothing has no such member. */
static void print_cost(const JsonValue *cost) {
        print_amount(cost, "cost", "charged_micros");
        print_amount(cost, "reserved", "reserved_micros");
        print_amount(cost, "unknown", "unknown_micros");
}

/* Of a job that waits. */
static void print_outlook(const JsonValue *job) {
        if (json_has(job, "position"))
                print_formatted("position", "%lld", (long long) json_get_integer(job, "position", 0));
        if (json_has(job, "position_above"))
                print_formatted("position", "more than %lld",
                                (long long) json_get_integer(job, "position_above", 0));
        if (json_has(job, "eta_usec"))
                print_formatted("ready in", "about %.0f s",
                                (double) json_get_integer(job, "eta_usec", 0) / (double) USEC_PER_SEC);
}

void job_print(const JsonValue *job) {
        const JsonValue *failure = json_get_object(job, "failure"), *item;
        _cleanup_free_ char *id = printable_text(json_get_string(job, "id") ?: "?", 0);

        printf("%s\n", id ?: "");
        print_member("status", job_state(job));
        print_member("key", json_get_string(job, "key"));
        print_member("model", json_get_string(job, "model"));
        print_asked(json_get_object(job, "asked"));
        print_time(job, "created", "created_at");
        print_time(job, "started", "started_at");
        print_time(job, "ended", "ended_at");
        print_took(job);
        print_time(job, "next try", "retry_at");
        print_outlook(job);
        print_cost(json_get_object(job, "cost"));
        print_request(json_get_object(job, "request"));
        cJSON_ArrayForEach(item, json_get_array(job, "images"))
                print_image(item);
        if (failure)
                print_formatted("failure", "%lld %s: %s", (long long) json_get_integer(failure, "status", 0),
                                json_get_string(failure, "code") ?: json_get_string(failure, "type") ?: "",
                                json_get_string(failure, "message") ?: "");
        cJSON_ArrayForEach(item, json_get_array(job, "attempts"))
                print_attempt(item);
        cJSON_ArrayForEach(item, json_get_array(job, "defects"))
                print_member("defect", json_get_string(item, "detail") ?: json_get_string(item, "kind"));
}
