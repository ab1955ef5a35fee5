#include "audit/audit-methods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit-chain.h"
#include "base/text-clean.h"
#include "base/text.h"
#include "interfaces/interfaces.h"
#include "store/store-audit.h"

#define LIST_DEFAULT 100
#define LIST_MAX 1000

static int reply_unavailable(VarlinkCall *call) {
        return varlink_call_error(call, "io.atelier.Audit.StoreUnavailable", NULL);
}

/* ------------------------------------------------------------------ Append */

/* Of another daemon, under way. */
typedef struct Report {
        Write write;
        VarlinkCall *call; /* NULL: the caller has gone */
        AuditRecord record;
} Report;

static void on_caller_gone(_unused_ VarlinkCall *call, void *userdata) {
        ((Report *) userdata)->call = NULL;
}

static int apply_report(Write *write, Store *store) {
        return store_audit_append(store, &CONTAINER_OF(write, Report, write)->record);
}

static void on_reported(Write *write, int result) {
        Report *report = CONTAINER_OF(write, Report, write);
        JsonValue *reply = NULL;

        if (report->call) {
                varlink_call_set_closed_handler(report->call, NULL, NULL);
                reply = result == 0 ? json_new_object() : NULL;
                if (reply && json_add_integer(reply, "number", report->record.number) >= 0)
                        (void) varlink_call_reply(report->call, reply);
                else {
                        (void) json_free(reply);
                        (void) reply_unavailable(report->call);
                }
        }
        audit_record_done(&report->record);
        free(report);
}

static char *fit_text(const char *text) {
        _cleanup_free_ char *clean = text_clean(text, strlen(text));

        return clean ? text_cut(clean, AUDIT_TEXT_BYTES_MAX) : NULL;
}

static int take_text(const JsonValue *parameters, const char *name, char **ret) {
        const char *text = json_get_string(parameters, name);

        if (!text)
                return 0;
        *ret = fit_text(text);
        return *ret ? 0 : -ENOMEM;
}

/* "backup.verified": what a daemon may say begins with a kind of its own, so that none speaks of jobs, keys or calls. */
static bool action_fits(const char *action) {
        static const char *const kinds[] = { "backup.", "alert.", "http.", "state." };

        if (strspn(action, "abcdefghijklmnopqrstuvwxyz_.") != strlen(action) || strlen(action) > 64)
                return false;
        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                if (text_after(action, kinds[i]))
                        return true;
        return false;
}

static int on_append(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        Report *report;
        int r;

        if (!action_fits(json_get_string(parameters, "action")))
                return varlink_call_invalid_parameter(call, "action");
        report = calloc(1, sizeof(*report));
        if (!report)
                return -ENOMEM;
        report->record = (AuditRecord) { .uid = (int64_t) varlink_call_peer(call)->uid, .count = 1 };
        r = take_text(parameters, "action", &report->record.action);
        if (r >= 0)
                r = take_text(parameters, "outcome", &report->record.outcome);
        if (r >= 0)
                r = take_text(parameters, "object", &report->record.object);
        if (r >= 0)
                r = take_text(parameters, "detail", &report->record.detail);
        if (r < 0) {
                audit_record_done(&report->record);
                free(report);
                return r;
        }
        report->call = call;
        report->write.apply = apply_report;
        report->write.done = on_reported;
        varlink_call_set_closed_handler(call, on_caller_gone, report);
        commit_group_add(manager->group, &report->write);
        return 0;
}

/* ------------------------------------------------------------------ List and Verify */

static int build_list(const AuditRecord *records, size_t count, size_t limit, const AuditHead *head, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        int r;

        r = json_add(reply, "records", array);
        for (size_t i = 0; r >= 0 && i < MIN(count, limit); i++)
                r = json_append(array, audit_record_to_json(&records[i], NULL));
        if (r >= 0)
                r = json_add_bool(reply, "has_more", count > limit);
        if (r >= 0)
                r = json_add_integer(reply, "last", head->number);
        if (r >= 0)
                r = json_add_string(reply, "chain", head->chain);
        if (r >= 0)
                *ret = TAKE_PTR(reply);
        return r;
}

static int on_list(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Store *store = commit_group_store(((Manager *) userdata)->group);
        int64_t after = json_get_integer(parameters, "after", 0);
        int64_t limit = json_get_integer(parameters, "limit", LIST_DEFAULT);
        JsonValue *reply = NULL;
        AuditRecord *records;
        AuditHead head;
        size_t count;
        int r;

        if (after < 0)
                return varlink_call_invalid_parameter(call, "after");
        if (limit < 1 || limit > LIST_MAX)
                return varlink_call_invalid_parameter(call, "limit");
        if (!store || store_audit_head(store, &head) < 0)
                return reply_unavailable(call);
        r = store_audit_list(store, after, json_get_string(parameters, "key"), (size_t) limit + 1, &records, &count);
        if (r < 0)
                return r;
        r = build_list(records, count, (size_t) limit, &head, &reply);
        audit_records_free(records, count);
        return r < 0 ? r : varlink_call_reply(call, reply);
}

static int on_verify(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        return chain_check_start(userdata, call, &audit_chain);
}

int audit_methods_add(VarlinkServer *server, Manager *manager) {
        static const VarlinkMethod methods[] = {
                { "Append", on_append },
                { "List", on_list },
                { "Verify", on_verify },
                {},
        };

        return varlink_server_add_interface(server, interface_audit, methods, manager);
}
