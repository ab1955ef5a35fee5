#include "methods.h"

#include <errno.h>
#include <string.h>

#include "alerts.h"
#include "base/text.h"
#include "interfaces/interfaces.h"
#include "receiver-test.h"

#define LIST_LIMIT_DEFAULT 100
#define LIST_BYTES_MAX (VARLINK_MESSAGE_BYTES_MAX / 2)   /* of alerts, roughly; the rest is names and escapes */

/* What is fired while the alerter is on its way out would wait for the next start, whenever that is: closed
 * instead, the caller's next try makes that start. */
static bool turned_away(AlerterManager *manager, VarlinkCall *call) {
        if (!service_stopping(manager->service))
                return false;
        varlink_call_abandon(call);
        return true;
}

static int error_with(VarlinkCall *call, const char *error, const char *field, JsonValue *value) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add(parameters, field, value);
        return r < 0 ? r : varlink_call_error(call, error, TAKE_PTR(parameters));
}

static int reply_alert(VarlinkCall *call, const Alert *alert) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add(reply, "alert", alert_to_json(alert));
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

/* ---------------------------------------------------------------- Fire, Resolve */

static int on_fire(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        AlerterManager *manager = userdata;
        AlertInput input = {
                .key = json_get_string(parameters, "key"),
                .name = json_get_string(parameters, "name"),
                .source = json_get_string(parameters, "source"),
                .summary = json_get_string(parameters, "summary"),
                .result = json_get_string(parameters, "result"),
                .severity = severity_from_name(json_get_string(parameters, "severity")),
                .lines = json_get_array(parameters, "lines"),
        };
        const char *field;
        Alert *alert;
        int r;

        if (turned_away(manager, call))
                return 0;
        r = alerts_fire(manager, &input, &alert, &field);
        service_status_changed(manager->service);
        if (r == ALERTS_BAD_FIELD)
                return varlink_call_invalid_parameter(call, field);
        if (r == ALERTS_FULL)
                return error_with(call, "io.atelier.Alerts.TooManyAlerts", "pending", cJSON_CreateNumber(ALERTS_MAX));
        return r < 0 ? r : reply_alert(call, alert);
}

static int on_resolve(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        AlerterManager *manager = userdata;
        const char *id = json_get_string(parameters, "id");
        Alert *alert;
        int r;

        if (turned_away(manager, call))
                return 0;
        alert = alert_store_find(manager->store, id);
        if (!alert)
                return error_with(call, "io.atelier.Alerts.AlertNotFound", "id", cJSON_CreateString(id));
        r = alerts_resolve(manager, alert);
        service_status_changed(manager->service);
        return r < 0 ? r : reply_alert(call, alert);
}

/* ---------------------------------------------------------------- List */

/* What the alert's texts take at most as JSON. */
static size_t weigh(const Alert *alert) {
        size_t size = strlen(alert->source) + strlen(alert->summary);

        for (size_t i = 0; i < alert->n_lines; i++)
                size += strlen(alert->lines[i]);
        return 2 * size + (alert->n_deliveries + 1) * (ALERT_ERROR_BYTES_MAX + 256);
}

static int on_list(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        AlerterManager *manager = userdata;
        const char *name = json_get_string(parameters, "state");
        int64_t limit = json_get_integer(parameters, "limit", LIST_LIMIT_DEFAULT);
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        size_t bytes = 0;
        int r;

        r = json_add(reply, "alerts", array);
        if (r < 0)
                return r;
        if (limit < 1 || limit > ALERTS_MAX)
                return varlink_call_invalid_parameter(call, "limit");

        for (size_t i = alert_store_count(manager->store); i > 0 && limit > 0 && bytes < LIST_BYTES_MAX; i--) {
                const Alert *alert = alert_store_at(manager->store, i - 1);

                if (name && alert->state != alert_state_from_name(name))
                        continue;
                r = json_append(array, alert_to_json(alert));
                if (r < 0)
                        return r;
                bytes += weigh(alert);
                limit--;
        }
        return varlink_call_reply(call, TAKE_PTR(reply));
}

/* ---------------------------------------------------------------- receivers */

static JsonValue *receiver_to_json(const Receiver *receiver) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "name", receiver->name);
        if (r >= 0)
                r = json_add_string(value, "kind", receiver->notifier->kind);
        if (r >= 0)
                r = json_add_string(value, "severity", severity_name(receiver->severity));
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int on_list_receivers(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        AlerterManager *manager = userdata;
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        const Receiver *receiver;
        int r;

        r = json_add(reply, "receivers", array);
        for (size_t i = 0; r >= 0 && (receiver = receivers_at(manager->receivers, i)); i++)
                if (!receiver->problem)
                        r = json_append(array, receiver_to_json(receiver));
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int on_test_receiver(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        AlerterManager *manager = userdata;
        const char *name = json_get_string(parameters, "receiver");

        if (turned_away(manager, call))
                return 0;
        if (name && !receivers_find(manager->receivers, name))
                return error_with(call, "io.atelier.Alerts.ReceiverNotFound", "receiver", cJSON_CreateString(name));
        return receiver_test_start(manager, call, name);
}

static const VarlinkMethod alerts_methods[] = {
        { "Fire", on_fire, false },
        { "List", on_list, false },
        { "Resolve", on_resolve, false },
        { "ListReceivers", on_list_receivers, false },
        { "TestReceiver", on_test_receiver, false },
        {},
};

int alerter_methods_add(VarlinkServer *server, AlerterManager *manager) {
        return varlink_server_add_interface(server, interface_alerts, alerts_methods, manager);
}
