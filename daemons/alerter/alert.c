#include "alert.h"

#include <errno.h>
#include <string.h>

#include "base/text-clean.h"
#include "base/text.h"

static const char *const severity_names[] = { "info", "warning", "critical" };
static const char *const alert_state_names[] = { "firing", "resolved" };
static const char *const delivery_state_names[] = { "pending", "sent", "failed" };

static int index_of(const char *const *names, size_t count, const char *name) {
        for (size_t i = 0; i < count; i++)
                if (text_equal(names[i], name))
                        return (int) i;
        return -1;
}

const char *severity_name(AlertSeverity severity) {
        return severity_names[severity];
}

AlertSeverity severity_from_name(const char *name) {
        return (AlertSeverity) index_of(severity_names, ELEMENTS(severity_names), name);
}

const char *alert_state_name(AlertState state) {
        return alert_state_names[state];
}

AlertState alert_state_from_name(const char *name) {
        return (AlertState) index_of(alert_state_names, ELEMENTS(alert_state_names), name);
}

const char *delivery_state_name(DeliveryState state) {
        return delivery_state_names[state];
}

/* ---------------------------------------------------------------- texts */

/* One line. The caller frees it; NULL when memory is short. */
static char *clean_line(const char *text) {
        char *clean = text_clean(text, strlen(text));

        for (char *p = clean; p && (p = strchr(p, '\n')); p++)
                *p = ' ';
        return clean;
}

/* A text that may not be cut, because it names something. */
static int take_name(const char *text, size_t bytes_max, char **ret) {
        _cleanup_free_ char *clean = clean_line(text ?: "");

        if (!clean)
                return -ENOMEM;
        if (!*clean || strlen(clean) > bytes_max)
                return ALERT_BAD_FIELD;
        *ret = TAKE_PTR(clean);
        return 0;
}

static int take_line(const char *text, size_t bytes_max, char **ret) {
        _cleanup_free_ char *clean = clean_line(text);

        *ret = clean ? text_cut(clean, bytes_max) : NULL;
        return *ret ? 0 : -ENOMEM;
}

static int take_lines(Alert *alert, const JsonValue *lines) {
        const JsonValue *line;

        cJSON_ArrayForEach(line, lines) {
                int r;

                if (alert->n_lines == ALERT_LINES_MAX || !cJSON_IsString(line))
                        return ALERT_BAD_FIELD;
                r = take_line(line->valuestring, ALERT_LINE_BYTES_MAX, &alert->lines[alert->n_lines]);
                if (r < 0)
                        return r;
                alert->n_lines++;
        }
        return 0;
}

/* ---------------------------------------------------------------- life */

static int fill(Alert *alert, const AlertInput *input, const char **ret_field) {
        int r = 0;

        *ret_field = "key";
        if (input->key)
                r = take_name(input->key, ALERT_KEY_BYTES_MAX, &alert->key);
        if (r != 0)
                return r;
        *ret_field = "name";
        r = take_name(input->name, ALERT_NAME_BYTES_MAX, &alert->name);
        if (r != 0)
                return r;
        *ret_field = "source";
        r = take_name(input->source, ALERT_SOURCE_BYTES_MAX, &alert->source);
        if (r != 0)
                return r;
        *ret_field = "lines";
        r = take_lines(alert, input->lines);
        if (r == 0)
                r = take_line(input->summary ?: "", ALERT_SUMMARY_BYTES_MAX, &alert->summary);
        if (r == 0 && input->result)
                r = take_line(input->result, ALERT_RESULT_BYTES_MAX, &alert->result);
        return r;
}

int alert_new(Alert **ret, const AlertInput *input, usec_t now, const char **ret_field) {
        _cleanup_(alert_freep) Alert *alert = calloc(1, sizeof(*alert));
        int r;

        if (!alert)
                return -ENOMEM;
        (void) id_new(alert->id);
        alert->severity = input->severity;
        alert->count = 1;
        alert->fired_at = alert->updated_at = now;
        r = fill(alert, input, ret_field);
        if (r != 0)
                return r;

        *ret = TAKE_PTR(alert);
        return 0;
}

Alert *alert_free(Alert *alert) {
        if (!alert)
                return NULL;

        for (size_t i = 0; i < alert->n_deliveries; i++) {
                free(alert->deliveries[i].receiver);
                free(alert->deliveries[i].error);
        }
        for (size_t i = 0; i < alert->n_lines; i++)
                free(alert->lines[i]);
        free(alert->deliveries);
        free(alert->key);
        free(alert->name);
        free(alert->source);
        free(alert->summary);
        free(alert->result);
        free(alert);
        return NULL;
}

int alert_add_delivery(Alert *alert, const char *receiver, usec_t now, Delivery **ret) {
        _cleanup_free_ char *name = strdup(receiver);
        Delivery *deliveries;

        if (alert->n_deliveries == ALERT_DELIVERIES_MAX)
                return -E2BIG;
        deliveries = reallocarray(alert->deliveries, alert->n_deliveries + 1, sizeof(*deliveries));
        if (!deliveries || !name)
                return -ENOMEM;

        alert->deliveries = deliveries;
        *ret = &deliveries[alert->n_deliveries++];
        **ret = (Delivery) { .receiver = TAKE_PTR(name), .queued_at = now, .next_at = now };
        return 0;
}

Delivery *alert_find_delivery(const Alert *alert, const char *receiver) {
        for (size_t i = 0; i < alert->n_deliveries; i++)
                if (text_equal(alert->deliveries[i].receiver, receiver))
                        return &alert->deliveries[i];
        return NULL;
}

bool alert_is_pending(const Alert *alert) {
        for (size_t i = 0; i < alert->n_deliveries; i++)
                if (alert->deliveries[i].state == DELIVERY_PENDING)
                        return true;
        return false;
}

void delivery_follow(const Alert *alert, Delivery *delivery, usec_t now) {
        if (alert->state != ALERT_RESOLVED || delivery->state != DELIVERY_SENT || delivery->notice == ALERT_RESOLVED)
                return;
        delivery->notice = ALERT_RESOLVED;
        delivery->state = DELIVERY_PENDING;
        delivery->attempts = 0;
        delivery->queued_at = delivery->next_at = now;
}

void alert_resolve(Alert *alert, usec_t now) {
        alert->state = ALERT_RESOLVED;
        alert->resolved_at = alert->updated_at = now;
        for (size_t i = 0; i < alert->n_deliveries; i++)
                delivery_follow(alert, &alert->deliveries[i], now);
}

int delivery_set_error(Delivery *delivery, const char *error) {
        char *copy = NULL;
        int r;

        if (error) {
                r = take_line(error, ALERT_ERROR_BYTES_MAX, &copy);
                if (r < 0)
                        return r;
        }
        free(delivery->error);
        delivery->error = copy;
        return 0;
}
