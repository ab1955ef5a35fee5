#include "alerts.h"

#include <errno.h>

#include "base/log.h"
#include "base/text.h"

/* Whoever fires has done so in a panic, perhaps many times a second: a unit in a crash loop, a script in a loop.
 * What is the same by its key, or one too many of its kind, is counted in an alert that is there already, and
 * nobody is told. The count is written down before the answer as well. What is worse is folded into neither, since
 * there may be receivers that hear of it alone; nor does the alert that is there become worse, since receivers know a
 * notice that they have had by its alert, and would drop it. What is milder by now is the same by its key.
 *
 * Alerts are compared as they are kept, cleaned and cut; raw texts might never be the same as those. */

/* A clock that was set back leaves alerts that lie ahead: they are of no storm of now. */
static bool is_of_kind(const Alert *alert, const Alert *fired) {
        usec_t distance = fired->fired_at > alert->fired_at ? fired->fired_at - alert->fired_at :
                                                              alert->fired_at - fired->fired_at;

        return distance < ALERTS_WINDOW_USEC && alert->severity == fired->severity &&
               text_equal(alert->name, fired->name) && text_equal(alert->source, fired->source);
}

/* The one that a further alert is folded into; NULL: it is one of its own. */
static Alert *find_fold(const AlerterManager *manager, const Alert *fired) {
        Alert *alert, *last = NULL;
        size_t count = 0;

        if (fired->key && (alert = alert_store_find_key(manager->store, fired->key, fired->severity)))
                return alert;
        for (size_t i = 0; (alert = alert_store_at(manager->store, i)); i++) {
                if (!is_of_kind(alert, fired))
                        continue;
                count++;
                if (alert->state == ALERT_FIRING)
                        last = alert;
        }
        return count >= ALERTS_PER_SOURCE_MAX ? last : NULL;
}

static int fold(AlerterManager *manager, Alert *alert, usec_t now) {
        usec_t before = alert->updated_at;
        int r;

        alert->count++;
        alert->updated_at = now;
        r = alert_store_save(manager->store, alert);
        if (r < 0) {
                alert->count--;
                alert->updated_at = before;
        }
        return r;
}

/* The journal is told at once. Should the alert then not be stored, whoever fired it hears that too. */
static int add_deliveries(const AlerterManager *manager, Alert *alert, usec_t now) {
        const Receiver *receiver;
        int r = 0;

        for (size_t i = 0; r >= 0 && (receiver = receivers_at(manager->receivers, i)); i++) {
                Delivery *delivery;

                if (receiver->problem || alert->severity < receiver->severity)
                        continue;
                r = alert_add_delivery(alert, receiver->name, now, &delivery);
                if (r < 0 || !receiver->notifier->tell)
                        continue;
                receiver->notifier->tell(&(Notice) { .alert = alert, .receiver = receiver->name });
                delivery->state = DELIVERY_SENT;
                delivery->attempts = 1;
                delivery->sent_at = now;
        }
        return r;
}

/* The store owns it once this returns 0. */
static int add(AlerterManager *manager, Alert *alert, usec_t now) {
        int r;

        r = add_deliveries(manager, alert, now);
        if (r >= 0)
                r = alert_store_add(manager->store, alert);
        return r == ALERT_STORE_FULL ? ALERTS_FULL : r;
}

/* In the worker's audit trail. */
static void record(const AlerterManager *manager, const Alert *alert, const char *action) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add_string(parameters, "action", action);
        if (r >= 0)
                r = json_add_string(parameters, "outcome", "ok");
        if (r >= 0)
                r = json_add_string(parameters, "object", alert->id);
        if (r >= 0)
                r = json_add_string(parameters, "detail", alert->summary);
        varlink_messenger_send(manager->messenger, "Worker", "io.atelier.Audit.Append", r < 0 ? NULL : TAKE_PTR(parameters),
                               "an alert is not in the audit trail");
}

int alerts_fire(AlerterManager *manager, const AlertInput *input, Alert **ret, const char **ret_field) {
        _cleanup_(alert_freep) Alert *fired = NULL;
        usec_t now = time_now_realtime();
        Alert *alert;
        int r;

        r = alert_new(&fired, input, now, ret_field);
        if (r != 0)
                return r == ALERT_BAD_FIELD ? ALERTS_BAD_FIELD : r;
        alert = find_fold(manager, fired);
        r = alert ? fold(manager, alert, now) : add(manager, fired, now);
        if (r != 0)
                return r;

        if (!alert)
                record(manager, fired, "alert.fired");
        *ret = alert ?: TAKE_PTR(fired);
        metrics_add(manager->metrics, METRIC_ALERTS_FIRED, METRIC_VALUES(severity_name((*ret)->severity)), 1);
        outbox_look(manager->outbox);
        return 0;
}

/* What the journal was told of it was told at once, and so is this. */
static void tell_at_once(const AlerterManager *manager, Alert *alert, usec_t now) {
        for (size_t i = 0; i < alert->n_deliveries; i++) {
                Delivery *delivery = &alert->deliveries[i];
                const Receiver *receiver = receivers_find(manager->receivers, delivery->receiver);

                if (delivery->state != DELIVERY_PENDING || !receiver || !receiver->notifier->tell)
                        continue;
                receiver->notifier->tell(&(Notice) { .alert = alert, .state = delivery->notice });
                delivery->state = DELIVERY_SENT;
                delivery->attempts = 1;
                delivery->sent_at = now;
        }
}

int alerts_resolve(AlerterManager *manager, Alert *alert) {
        usec_t now = time_now_realtime();
        int r;

        if (alert->state == ALERT_RESOLVED)
                return 0;
        alert_resolve(alert, now);
        tell_at_once(manager, alert, now);
        r = alert_store_save(manager->store, alert);
        record(manager, alert, "alert.resolved");
        /* Not taken back where it fails: it is sent, and asked for again after a crash. */
        outbox_look(manager->outbox);
        return r;
}
