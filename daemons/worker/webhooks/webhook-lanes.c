#include "webhooks/webhook-lanes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "alert-reporter.h"
#include "base/log.h"
#include "base/text.h"
#include "store/store-webhook.h"
#include "webhooks/webhook-endpoints.h"
#include "webhooks/webhook-payload.h"
#include "webhooks/webhook-schedule.h"
#include "webhooks/webhooks.h"

#define CONNECT_TIMEOUT (5 * USEC_PER_SEC)
#define STORE_AWAY_WAIT USEC_PER_SEC

/* One request. It outlives its lane while its outcome is being written. */
typedef struct Sending {
        Write write;
        struct Sending *next;
        Manager *manager;
        Webhooks *webhooks;
        WebhookLane *lane;               /* NULL: that has gone */
        HttpTransfer *transfer;          /* NULL: over */
        WebhookDelivery delivery;
        uint64_t state_generation;       /* numbers are those of the state that it was read from */
        usec_t retry_after;

        WebhookState state;              /* as it becomes */
        usec_t due;
        char *cause;
} Sending;

struct WebhookLane {
        Manager *manager;
        Webhooks *webhooks;
        WebhookEndpoint endpoint;
        Sending *sendings;
        size_t n;
        unsigned failures;               /* in a row */
        usec_t not_before;               /* monotonic */
        bool gone;                       /* it has said so (410) */
};

const char *webhook_lane_name(const WebhookLane *lane) {
        return lane->endpoint.name;
}

static void take_out(Sending *sending) {
        WebhookLane *lane = sending->lane;

        for (Sending **link = &lane->sendings; *link; link = &(*link)->next)
                if (*link == sending) {
                        *link = sending->next;
                        lane->n--;
                        break;
                }
        sending->lane = NULL;
}

static void sending_free(Sending *sending) {
        if (sending->lane)
                take_out(sending);
        service_release(sending->manager->service);
        free(sending->cause);
        free(sending);
}

/* ------------------------------------------------------------------ the outcome */

static int apply_tried(Write *write, Store *store) {
        Sending *sending = CONTAINER_OF(write, Sending, write);
        int r;

        if (sending->state_generation != sending->manager->state_generation)
                return 0;
        r = store_webhook_tried(store, sending->delivery.number, sending->state, sending->due, sending->cause);
        return r == STORE_NOT_FOUND ? 0 : r;
}

static void on_tried(Write *write, int result) {
        Sending *sending = CONTAINER_OF(write, Sending, write);
        Webhooks *webhooks = sending->lane ? sending->webhooks : NULL;

        if (result < 0 && result != -ECANCELED)
                (void) log_warning_errno(result, "what came of a webhook can't be written; it is sent once more");
        sending_free(sending);
        webhooks_look(webhooks);
}

static void tell_given_up(WebhookLane *lane, const Sending *sending, const char *why) {
        _cleanup_free_ char *key = text_format("webhook %s", lane->endpoint.name);
        _cleanup_free_ char *summary = NULL;

        summary = text_format("the webhook of job %s is given up by %s: %s; once that is mended: atelierctl webhooks retry %s",
                              sending->delivery.job, lane->endpoint.name, why, lane->endpoint.name);
        if (!key || !summary)
                return;
        log_warning("%s", summary);
        alert_report(lane->manager->alerts, key, "WebhookGivenUp", "warning", summary);
}

static uint32_t chance(void) {
        uint32_t value = 0;

        return getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value) ? value : 0;
}

static usec_t lane_pause(unsigned failures) {
        usec_t pause = USEC_PER_SEC;

        for (unsigned i = 1; i < failures && pause < WEBHOOK_LANE_PAUSE_MAX; i++)
                pause *= 2;
        return MIN(pause, WEBHOOK_LANE_PAUSE_MAX);
}

static void fail(Sending *sending, const char *why) {
        WebhookLane *lane = sending->lane;
        usec_t pause = webhook_pause(sending->delivery.attempts + 1, sending->retry_after, chance());

        if (lane->failures == 0)
                log_warning("webhooks can't be delivered to %s: %s", lane->endpoint.name, why);
        lane->failures++;
        lane->not_before = time_now_monotonic() + lane_pause(lane->failures);
        sending->cause = strdup(why);
        sending->state = pause == USEC_INFINITY || lane->gone ? WEBHOOK_GIVEN_UP : WEBHOOK_PENDING;
        sending->due = sending->state == WEBHOOK_PENDING ? time_now_realtime() + pause : time_now_realtime();
        if (sending->state == WEBHOOK_GIVEN_UP)
                tell_given_up(lane, sending, why);
        metrics_add(lane->manager->metrics, METRIC_WEBHOOKS_TOTAL,
                    METRIC_VALUES(lane->endpoint.name, sending->state == WEBHOOK_GIVEN_UP ? "given_up" : "failed"), 1);
}

static void succeed(Sending *sending) {
        WebhookLane *lane = sending->lane;

        if (lane->failures > 0)
                log_notice("webhooks are delivered to %s again", lane->endpoint.name);
        lane->failures = 0;
        lane->not_before = 0;
        sending->state = WEBHOOK_DELIVERED;
        sending->due = time_now_realtime();
        metrics_add(lane->manager->metrics, METRIC_WEBHOOKS_TOTAL, METRIC_VALUES(lane->endpoint.name, "delivered"), 1);
}

static void on_header(_unused_ HttpTransfer *transfer, const char *name, const char *value, void *userdata) {
        Sending *sending = userdata;
        uint64_t seconds;

        if (text_equal(name, "retry-after") && text_to_unsigned(value, UINT32_MAX, &seconds) >= 0)
                sending->retry_after = seconds * USEC_PER_SEC;
}

/* The status is all that counts: what comes behind it may be cut off. */
static void on_done(_unused_ HttpTransfer *transfer, const HttpResult *result, void *userdata) {
        Sending *sending = userdata;
        char why[sizeof(result->message) + 32];

        sending->transfer = NULL;
        if (!sending->lane) {
                sending_free(sending);
                return;
        }
        if (result->status >= 200 && result->status < 300)
                succeed(sending);
        else {
                sending->lane->gone = result->status == 410;
                if (result->status > 0)
                        (void) snprintf(why, sizeof(why), "it answers with HTTP %ld", result->status);
                else
                        (void) snprintf(why, sizeof(why), "no answer: %s", result->message);
                fail(sending, why);
        }
        commit_group_add(sending->manager->group, &sending->write);
}

/* ------------------------------------------------------------------ sending */

static int start(Sending *sending, const char *body) {
        static const HttpHandlers handlers = { .header = on_header, .done = on_done };
        WebhookLane *lane = sending->lane;
        int64_t now = (int64_t) (time_now_realtime() / USEC_PER_SEC);
        _cleanup_free_ char *id_field = NULL, *time_field = NULL, *signature = NULL, *signature_field = NULL;
        char id[WEBHOOK_ID_MAX];

        webhook_id(sending->delivery.job, lane->endpoint.name, id);
        signature = webhook_endpoint_sign(&lane->endpoint, id, now, body);
        id_field = text_format("webhook-id: %s", id);
        time_field = text_format("webhook-timestamp: %lld", (long long) now);
        signature_field = signature ? text_format("webhook-signature: %s", signature) : NULL;
        if (!id_field || !time_field || !signature_field)
                return -ENOMEM;
        return http_client_start(lane->manager->http,
                                 &(HttpRequest) {
                                         .method = "POST",
                                         .url = lane->endpoint.url,
                                         .headers = (const char *const[]) { "Content-Type: application/json", id_field,
                                                                            time_field, signature_field, NULL },
                                         .body = body,
                                         .body_size = strlen(body),
                                         .connect_timeout = MIN(CONNECT_TIMEOUT, lane->endpoint.timeout),
                                         .timeout = lane->endpoint.timeout,
                                         .body_bytes_max = WEBHOOK_REPLY_BYTES_MAX,
                                 },
                                 &handlers, sending, &sending->transfer);
}

static int begin(WebhookLane *lane, Store *store, const WebhookDelivery *delivery) {
        const Settings *settings = service_settings(lane->manager->service);
        _cleanup_(job_freep) Job *job = NULL;
        _cleanup_free_ char *body = NULL;
        Sending *sending;
        int r;

        r = store_get(store, delivery->job, &job);
        if (r != 0)
                return r < 0 ? r : -EUCLEAN;
        body = webhook_payload(job, settings->api.public_url);
        sending = body ? calloc(1, sizeof(*sending)) : NULL;
        if (!sending)
                return -ENOMEM;
        *sending = (Sending) {
                .write = { .apply = apply_tried, .done = on_tried },
                .manager = lane->manager,
                .webhooks = lane->webhooks,
                .lane = lane,
                .next = lane->sendings,
                .delivery = *delivery,
                .state_generation = lane->manager->state_generation,
        };
        lane->sendings = sending;
        lane->n++;
        service_hold(lane->manager->service);
        r = start(sending, body);
        if (r < 0)
                sending_free(sending);
        return r;
}

static bool is_under_way(const WebhookLane *lane, int64_t number) {
        for (const Sending *sending = lane->sendings; sending; sending = sending->next)
                if (sending->delivery.number == number)
                        return true;
        return false;
}

static usec_t time_left(usec_t then, usec_t now) {
        return then > now ? then - now : 0;
}

/* What is due begins, until the lane is full or pauses. */
static int begin_due(WebhookLane *lane, Store *store, usec_t *wait) {
        WebhookDelivery delivery = {};

        while (lane->n < WEBHOOK_LANE_REQUESTS_MAX) {
                usec_t now = time_now_realtime(), pause = time_left(lane->not_before, time_now_monotonic());
                int r;

                r = store_webhook_next(store, lane->endpoint.name, delivery.due, delivery.number, &delivery);
                if (r != 0)
                        return MIN(r, 0);
                if (is_under_way(lane, delivery.number))
                        continue;
                *wait = MAX(pause, time_left(delivery.due, now));
                if (*wait > 0)
                        return 0;
                *wait = USEC_INFINITY;
                r = begin(lane, store, &delivery);
                if (r < 0)
                        return r;
                /* A lane that has failed tries with one. */
                if (lane->failures > 0)
                        return 0;
        }
        return 0;
}

int webhook_lane_run(WebhookLane *lane, usec_t *ret_wait, bool *ret_waits) {
        Store *store = commit_group_store(lane->manager->group);
        WebhookDelivery first;
        int r;

        *ret_wait = USEC_INFINITY;
        *ret_waits = false;
        if (lane->endpoint.problem || lane->gone)
                return 0;
        if (!store) {
                *ret_wait = STORE_AWAY_WAIT;
                return 0;
        }
        r = store_webhook_next(store, lane->endpoint.name, 0, 0, &first);
        if (r != 0)
                return MIN(r, 0);
        *ret_waits = true;
        if (lane->failures > 0 && lane->n > 0)
                return 0;
        return begin_due(lane, store, ret_wait);
}

void webhook_lane_hope(WebhookLane *lane) {
        lane->gone = false;
        lane->not_before = 0;
}

/* ------------------------------------------------------------------ the lane */

int webhook_lane_new(WebhookLane **ret, Manager *manager, Webhooks *webhooks, const WebhookConf *conf, Buffer *errors) {
        WebhookLane *lane = calloc(1, sizeof(*lane));
        int r;

        if (!lane)
                return -ENOMEM;
        lane->manager = manager;
        lane->webhooks = webhooks;
        r = webhook_endpoint_init(&lane->endpoint, manager->secrets, conf, errors);
        if (r < 0) {
                (void) webhook_lane_free(lane);
                return r;
        }
        if (lane->endpoint.problem)
                log_warning("webhook %s is configured, but %s; nothing is sent to it", conf->name, lane->endpoint.problem);
        *ret = lane;
        return 0;
}

WebhookLane *webhook_lane_free(WebhookLane *lane) {
        while (lane->sendings) {
                Sending *sending = lane->sendings;

                take_out(sending);
                if (sending->transfer)
                        http_transfer_cancel(sending->transfer);
        }
        webhook_endpoint_done(&lane->endpoint);
        free(lane);
        return NULL;
}

static int64_t count(const WebhookLane *lane, WebhookState state) {
        Store *store = commit_group_store(lane->manager->group);
        int64_t n = 0;

        return store && store_webhook_count(store, lane->endpoint.name, state, &n) == 0 ? n : 0;
}

void webhook_lane_measure(const WebhookLane *lane) {
        metrics_set(lane->manager->metrics, METRIC_WEBHOOKS_PENDING, METRIC_VALUES(lane->endpoint.name),
                    (double) count(lane, WEBHOOK_PENDING));
}

static const char *describe(const WebhookLane *lane) {
        if (lane->endpoint.problem)
                return lane->endpoint.problem;
        if (lane->gone)
                return "it has said that it is gone (410)";
        return lane->failures > 0 ? "it can't be reached" : NULL;
}

int webhook_lane_to_json(const WebhookLane *lane, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        Store *store = commit_group_store(lane->manager->group);
        _cleanup_free_ char *cause = NULL;
        int r;

        r = store ? store_webhook_last_cause(store, lane->endpoint.name, &cause) : -EIO;
        if (r >= 0)
                r = json_add_string(value, "name", lane->endpoint.name);
        if (r >= 0)
                r = json_add_string(value, "url", lane->endpoint.url);
        if (r >= 0)
                r = json_add_string(value, "problem", describe(lane));
        if (r >= 0)
                r = json_add_integer(value, "pending", count(lane, WEBHOOK_PENDING));
        if (r >= 0)
                r = json_add_integer(value, "delivered", count(lane, WEBHOOK_DELIVERED));
        if (r >= 0)
                r = json_add_integer(value, "given_up", count(lane, WEBHOOK_GIVEN_UP));
        if (r >= 0)
                r = json_add_string(value, "last_cause", cause);
        if (r >= 0)
                *ret = TAKE_PTR(value);
        return r;
}
