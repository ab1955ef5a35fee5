/* Any server that takes a POST. The body:
 *
 *     {
 *       "version": 1,
 *       "receiver": NAME,                     as the configuration calls it
 *       "status": "firing" | "resolved",      what is told; the alert's own state may have gone further
 *       "test": true,                         in a test alone
 *       "alert": { … }                        as in io.atelier.Alerts, without `deliveries`, and with times as RFC 3339
 *     }
 *
 * Idempotency-Key: ALERT-RECEIVER-STATUS is the same for each try, so that a notice that comes twice is known. Members
 * may be added; a change that breaks a reader raises the version. */
#include <errno.h>

#include "notifier.h"

#define WEBHOOK_VERSION 1

static int set_stamp(JsonValue *alert, const char *name, usec_t time) {
        char text[TIME_STAMP_MAX];

        cJSON_DeleteItemFromObjectCaseSensitive(alert, name);
        return time > 0 ? json_add_string(alert, name, time_format_stamp(time, text)) : 0;
}

static JsonValue *alert_with_stamps(const Alert *alert) {
        _cleanup_(json_freep) JsonValue *value = alert_to_json(alert);
        int r;

        if (!value)
                return NULL;
        cJSON_DeleteItemFromObjectCaseSensitive(value, "deliveries");
        r = set_stamp(value, "fired_at", alert->fired_at);
        if (r >= 0)
                r = set_stamp(value, "updated_at", alert->updated_at);
        if (r >= 0)
                r = set_stamp(value, "resolved_at", alert->resolved_at);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int webhook_format(const Notice *notice, Buffer *body) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_add_integer(value, "version", WEBHOOK_VERSION);
        if (r >= 0)
                r = json_add_string(value, "receiver", notice->receiver);
        if (r >= 0)
                r = json_add_string(value, "status", alert_state_name(notice->state));
        if (r >= 0 && notice->test)
                r = json_add_bool(value, "test", true);
        if (r >= 0)
                r = json_add(value, "alert", alert_with_stamps(notice->alert));
        if (r < 0)
                return r;
        text = json_format(value);
        return text ? buffer_append_text(body, text) : -ENOMEM;
}

const Notifier webhook_notifier = {
        .kind = "webhook",
        .idempotency_key = true,
        .format = webhook_format,
};
