#include "manager.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/text.h"
#include "methods.h"
#include "receiver-test.h"

#define STATE_DIRECTORY_DEFAULT "/var/lib/atelier-alerter"
#define CONNECTIONS_PER_HOST_MAX 8   /* several receivers may lie on one host */

/* The unit reports come from a user of their own, who may do nothing else. */
static const MetricFamily alerter_metrics[] = {
        [METRIC_ALERTS_FIRED] = {
                .name = "genai_alerts_fired_total",
                .help = "Alerts that were fired; those that were folded into another count as well.",
                .type = METRIC_COUNTER,
                .labels = { "severity" },
        },
        [METRIC_NOTIFICATIONS] = {
                .name = "genai_notifications_total",
                .help = "Tries to tell a receiver of an alert: sent, retry, or failed for good.",
                .type = METRIC_COUNTER,
                .labels = { "receiver", "outcome" },
        },
        [METRIC_NOTIFICATIONS_PENDING] = {
                .name = "genai_notifications_pending",
                .help = "Notices that wait to be sent.",
                .type = METRIC_GAUGE,
        },
        {},
};

/* ---------------------------------------------------------------- hooks of the service */

static void alerter_quiesce(void *userdata) {
        AlerterManager *manager = userdata;

        outbox_quiesce(manager->outbox);
}

static bool alerter_healthy(void *userdata) {
        AlerterManager *manager = userdata;

        return !outbox_stalled(manager->outbox);
}

static void alerter_status(Buffer *text, void *userdata) {
        AlerterManager *manager = userdata;
        size_t pending, failed;

        outbox_count(manager->outbox, &pending, &failed);
        if (pending + failed > 0)
                (void) buffer_printf(text, "%zu to send, %zu failed", pending, failed);
}

static int add_fact(JsonValue *array, const char *name, const char *value) {
        _cleanup_(json_freep) JsonValue *fact = json_new_object();
        int r;

        r = json_add_string(fact, "name", name);
        if (r >= 0)
                r = json_add_string(fact, "value", value);
        return r < 0 ? r : json_append(array, TAKE_PTR(fact));
}

static int add_number(JsonValue *array, const char *name, size_t number) {
        char text[32];

        (void) snprintf(text, sizeof(text), "%zu", number);
        return add_fact(array, name, text);
}

static int alerter_facts(JsonValue *array, void *userdata) {
        AlerterManager *manager = userdata;
        const Receiver *receiver;
        size_t pending, failed;
        int r;

        outbox_count(manager->outbox, &pending, &failed);
        r = add_number(array, "pending", pending);
        if (r >= 0)
                r = add_number(array, "failed", failed);
        for (size_t i = 0; r >= 0 && (receiver = receivers_at(manager->receivers, i)); i++) {
                _cleanup_free_ char *name = text_format("receiver.%s", receiver->name);

                if (!name)
                        return -ENOMEM;
                r = add_fact(array, name, receiver->problem ?: "ready");
        }
        return r;
}

static int alerter_format_metrics(Buffer *text, void *userdata) {
        AlerterManager *manager = userdata;
        size_t pending, failed;

        outbox_count(manager->outbox, &pending, &failed);
        metrics_set(manager->metrics, METRIC_NOTIFICATIONS_PENDING, NULL, (double) pending);
        return metrics_format(manager->metrics, text);
}

static int configure_outbox(AlerterManager *manager, const Receivers *receivers, const Settings *settings) {
        const AlerterSettings *alerter = &settings->alerter;
        OutboxLimits limits = {
                .retry_min = alerter->retry_min,
                .retry_max = alerter->retry_max,
                .retry_for = alerter->retry_for,
        };

        return outbox_configure(manager->outbox, receivers, &limits);
}

static int alerter_reload(const Settings *settings, Buffer *errors, void *userdata) {
        AlerterManager *manager = userdata;
        _cleanup_(receivers_freep) Receivers *receivers = NULL, *former = NULL;
        int r;

        r = receivers_new(&receivers, settings);
        if (r >= 0)
                r = configure_outbox(manager, receivers, settings);
        if (r < 0) {
                (void) buffer_printf(errors, "receivers: can't be set up\n");
                return r;
        }
        former = manager->receivers;
        manager->receivers = TAKE_PTR(receivers);
        service_status_changed(manager->service);
        return 0;
}

static usec_t alerter_idle_timeout(const Settings *settings) {
        return settings->alerter.idle_timeout;
}

static usec_t alerter_drain_timeout(const Settings *settings) {
        return settings->alerter.drain_timeout;
}

const ServiceKind alerter_service_kind = {
        .name = "alerter",
        .summary = "keeps alerts and tells people",
        .access = alerter_access,
        .quiesce = alerter_quiesce,
        .healthy = alerter_healthy,
        .status = alerter_status,
        .facts = alerter_facts,
        .metrics = alerter_format_metrics,
        .reload = alerter_reload,
        .idle_timeout = alerter_idle_timeout,
        .drain_timeout = alerter_drain_timeout,
};

/* ---------------------------------------------------------------- hooks of the outbox */

static void on_busy(bool busy, void *userdata) {
        AlerterManager *manager = userdata;

        if (busy)
                service_hold(manager->service);
        else
                service_release(manager->service);
}

/* Each try that fails is worth a line only while somebody looks closely; the first and the last are for all. */
static int level_of(const Delivery *delivery, const AttemptResult *result) {
        if (result->outcome == ATTEMPT_SENT)
                return LOG_DEBUG;
        if (delivery->state == DELIVERY_FAILED)
                return LOG_ERR;
        return delivery->attempts == 1 ? LOG_WARNING : LOG_DEBUG;
}

/* In the words of the delivery, which are cleaned of what a receiver might put into them. */
static void log_try(const Alert *alert, const Delivery *delivery, const AttemptResult *result) {
        const char *outcome = result->outcome == ATTEMPT_SENT ? "was told" :
                              delivery->state == DELIVERY_FAILED ? "could not be told, which is given up" :
                              "could not be told";

        (void) log_record(level_of(delivery, result), 0,
                          LOG_FIELDS({ "ATELIER_ALERT", alert->id }, { "ATELIER_RECEIVER", delivery->receiver }),
                          "receiver %s %s of alert %s%s%s", delivery->receiver, outcome, alert->id,
                          delivery->error ? ": " : "", delivery->error ?: "");
}

static void on_tried(const Alert *alert, const Delivery *delivery, const AttemptResult *result, void *userdata) {
        static const char *const outcomes[] = {
                [ATTEMPT_SENT] = "sent",
                [ATTEMPT_RETRY] = "retry",
                [ATTEMPT_REFUSED] = "failed",
        };
        AlerterManager *manager = userdata;
        const char *outcome = delivery->state == DELIVERY_FAILED ? "failed" : outcomes[result->outcome];

        log_try(alert, delivery, result);
        metrics_add(manager->metrics, METRIC_NOTIFICATIONS, METRIC_VALUES(delivery->receiver, outcome), 1);
        service_status_changed(manager->service);
}

static void on_unrecorded(const Alert *alert, int error, _unused_ void *userdata) {
        (void) log_record(LOG_ERR, error, LOG_FIELDS({ "ATELIER_ALERT", alert->id }),
                          "what became of alert %s can't be written down; it may be sent again", alert->id);
}

/* ---------------------------------------------------------------- building */

static int open_store(AlerterManager *manager) {
        const char *folder = getenv("STATE_DIRECTORY") ?: STATE_DIRECTORY_DEFAULT;
        int r;

        r = alert_store_new(&manager->store, folder);
        return r < 0 ? log_error_errno(r, "the alerts in %s can't be read", folder) : 0;
}

static int open_metrics(AlerterManager *manager) {
        const char *folder = getenv("RUNTIME_DIRECTORY");
        _cleanup_free_ char *path = folder ? text_format("%s/metrics", folder) : NULL;
        int r;

        r = metrics_new(&manager->metrics, alerter_metrics, path);
        return r < 0 ? log_error_errno(r, "the metrics can't be kept in %s", path ?: "memory") : 0;
}

static int open_outbox(AlerterManager *manager) {
        static const OutboxHooks hooks = { .busy = on_busy, .tried = on_tried, .unrecorded = on_unrecorded };
        const Settings *settings = service_settings(manager->service);
        sd_event *event = service_event(manager->service);
        int r;

        r = http_client_new(&manager->http, event, CONNECTIONS_PER_HOST_MAX);
        if (r >= 0)
                r = receivers_new(&manager->receivers, settings);
        if (r >= 0)
                r = outbox_new(&manager->outbox, event, manager->http, manager->store, &hooks, manager);
        if (r >= 0)
                r = alerter_methods_add(service_varlink(manager->service), manager);
        return r < 0 ? r : configure_outbox(manager, manager->receivers, settings);
}

static void on_messenger_busy(bool busy, void *userdata) {
        AlerterManager *manager = userdata;

        if (busy)
                service_hold(manager->service);
        else
                service_release(manager->service);
}

int alerter_manager_new(AlerterManager **ret, Service *service) {
        _cleanup_(alerter_manager_freep) AlerterManager *manager = NULL;
        int r;

        manager = calloc(1, sizeof(*manager));
        if (!manager)
                return -ENOMEM;
        manager->service = service;

        r = open_store(manager);
        if (r >= 0)
                r = open_metrics(manager);
        if (r < 0)
                return r;
        r = varlink_messenger_new(&manager->messenger, service_event(service), on_messenger_busy, manager);
        if (r >= 0)
                r = open_outbox(manager);
        if (r < 0)
                return log_error_errno(r, "the alerter can't be set up");

        *ret = TAKE_PTR(manager);
        return 0;
}

AlerterManager *alerter_manager_free(AlerterManager *manager) {
        if (!manager)
                return NULL;

        receiver_tests_cancel(manager);
        manager->messenger = varlink_messenger_free(manager->messenger);
        manager->outbox = outbox_free(manager->outbox);
        manager->http = http_client_free(manager->http);
        manager->receivers = receivers_free(manager->receivers);
        manager->store = alert_store_free(manager->store);
        manager->metrics = metrics_free(manager->metrics);
        free(manager);
        return NULL;
}
