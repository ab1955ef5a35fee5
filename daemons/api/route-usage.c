/* GET /v1/usage: what images cost today, this month and ever, and what of each budget is used. */
#include <errno.h>
#include <stdio.h>

#include "base/money.h"
#include "base/text.h"
#include "exchange.h"

#define USAGE_DEADLINE_USEC (30 * USEC_PER_SEC)

static int build_usage(_unused_ HttpRequest *request, _unused_ JsonValue *parameters, JsonValue *prepared) {
        assert(!prepared);

        return 0;
}

/* "2026-11-23" */
static int add_day(JsonValue *object, const char *name, int64_t day) {
        char text[32];

        (void) snprintf(text, sizeof(text), "%04d-%02d-%02d", (int) (day / 10000 % 10000), (int) (day / 100 % 100),
                        (int) (day % 100));
        return json_add_string(object, name, text);
}

static JsonValue *make_amounts(const JsonValue *amounts) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        micros_t spent = json_get_integer(amounts, "spent_micros", 0);
        char text[MONEY_TEXT_MAX];
        int r;

        r = json_add_string(object, "spent", money_format(spent, text));
        if (r >= 0)
                r = json_add_integer(object, "spent_micros", spent);
        if (r >= 0)
                r = json_add_integer(object, "reserved_micros", json_get_integer(amounts, "reserved_micros", 0));
        if (r >= 0)
                r = json_add_integer(object, "unknown_micros", json_get_integer(amounts, "unknown_micros", 0));
        if (r >= 0)
                r = json_add_integer(object, "images", json_get_integer(amounts, "images", 0));
        return r < 0 ? NULL : TAKE_PTR(object);
}

static JsonValue *make_budget(const JsonValue *budget) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        const char *scope = json_get_string(budget, "scope");
        int64_t again = json_get_integer(budget, "starts_again_at", 0);
        char text[MONEY_TEXT_MAX];
        micros_t limit = json_get_integer(budget, "limit_micros", 0);
        int r;

        r = json_add_string(object, "scope", scope);
        if (r >= 0)
                r = json_add_string(object, "name", json_get_string(budget, "name"));
        if (r >= 0)
                r = json_add_string(object, "period", json_get_string(budget, "period"));
        if (r >= 0)
                r = json_add_string(object, "limit", money_format(limit, text));
        if (r >= 0)
                r = json_add_integer(object, "limit_micros", limit);
        if (r >= 0)
                r = json_add(object, "used", make_amounts(json_get_object(budget, "used")));
        if (r >= 0 && again > 0)
                r = json_add_integer(object, "starts_again_at", again / (int64_t) USEC_PER_SEC);
        return r < 0 ? NULL : TAKE_PTR(object);
}

static int add_budgets(JsonValue *object, const JsonValue *budgets) {
        JsonValue *array = json_new_array();
        int r;

        r = json_add(object, "budgets", array);
        for (const JsonValue *budget = budgets ? budgets->child : NULL; budget && r >= 0; budget = budget->next)
                r = json_append(array, make_budget(budget));
        return r;
}

static int answer_usage(_unused_ ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                        HttpReply **ret) {
        const JsonValue *usage = reply->parameters, *pause = json_get_object(usage, "pause");
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        r = json_add_string(object, "object", "usage");
        if (r >= 0)
                r = json_add_string(object, "currency", "USD");
        if (r >= 0)
                r = add_day(object, "day", json_get_integer(usage, "day", 0));
        if (r >= 0)
                r = json_add_string(object, "time_zone", json_get_string(usage, "time_zone"));
        if (r >= 0)
                r = json_add(object, "today", make_amounts(json_get_object(usage, "today")));
        if (r >= 0)
                r = json_add(object, "month", make_amounts(json_get_object(usage, "month")));
        if (r >= 0)
                r = json_add(object, "total", make_amounts(json_get_object(usage, "total")));
        if (r >= 0)
                r = add_budgets(object, json_get_array(usage, "budgets"));
        if (r >= 0)
                r = json_add_bool(object, "paused", pause);
        if (r >= 0)
                r = json_add_string(object, "pause_reason", json_get_string(pause, "reason"));
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, object);
}

static const ExchangeKind usage = {
        .method = { "io.atelier.Ledger.GetUsage", .deadline = USAGE_DEADLINE_USEC },
        .build = build_usage,
        .answer = answer_usage,
};

void route_get_usage(ApiManager *manager, HttpRequest *request) {
        exchange_start(manager, request, &usage, NULL);
}
