#include "outbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backoff.h"
#include "base/text.h"

/* There is no outbox on disk: a delivery of an alert that is pending is what is to be sent, and the alert's file
 * says so until its receiver has answered. The order is: send, hear the answer, record it. A crash between the
 * first and the last sends the notice once more, and no crash loses it.
 *
 * Each receiver has a lane: one request at a time, the oldest notice first. A receiver that cannot be told is tried
 * again after a pause that doubles, and others of its notices wait as well, since they would fare no better. A
 * notice that has failed many times yields to those that have not, so that one which its receiver chokes on does
 * not hold up the rest for a day.
 *
 * Times of notices are wall-clock times, because they outlive the process; a lane's own are monotonic. Where the
 * clock has been set back, a notice that seems to lie far ahead is due at once.
 *
 * Notices of a receiver that is not configured (any more), or has no URL, stay: they are sent when it comes back,
 * or given up when their time is over. They do not keep the daemon running. */

#define YIELD_ATTEMPTS 8   /* after so many failures others go first, and so on after as many again */
#define STALL_USEC (5 * USEC_PER_MINUTE)

/* For tests: when so many notices have been sent the process is killed, with the last of them not recorded. */
#define FAULT_CRASH_VARIABLE "ATELIER_TEST_CRASH_AFTER_SEND"

typedef struct Lane {
        Outbox *outbox;
        const Receiver *receiver;
        usec_t not_before;                          /* monotonic */
        unsigned failures;                          /* in a row */
        Attempt *attempt;
        Alert *alert;                               /* that `attempt` tells of */
        Delivery *delivery;
} Lane;

struct Outbox {
        sd_event_source *timer;
        HttpClient *http;
        AlertStore *store;
        OutboxHooks hooks;
        void *userdata;
        OutboxLimits limits;
        Lane *lanes;
        size_t n_lanes;
        bool busy, quiesced, closing;
};

/* ---------------------------------------------------------------- choosing */

static usec_t time_left(usec_t then, usec_t now) {
        return then > now ? then - now : 0;
}

static bool goes_before(const Delivery *a, const Delivery *b) {
        int64_t round_a = a->attempts / YIELD_ATTEMPTS, round_b = b->attempts / YIELD_ATTEMPTS;

        return round_a != round_b ? round_a < round_b : a->queued_at < b->queued_at;
}

/* What the lane tells next, into lane->alert and lane->delivery. */
static bool lane_choose(Lane *lane) {
        Alert *alert;

        lane->alert = NULL;
        lane->delivery = NULL;
        for (size_t i = 0; (alert = alert_store_at(lane->outbox->store, i)); i++) {
                Delivery *delivery = alert_find_delivery(alert, lane->receiver->name);

                if (!delivery || delivery->state != DELIVERY_PENDING)
                        continue;
                if (lane->delivery && !goes_before(delivery, lane->delivery))
                        continue;
                lane->alert = alert;
                lane->delivery = delivery;
        }
        return lane->delivery;
}

/* How long the lane's next notice has to wait. */
static usec_t lane_wait(const Lane *lane) {
        usec_t longest = MAX(lane->outbox->limits.retry_max, ATTEMPT_RETRY_AFTER_MAX);
        usec_t of_notice = time_left(lane->delivery->next_at, time_now_realtime());
        usec_t of_lane = time_left(lane->not_before, time_now_monotonic());

        return MAX(of_notice > longest ? 0 : of_notice, of_lane);
}

/* ---------------------------------------------------------------- outcomes */

static void was_sent(Lane *lane, usec_t now) {
        Delivery *delivery = lane->delivery;

        lane->failures = 0;
        lane->not_before = time_now_monotonic() + lane->receiver->notifier->interval;
        delivery->state = DELIVERY_SENT;
        delivery->sent_at = now;
        delivery_follow(lane->alert, delivery, now);
}

static void was_not_sent(Lane *lane, const AttemptResult *result, usec_t now) {
        const OutboxLimits *limits = &lane->outbox->limits;
        Delivery *delivery = lane->delivery;
        usec_t pause;

        lane->failures++;
        pause = MAX(backoff_pause(limits->retry_min, limits->retry_max, lane->failures), result->retry_after);
        lane->not_before = time_now_monotonic() + MAX(pause, lane->receiver->notifier->interval);
        delivery->next_at = now + MAX(pause, backoff_pause(limits->retry_min, limits->retry_max, delivery->attempts));
        if (time_left(now, delivery->queued_at) >= limits->retry_for)
                delivery->state = DELIVERY_FAILED;
}

static void was_refused(Lane *lane) {
        lane->not_before = time_now_monotonic() + lane->receiver->notifier->interval;
        lane->delivery->state = DELIVERY_FAILED;
}

static void crash_if_told_to(void) {
        const char *text = getenv(FAULT_CRASH_VARIABLE);
        static long sent;

        if (text && ++sent == strtol(text, NULL, 10))
                (void) raise(SIGKILL);
}

/* Writes down what became of a try, and says so. */
static void record(Outbox *outbox, const Alert *alert, Delivery *delivery, const AttemptResult *result) {
        int r;

        (void) delivery_set_error(delivery, *result->error ? result->error : NULL);
        r = alert_store_save(outbox->store, alert);
        if (r < 0)
                outbox->hooks.unrecorded(alert, r, outbox->userdata);
        outbox->hooks.tried(alert, delivery, result, outbox->userdata);
}

static void outbox_turn(Outbox *outbox);

static void on_attempt_done(const AttemptResult *result, void *userdata) {
        Lane *lane = userdata;
        Outbox *outbox = lane->outbox;
        usec_t now = time_now_realtime();

        lane->attempt = NULL;
        if (result->outcome == ATTEMPT_CANCELLED)
                return;
        if (result->outcome == ATTEMPT_SENT)
                crash_if_told_to();

        lane->delivery->attempts++;
        if (result->outcome == ATTEMPT_SENT)
                was_sent(lane, now);
        else if (result->outcome == ATTEMPT_RETRY)
                was_not_sent(lane, result, now);
        else
                was_refused(lane);

        record(outbox, lane->alert, lane->delivery, result);
        outbox_turn(outbox);
}

/* ---------------------------------------------------------------- sending */

/* What cannot even be begun counts as a try that nobody answered. */
static void lane_start(Lane *lane) {
        Notice notice = {
                .alert = lane->alert,
                .state = lane->delivery->notice,
                .receiver = lane->receiver->name,
        };
        int r;

        r = attempt_start(&lane->attempt, lane->outbox->http, lane->receiver, &notice, on_attempt_done, lane);
        if (r < 0) {
                AttemptResult result = { .outcome = ATTEMPT_RETRY };

                (void) snprintf(result.error, sizeof(result.error), "%s", strerror(-r));
                on_attempt_done(&result, lane);
        }
}

static void set_busy(Outbox *outbox, bool busy) {
        if (busy == outbox->busy)
                return;
        outbox->busy = busy;
        outbox->hooks.busy(busy, outbox->userdata);
}

/* Begins what is due, and sets the timer for what is due next. */
static void outbox_turn(Outbox *outbox) {
        usec_t next = USEC_INFINITY;
        bool busy = false;

        if (outbox->closing)
                return;
        for (size_t i = 0; i < outbox->n_lanes; i++) {
                Lane *lane = &outbox->lanes[i];
                usec_t wait;

                if (!lane->attempt && !outbox->quiesced && lane_choose(lane)) {
                        wait = lane_wait(lane);
                        if (wait > 0)
                                next = MIN(next, wait);
                        else {
                                lane_start(lane);
                                if (!lane->attempt)   /* it has been here again */
                                        return;
                        }
                        busy = true;
                }
                busy |= lane->attempt != NULL;
        }

        (void) sd_event_source_set_enabled(outbox->timer, SD_EVENT_OFF);
        if (next != USEC_INFINITY) {
                (void) sd_event_source_set_time_relative(outbox->timer, next);
                (void) sd_event_source_set_enabled(outbox->timer, SD_EVENT_ONESHOT);
        }
        set_busy(outbox, busy);
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        outbox_turn(userdata);
        return 0;
}

void outbox_look(Outbox *outbox) {
        outbox_turn(outbox);
}

void outbox_quiesce(Outbox *outbox) {
        outbox->quiesced = true;
        outbox_turn(outbox);
}

/* ---------------------------------------------------------------- receivers */

static void close_lanes(Outbox *outbox) {
        outbox->closing = true;
        for (size_t i = 0; i < outbox->n_lanes; i++)
                if (outbox->lanes[i].attempt)
                        attempt_cancel(outbox->lanes[i].attempt);
        outbox->closing = false;
        free(outbox->lanes);
        outbox->lanes = NULL;
        outbox->n_lanes = 0;
}

static bool has_lane(const Outbox *outbox, const char *receiver) {
        for (size_t i = 0; i < outbox->n_lanes; i++)
                if (text_equal(outbox->lanes[i].receiver->name, receiver))
                        return true;
        return false;
}

/* What nobody can be told any more counts as failed in the end: it would say for ever that something is pending, and
 * take the room of what can be told. */
static void give_up_absent(Outbox *outbox) {
        static const AttemptResult absent = { .outcome = ATTEMPT_REFUSED, .error = "no such receiver any more" };
        usec_t now = time_now_realtime();
        Alert *alert;

        for (size_t i = 0; (alert = alert_store_at(outbox->store, i)); i++)
                for (size_t j = 0; j < alert->n_deliveries; j++) {
                        Delivery *delivery = &alert->deliveries[j];

                        if (delivery->state != DELIVERY_PENDING || has_lane(outbox, delivery->receiver) ||
                            time_left(now, delivery->queued_at) < outbox->limits.retry_for)
                                continue;
                        delivery->state = DELIVERY_FAILED;
                        record(outbox, alert, delivery, &absent);
                }
}

/* A receiver's pace holds across a restart too, as far as is known what was sent last. */
static usec_t pace_left(const Outbox *outbox, const Receiver *receiver) {
        usec_t interval = receiver->notifier->interval, left = 0, now = time_now_realtime();
        const Alert *alert;

        for (size_t i = 0; (alert = alert_store_at(outbox->store, i)); i++) {
                const Delivery *delivery = alert_find_delivery(alert, receiver->name);

                if (delivery)
                        left = MAX(left, time_left(delivery->sent_at + interval, now));
        }
        return MIN(left, interval);
}

/* What waits after a failure is tried at once: somebody has just mended something. */
static void hurry(const Outbox *outbox, const Receiver *receiver) {
        Alert *alert;

        for (size_t i = 0; (alert = alert_store_at(outbox->store, i)); i++) {
                Delivery *delivery = alert_find_delivery(alert, receiver->name);

                if (delivery)
                        delivery->next_at = 0;
        }
}

static void begin_lane(Outbox *outbox, Lane *lane, const Receiver *receiver, bool again) {
        *lane = (Lane) {
                .outbox = outbox,
                .receiver = receiver,
                .not_before = time_now_monotonic() + pace_left(outbox, receiver),
        };
        if (again)
                hurry(outbox, receiver);
}

int outbox_configure(Outbox *outbox, const Receivers *receivers, const OutboxLimits *limits) {
        const Receiver *receiver;
        bool again = outbox->lanes;
        size_t count = 0;
        Lane *lanes;

        while (receivers_at(receivers, count))
                count++;
        lanes = calloc(count + 1, sizeof(*lanes));
        if (!lanes)
                return -ENOMEM;

        close_lanes(outbox);
        outbox->limits = *limits;
        outbox->lanes = lanes;
        for (size_t i = 0; (receiver = receivers_at(receivers, i)); i++)
                if (receiver->notifier->format && receiver->url)
                        begin_lane(outbox, &lanes[outbox->n_lanes++], receiver, again);
        give_up_absent(outbox);
        outbox_turn(outbox);
        return 0;
}

/* ---------------------------------------------------------------- counting */

void outbox_count(const Outbox *outbox, size_t *ret_pending, size_t *ret_failed) {
        const Alert *alert;

        *ret_pending = *ret_failed = 0;
        for (size_t i = 0; (alert = alert_store_at(outbox->store, i)); i++)
                for (size_t j = 0; j < alert->n_deliveries; j++) {
                        *ret_pending += alert->deliveries[j].state == DELIVERY_PENDING;
                        *ret_failed += alert->deliveries[j].state == DELIVERY_FAILED && alert->state == ALERT_FIRING;
                }
}

bool outbox_stalled(const Outbox *outbox) {
        for (size_t i = 0; i < outbox->n_lanes; i++) {
                Lane lane = outbox->lanes[i];
                usec_t now = time_now_realtime();

                if (!lane.attempt && !outbox->quiesced && lane_choose(&lane) && lane_wait(&lane) == 0 &&
                    time_left(now, lane.delivery->next_at) > STALL_USEC &&
                    time_left(time_now_monotonic(), lane.not_before) > STALL_USEC)
                        return true;
        }
        return false;
}

/* ---------------------------------------------------------------- life */

int outbox_new(Outbox **ret, sd_event *event, HttpClient *http, AlertStore *store, const OutboxHooks *hooks,
               void *userdata) {
        _cleanup_(outbox_freep) Outbox *outbox = calloc(1, sizeof(*outbox));
        int r;

        if (!outbox)
                return -ENOMEM;
        outbox->http = http;
        outbox->store = store;
        outbox->hooks = *hooks;
        outbox->userdata = userdata;
        r = sd_event_add_time_relative(event, &outbox->timer, CLOCK_MONOTONIC, 0, 0, on_timer, outbox);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(outbox->timer, "outbox");
        r = sd_event_source_set_enabled(outbox->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(outbox);
        return 0;
}

Outbox *outbox_free(Outbox *outbox) {
        if (!outbox)
                return NULL;

        close_lanes(outbox);
        (void) sd_event_source_disable_unref(outbox->timer);
        free(outbox);
        return NULL;
}
