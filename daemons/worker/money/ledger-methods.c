#include "money/ledger-methods.h"

#include <errno.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "base/text.h"
#include "interfaces/interfaces.h"
#include "keys/caller.h"
#include "money/receipt.h"
#include "money/spending.h"
#include "store/chain-check.h"
#include "store/store-defect.h"

#define DAY_MIN 19700101
#define DAY_MAX 99991231
#define PAUSE_REASON_MAX 256        /* bytes */

static int refuse_store(VarlinkCall *call) {
        return varlink_call_error(call, "io.atelier.Ledger.StoreUnavailable", NULL);
}

static int refuse_caller(VarlinkCall *call, const Failure *failure) {
        JsonValue *parameters = failure_to_json(failure);

        return parameters ? varlink_call_error(call, "io.atelier.Ledger.Refused", parameters) : -ENOMEM;
}

static JsonValue *amounts_to_json(const LedgerAmounts *amounts) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "reserved_micros", amounts->reserved);
        if (r >= 0)
                r = json_add_integer(value, "spent_micros", amounts->spent);
        if (r >= 0)
                r = json_add_integer(value, "unknown_micros", amounts->unknown);
        if (r >= 0)
                r = json_add_integer(value, "images", amounts->images);
        return r < 0 ? NULL : TAKE_PTR(value);
}

/* ------------------------------------------------------------------ usage */

/* Of all, or of what `key` has asked for. */
static int add_total(JsonValue *reply, const char *name, Store *store, int period, const char *key) {
        LedgerAmounts amounts;
        int r;

        r = store_ledger_total(store, *key ? BUDGET_KEY : BUDGET_ALL, period, key, &amounts);
        return r < 0 ? r : json_add(reply, name, amounts_to_json(&amounts));
}

static JsonValue *limit_to_json(Store *store, const BudgetLimit *limit, usec_t now) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        LedgerAmounts used;
        int r;

        r = store_ledger_total(store, limit->scope, limit->period, limit->name, &used);
        if (r >= 0)
                r = json_add_string(value, "scope", budget_scope_name(limit->scope));
        if (r >= 0 && limit->scope != BUDGET_ALL)
                r = json_add_string(value, "name", limit->name);
        if (r >= 0)
                r = json_add_string(value, "period", budget_period_name(limit->period));
        if (r >= 0)
                r = json_add_integer(value, "limit_micros", limit->limit);
        if (r >= 0)
                r = json_add(value, "used", amounts_to_json(&used));
        if (r >= 0 && limit->period != BUDGET_PERIOD_EVER)
                r = json_add_integer(value, "starts_again_at",
                                     (int64_t) (budget_period_is_month(limit->period) ? calendar_month_end(now)
                                                                                      : calendar_day_end(now)));
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int add_limits(JsonValue *array, Store *store, const Budget *budget, BudgetScope scope, usec_t now) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < budget->n; i++)
                if (budget->limits[i].scope == scope)
                        r = json_append(array, limit_to_json(store, &budget->limits[i], now));
        return r;
}

/* Those of all, then those of each model; or those of `key` alone. */
static int add_budgets(JsonValue *reply, Manager *manager, Store *store, const char *key, usec_t now) {
        const ConfGroups *models = &service_settings(manager->service)->common.models;
        JsonValue *array = json_new_array();
        int day = calendar_day(now);
        Budget budget;
        int r;

        r = json_add(reply, "budgets", array);
        if (r < 0)
                return r;
        spending_budget(manager->spending, "", *key ? key : NULL, day, &budget);
        if (*key)
                return add_limits(array, store, &budget, BUDGET_KEY, now);
        r = add_limits(array, store, &budget, BUDGET_ALL, now);
        for (size_t i = 0; r >= 0 && i < models->count; i++) {
                spending_budget(manager->spending, ((const ModelConf *) models->items[i])->name, NULL, day, &budget);
                r = add_limits(array, store, &budget, BUDGET_MODEL, now);
        }
        return r;
}

static int add_pause(JsonValue *reply, Manager *manager) {
        const BudgetPause *pause = spending_pause(manager->spending);
        _cleanup_(json_freep) JsonValue *value = NULL;
        int r;

        if (pause->since == 0)
                return 0;
        value = json_new_object();
        r = json_add_integer(value, "since", (int64_t) pause->since);
        if (r >= 0)
                r = json_add_string(value, "reason", pause->reason);
        if (r >= 0 && pause->until_day > 0)
                r = json_add_integer(value, "until_day", pause->until_day);
        return r < 0 ? r : json_add(reply, "pause", TAKE_PTR(value));
}

static int on_get_usage(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        Store *store = commit_group_store(manager->group);
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        usec_t now = time_now_realtime();
        int day = calendar_day(now), r;
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return refuse_caller(call, failure);
        if (!store)
                return refuse_store(call);
        r = json_add_integer(reply, "day", day);
        if (r >= 0)
                r = json_add_string(reply, "time_zone", service_settings(manager->service)->worker.time_zone);
        if (r >= 0)
                r = add_total(reply, "today", store, day, caller.key);
        if (r >= 0)
                r = add_total(reply, "month", store, calendar_month_of(day), caller.key);
        if (r >= 0)
                r = add_total(reply, "total", store, BUDGET_PERIOD_EVER, caller.key);
        if (r >= 0)
                r = add_budgets(reply, manager, store, caller.key, now);
        if (r >= 0)
                r = add_pause(reply, manager);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

/* ------------------------------------------------------------------ report */

static JsonValue *row_to_json(const LedgerTotal *total) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "period", total->period);
        if (r >= 0 && total->scope != BUDGET_ALL)
                r = json_add_string(value, "name", total->name);
        if (r >= 0)
                r = json_add(value, "amounts", amounts_to_json(&total->amounts));
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int reply_totals(VarlinkCall *call, const LedgerTotal *totals, size_t count) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        bool more = count > LEDGER_REPORT_ROWS_MAX;
        int r;

        r = json_add(reply, "rows", array);
        for (size_t i = 0; r >= 0 && i < MIN(count, (size_t) LEDGER_REPORT_ROWS_MAX); i++)
                r = json_append(array, row_to_json(&totals[i]));
        if (r >= 0)
                r = json_add_bool(reply, "has_more", more);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

/* The number of a scope or period by its name; -1: there is none. */
static int find_scope(const char *name) {
        for (BudgetScope scope = 0; scope < _BUDGET_SCOPES; scope++)
                if (text_equal(budget_scope_name(scope), name))
                        return (int) scope;
        return -1;
}

static int on_report(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        Store *store = commit_group_store(manager->group);
        int scope = find_scope(json_get_string(parameters, "scope") ?: "all");
        const char *period = json_get_string(parameters, "period") ?: "day";
        bool month = text_equal(period, "month");
        int today = calendar_day(time_now_realtime());
        int64_t now = month ? calendar_month_of(today) : today, min = month ? DAY_MIN / 100 : DAY_MIN,
                max = month ? DAY_MAX / 100 : DAY_MAX, from, to;
        LedgerTotal *totals;
        size_t count;
        int r;

        from = json_get_integer(parameters, "from", now);
        to = json_get_integer(parameters, "to", now);
        if (scope < 0)
                return varlink_call_invalid_parameter(call, "scope");
        if (!month && !text_equal(period, "day"))
                return varlink_call_invalid_parameter(call, "period");
        if (from < min || from > max)
                return varlink_call_invalid_parameter(call, "from");
        if (to < from || to > max)
                return varlink_call_invalid_parameter(call, "to");
        if (!store)
                return refuse_store(call);

        r = store_ledger_totals(store, (BudgetScope) scope, (int) from, (int) to, LEDGER_REPORT_ROWS_MAX + 1, &totals,
                                &count);
        if (r < 0)
                return r;
        r = reply_totals(call, totals, count);
        ledger_totals_free(totals, count);
        return r;
}

/* ------------------------------------------------------------------ entries */

static int reply_entries(VarlinkCall *call, const LedgerEntry *entries, size_t count, size_t limit,
                         const char *previous) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        int r;

        r = json_add(reply, "entries", array);
        for (size_t i = 0; r >= 0 && i < MIN(count, limit); i++) {
                r = json_append(array, ledger_entry_to_json(&entries[i], previous));
                previous = entries[i].hash;
        }
        if (r >= 0)
                r = json_add_bool(reply, "has_more", count > limit);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int entry_not_found(VarlinkCall *call, int64_t number) {
        JsonValue *parameters = json_new_object();

        (void) json_add_integer(parameters, "number", number);
        return varlink_call_error(call, "io.atelier.Ledger.EntryNotFound", parameters);
}

static int on_list_entries(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        Store *store = commit_group_store(manager->group);
        int64_t after = json_get_integer(parameters, "after", 0);
        int64_t limit = json_get_integer(parameters, "limit", LEDGER_LIST_DEFAULT);
        char previous[SHA256_TEXT_MAX];
        LedgerEntry *entries;
        size_t count;
        int r;

        if (after < 0)
                return varlink_call_invalid_parameter(call, "after");
        if (limit < 1 || limit > LEDGER_LIST_MAX)
                return varlink_call_invalid_parameter(call, "limit");
        if (!store)
                return refuse_store(call);
        r = store_ledger_list(store, after, (size_t) limit + 1, &entries, &count, previous);
        if (r == STORE_NOT_FOUND)
                return entry_not_found(call, after);
        if (r < 0)
                return r;
        r = reply_entries(call, entries, count, (size_t) limit, previous);
        ledger_entries_free(entries, count);
        return r;
}

/* ------------------------------------------------------------------ defects */

static int reply_defects(VarlinkCall *call, const Defect *defects, size_t count, size_t limit) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        int r;

        r = json_add(reply, "defects", array);
        for (size_t i = 0; r >= 0 && i < MIN(count, limit); i++)
                r = json_append(array, defect_to_json(&defects[i]));
        if (r >= 0)
                r = json_add_bool(reply, "has_more", count > limit);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int on_list_defects(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        Store *store = commit_group_store(manager->group);
        int64_t after = json_get_integer(parameters, "after", 0);
        int64_t since = json_get_integer(parameters, "since", 0);
        int64_t limit = json_get_integer(parameters, "limit", LEDGER_LIST_DEFAULT);
        Defect *defects;
        size_t count;
        int r;

        if (after < 0)
                return varlink_call_invalid_parameter(call, "after");
        if (since < 0)
                return varlink_call_invalid_parameter(call, "since");
        if (limit < 1 || limit > LEDGER_LIST_MAX)
                return varlink_call_invalid_parameter(call, "limit");
        if (!store)
                return refuse_store(call);
        r = store_list_defects(store, after, (usec_t) since, (size_t) limit + 1, &defects, &count);
        if (r < 0)
                return r;
        r = reply_defects(call, defects, count, (size_t) limit);
        defects_free(defects, count);
        return r;
}

/* ------------------------------------------------------------------ receipts, and a check of it all */

static int new_chain(void **ret) {
        LedgerAudit *audit = NULL;
        int r = ledger_audit_new(&audit);

        *ret = audit;
        return r;
}

static void free_chain(void *chain) {
        (void) ledger_audit_free(chain);
}

static int step_chain(void *chain, Store *store, char **problem) {
        return ledger_audit_step(chain, store, problem);
}

static int64_t count_entries(const void *chain) {
        return ledger_audit_entries(chain);
}

static int on_verify(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        static const ChainKind ledger = { "entries", new_chain, free_chain, step_chain, count_entries };

        return chain_check_start(userdata, call, &ledger);
}

static int on_get_receipts(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        Store *store = commit_group_store(manager->group);
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return refuse_caller(call, failure);
        return store ? receipts_reply(call, store, &caller, json_get_string(parameters, "sha256")) : refuse_store(call);
}

/* ------------------------------------------------------------------ the pause */

/* Its caller may go away before it is durable. */
typedef struct PauseCall {
        VarlinkCall *call;
} PauseCall;

static void on_caller_gone(_unused_ VarlinkCall *call, void *userdata) {
        ((PauseCall *) userdata)->call = NULL;
}

static void on_pause_written(int result, void *userdata) {
        PauseCall *pause = userdata;
        VarlinkCall *call = pause->call;

        if (call)
                varlink_call_set_closed_handler(call, NULL, NULL);
        if (call && result == -ECANCELED)
                varlink_call_abandon(call);
        else if (call && result < 0)
                (void) refuse_store(call);
        else if (call)
                (void) varlink_call_reply(call, NULL);
        free(pause);
}

static int set_pause(VarlinkCall *call, Manager *manager, const char *reason) {
        PauseCall *pause = calloc(1, sizeof(*pause));
        int r;

        if (!pause)
                return -ENOMEM;
        r = reason ? spending_set_pause(manager->spending, reason, on_pause_written, pause)
                   : spending_resume(manager->spending, on_pause_written, pause);
        if (r < 0) {
                free(pause);
                return r;
        }
        pause->call = call;
        varlink_call_set_closed_handler(call, on_caller_gone, pause);
        return 0;
}

static bool has_control_characters(const char *text) {
        for (; *text; text++)
                if ((unsigned char) *text < ' ' || *text == 0x7f)
                        return true;
        return false;
}

static int on_pause(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        const char *reason = json_get_string(parameters, "reason") ?: "an operator paused it";

        if (strlen(reason) > PAUSE_REASON_MAX || has_control_characters(reason))
                return varlink_call_invalid_parameter(call, "reason");
        return set_pause(call, userdata, reason);
}

static int on_resume(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        return set_pause(call, userdata, NULL);
}

int ledger_methods_add(VarlinkServer *server, Manager *manager) {
        static const VarlinkMethod methods[] = {
                { "GetUsage", on_get_usage, false },
                { "Report", on_report, false },
                { "ListEntries", on_list_entries, false },
                { "ListDefects", on_list_defects, false },
                { "Verify", on_verify, false },
                { "GetReceipts", on_get_receipts, false },
                { "Pause", on_pause, false },
                { "Resume", on_resume, false },
                {},
        };

        return varlink_server_add_interface(server, interface_ledger, methods, manager);
}
