/* The two JSON forms of alert.h. */
#include <errno.h>
#include <string.h>

#include "alert.h"
#include "base/text.h"

#define RECORD_VERSION 1

/* ---------------------------------------------------------------- writing */

static int add_time(JsonValue *object, const char *name, usec_t time) {
        return time > 0 ? json_add_integer(object, name, (int64_t) time) : 0;
}

static int fill_delivery(JsonValue *value, const Delivery *delivery) {
        int r;

        r = json_add_string(value, "receiver", delivery->receiver);
        if (r >= 0)
                r = json_add_string(value, "state", delivery_state_name(delivery->state));
        if (r >= 0)
                r = json_add_integer(value, "attempts", delivery->attempts);
        if (r >= 0 && delivery->state == DELIVERY_PENDING)
                r = add_time(value, "next_at", delivery->next_at);
        if (r >= 0)
                r = add_time(value, "sent_at", delivery->sent_at);
        return r < 0 ? r : json_add_string(value, "error", delivery->error);
}

JsonValue *delivery_to_json(const Delivery *delivery) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();

        return fill_delivery(value, delivery) < 0 ? NULL : TAKE_PTR(value);
}

static JsonValue *delivery_to_record(const Delivery *delivery) {
        _cleanup_(json_freep) JsonValue *value = delivery_to_json(delivery);
        int r;

        r = json_add_string(value, "notice", alert_state_name(delivery->notice));
        if (r >= 0)
                r = add_time(value, "queued_at", delivery->queued_at);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static JsonValue *lines_to_json(const Alert *alert) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        for (size_t i = 0; i < alert->n_lines; i++)
                if (json_append(array, cJSON_CreateString(alert->lines[i])) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

static int add_texts(JsonValue *value, const Alert *alert) {
        int r;

        r = json_add_string(value, "id", alert->id);
        if (r >= 0)
                r = json_add_string(value, "name", alert->name);
        if (r >= 0)
                r = json_add_string(value, "severity", severity_name(alert->severity));
        if (r >= 0)
                r = json_add_string(value, "state", alert_state_name(alert->state));
        if (r >= 0)
                r = json_add_string(value, "source", alert->source);
        if (r >= 0)
                r = json_add_string(value, "summary", alert->summary);
        if (r >= 0)
                r = json_add_string(value, "result", alert->result);
        return r < 0 ? r : json_add(value, "lines", lines_to_json(alert));
}

static int add_times(JsonValue *value, const Alert *alert) {
        int r;

        r = json_add_integer(value, "count", alert->count);
        if (r >= 0)
                r = json_add_integer(value, "fired_at", (int64_t) alert->fired_at);
        if (r >= 0)
                r = json_add_integer(value, "updated_at", (int64_t) alert->updated_at);
        return r < 0 ? r : add_time(value, "resolved_at", alert->resolved_at);
}

static JsonValue *to_json(const Alert *alert, JsonValue *(*delivery_form)(const Delivery *)) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        JsonValue *deliveries = json_new_array();
        int r;

        r = json_add(value, "deliveries", deliveries);
        if (r >= 0)
                r = add_texts(value, alert);
        if (r >= 0)
                r = add_times(value, alert);
        for (size_t i = 0; r >= 0 && i < alert->n_deliveries; i++)
                r = json_append(deliveries, delivery_form(&alert->deliveries[i]));
        return r < 0 ? NULL : TAKE_PTR(value);
}

JsonValue *alert_to_json(const Alert *alert) {
        return to_json(alert, delivery_to_json);
}

JsonValue *alert_to_record(const Alert *alert) {
        _cleanup_(json_freep) JsonValue *record = to_json(alert, delivery_to_record);
        int r;

        r = json_add_integer(record, "version", RECORD_VERSION);
        if (r >= 0)
                r = json_add_string(record, "key", alert->key);
        return r < 0 ? NULL : TAKE_PTR(record);
}

/* ---------------------------------------------------------------- reading */

static usec_t read_time(const JsonValue *object, const char *name) {
        int64_t time = json_get_integer(object, name, 0);

        return time > 0 ? (usec_t) time : 0;
}

static DeliveryState delivery_state_from_name(const char *name) {
        for (int state = 0; state <= DELIVERY_FAILED; state++)
                if (text_equal(delivery_state_name((DeliveryState) state), name))
                        return (DeliveryState) state;
        return DELIVERY_STATE_INVALID;
}

static int read_delivery(Alert *alert, const JsonValue *value) {
        const char *receiver = json_get_string(value, "receiver");
        DeliveryState state = delivery_state_from_name(json_get_string(value, "state"));
        AlertState notice = alert_state_from_name(json_get_string(value, "notice"));
        Delivery *delivery;
        int r;

        if (!receiver || state == DELIVERY_STATE_INVALID || notice == ALERT_STATE_INVALID ||
            alert->n_deliveries == ALERT_DELIVERIES_MAX)
                return -EBADMSG;
        r = alert_add_delivery(alert, receiver, read_time(value, "queued_at"), &delivery);
        if (r < 0)
                return r;
        delivery->state = state;
        delivery->notice = notice;
        delivery->attempts = MAX(json_get_integer(value, "attempts", 0), INT64_C(0));
        delivery->next_at = read_time(value, "next_at");
        delivery->sent_at = read_time(value, "sent_at");
        return delivery_set_error(delivery, json_get_string(value, "error"));
}

static int read_state(Alert *alert, const JsonValue *record) {
        const char *id = json_get_string(record, "id");
        const JsonValue *delivery;
        int r = 0;

        alert->state = alert_state_from_name(json_get_string(record, "state"));
        if (!id || !id_valid(id) || alert->state == ALERT_STATE_INVALID)
                return -EBADMSG;
        memcpy(alert->id, id, ID_TEXT_MAX);
        alert->count = MAX(json_get_integer(record, "count", 1), INT64_C(1));
        alert->updated_at = read_time(record, "updated_at");
        alert->resolved_at = read_time(record, "resolved_at");
        cJSON_ArrayForEach(delivery, json_get_array(record, "deliveries"))
                if (r >= 0)
                        r = read_delivery(alert, delivery);
        return r;
}

int alert_from_record(Alert **ret, const JsonValue *record) {
        _cleanup_(alert_freep) Alert *alert = NULL;
        int64_t version = json_get_integer(record, "version", 0);
        AlertInput input = {
                .key = json_get_string(record, "key"),
                .name = json_get_string(record, "name"),
                .source = json_get_string(record, "source"),
                .summary = json_get_string(record, "summary"),
                .result = json_get_string(record, "result"),
                .severity = severity_from_name(json_get_string(record, "severity")),
                .lines = json_get_array(record, "lines"),
        };
        const char *field;
        int r;

        if (version > RECORD_VERSION)
                return -EPROTONOSUPPORT;
        if (version < 1 || input.severity == SEVERITY_INVALID)
                return -EBADMSG;
        r = alert_new(&alert, &input, read_time(record, "fired_at"), &field);
        if (r == ALERT_BAD_FIELD)
                return -EBADMSG;
        if (r >= 0)
                r = read_state(alert, record);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(alert);
        return 0;
}
