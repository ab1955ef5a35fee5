/* The outbox against a receiver on loopback: order, retries, what is given up, what a restart finds. */
#include "alerter-fixture.h"
#include "loopback-server.h"

#include "backoff.h"
#include "outbox.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)
#define REQUESTS_MAX 64

typedef struct Fixture {
        AlertFolder alerts;
        LoopbackServer *server;
        sd_event *event;
        HttpClient *http;
        Settings settings;
        ReceiverConf conf;
        void *items[1];
        Receivers *receivers;
        Outbox *outbox;
        OutboxLimits limits;
        bool busy;
        unsigned tries, unrecorded;
        AttemptOutcome last;
} Fixture;

/* What the receiver answers, and what it was sent; the server's threads write, the test reads what was answered. */
static struct {
        int status[REQUESTS_MAX];          /* 0: 200 */
        const char *headers, *body;
        char summaries[REQUESTS_MAX][32];
        char keys[REQUESTS_MAX][128];
        struct timespec at[REQUESTS_MAX];
} wire;

static void copy_between(char *to, size_t size, const char *text, const char *begin, char end) {
        const char *p = strstr(text, begin);
        size_t length = p ? strcspn(p + strlen(begin), (char[]) { end, 0 }) : 0;

        (void) snprintf(to, size, "%.*s", (int) length, p ? p + strlen(begin) : "");
}

static bool answer(_unused_ LoopbackServer *server, int fd, const char *request, unsigned number) {
        assert(number < REQUESTS_MAX);
        copy_between(wire.summaries[number], sizeof(wire.summaries[number]), request, "\"summary\":\"", '"');
        copy_between(wire.keys[number], sizeof(wire.keys[number]), request, "Idempotency-Key: ", '\r');
        (void) clock_gettime(CLOCK_MONOTONIC, &wire.at[number]);
        if (wire.status[number] == -1)
                return false;   /* hangs up */
        loopback_answer(fd, wire.status[number] ?: 200, wire.headers ?: "", wire.body ?: "ok");
        return true;
}

static void on_busy(bool busy, void *userdata) {
        Fixture *fixture = userdata;

        assert_true(fixture->busy != busy);
        fixture->busy = busy;
}

static void on_tried(_unused_ const Alert *alert, _unused_ const Delivery *delivery, const AttemptResult *result,
                     void *userdata) {
        Fixture *fixture = userdata;

        fixture->tries++;
        fixture->last = result->outcome;
}

static void on_unrecorded(_unused_ const Alert *alert, _unused_ int error, void *userdata) {
        Fixture *fixture = userdata;

        fixture->unrecorded++;
}

static void start_outbox(Fixture *fixture) {
        static const OutboxHooks hooks = { .busy = on_busy, .tried = on_tried, .unrecorded = on_unrecorded };

        assert_int_equal(http_client_new(&fixture->http, fixture->event, 4), 0);
        assert_int_equal(outbox_new(&fixture->outbox, fixture->event, fixture->http, fixture->alerts.store, &hooks,
                                    fixture), 0);
}

static void stop_outbox(Fixture *fixture) {
        fixture->outbox = outbox_free(fixture->outbox);
        fixture->http = http_client_free(fixture->http);
        fixture->busy = false;
}

static void configure(Fixture *fixture) {
        Receivers *receivers;

        assert_int_equal(receivers_new(&receivers, &fixture->settings), 0);
        assert_int_equal(outbox_configure(fixture->outbox, receivers, &fixture->limits), 0);
        (void) receivers_free(fixture->receivers);
        fixture->receivers = receivers;
}

static int setup(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));
        AlertFolder *folder;
        void *opened;

        memset(&wire, 0, sizeof(wire));
        if (!fixture || alert_folder_setup(&opened) < 0)
                return -1;
        folder = opened;
        fixture->alerts = *folder;
        free(folder);
        fixture->server = loopback_server_new(answer);
        (void) setenv("TEST_RECEIVER_URL", loopback_url(fixture->server, "/hook"), 1);
        fixture->conf = (ReceiverConf) {
                .name = (char *) "hook",
                .kind = RECEIVER_WEBHOOK,
                .url = (char *) "env:TEST_RECEIVER_URL",
                .timeout = 5 * USEC_PER_SEC,
        };
        fixture->items[0] = &fixture->conf;
        fixture->settings.common.receivers = (ConfGroups) { .items = fixture->items, .count = 1 };
        fixture->limits = (OutboxLimits) { 5 * USEC_PER_MSEC, 20 * USEC_PER_MSEC, USEC_PER_DAY };
        if (sd_event_new(&fixture->event) < 0)
                return -1;
        start_outbox(fixture);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        Fixture *fixture = *state;

        stop_outbox(fixture);
        (void) receivers_free(fixture->receivers);
        (void) sd_event_unref(fixture->event);
        loopback_server_free(fixture->server);
        (void) alert_store_free(fixture->alerts.store);
        (void) nftw(fixture->alerts.path, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(fixture);
        return 0;
}

#define RUN_UNTIL(fixture, condition) ({ \
        usec_t _deadline = time_now_monotonic() + PATIENCE_USEC; \
        while (!(condition)) { \
                assert_true(time_now_monotonic() < _deadline); \
                assert_true(sd_event_run((fixture)->event, 100 * USEC_PER_MSEC) >= 0); \
        } \
})

/* To be told to the receiver, queued `age` ago. */
static Alert *queue(Fixture *fixture, const char *summary, usec_t age) {
        return add_alert(&fixture->alerts, summary, "hook", time_now_realtime() - age);
}

/* What the file says. */
static DeliveryState recorded(Fixture *fixture, const Alert *alert) {
        _cleanup_(alert_store_freep) AlertStore *store = NULL;

        assert_int_equal(alert_store_new(&store, fixture->alerts.path), 0);
        return alert_store_find(store, alert->id)->deliveries[0].state;
}

/* ---------------------------------------------------------------- sending */

static void test_the_oldest_goes_first_and_each_once(void **state) {
        Fixture *fixture = *state;
        Alert *second = queue(fixture, "second", USEC_PER_SEC), *first = queue(fixture, "first", 2 * USEC_PER_SEC);

        configure(fixture);
        assert_true(fixture->busy);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(fixture->tries, 2);
        assert_string_equal(wire.summaries[0], "first");
        assert_string_equal(wire.summaries[1], "second");
        assert_int_equal(recorded(fixture, first), DELIVERY_SENT);
        assert_int_equal(recorded(fixture, second), DELIVERY_SENT);
}

static void test_the_same_notice_has_the_same_key(void **state) {
        Fixture *fixture = *state;
        const Alert *alert = queue(fixture, "x", 0);
        _cleanup_free_ char *key = text_format("%s-hook-firing", alert->id);

        wire.status[0] = 500;
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_string_equal(wire.keys[0], key);
        assert_string_equal(wire.keys[1], key);
}

static void test_what_is_over_is_told_after_that_it_fires(void **state) {
        Fixture *fixture = *state;
        Alert *alert = queue(fixture, "x", 0);

        alert_resolve(alert, time_now_realtime());
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(fixture->tries, 2);
        assert_non_null(strstr(wire.keys[0], "-firing"));
        assert_non_null(strstr(wire.keys[1], "-resolved"));
}

static void test_who_was_not_told_does_not_hear_that_it_is_over(void **state) {
        Fixture *fixture = *state;
        Alert *alert = queue(fixture, "x", 0);

        wire.status[0] = 404;
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        alert_resolve(alert, time_now_realtime());
        outbox_look(fixture->outbox);
        assert_false(fixture->busy);
        assert_int_equal(fixture->tries, 1);
}

/* ---------------------------------------------------------------- failures */

static void assert_retried(Fixture *fixture, int status) {
        const Alert *alert = queue(fixture, "x", 0);

        wire.status[0] = wire.status[1] = status;
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(fixture->tries, 3);
        assert_int_equal(alert->deliveries[0].attempts, 3);
        assert_int_equal(alert->deliveries[0].state, DELIVERY_SENT);
        assert_null(alert->deliveries[0].error);
}

static void test_a_server_error_is_tried_again(void **state) {
        assert_retried(*state, 500);
}

static void test_too_many_requests_are_tried_again(void **state) {
        assert_retried(*state, 429);
}

static void test_a_timeout_is_tried_again(void **state) {
        assert_retried(*state, 408);
}

static void test_a_lost_connection_is_tried_again(void **state) {
        assert_retried(*state, -1);
}

static void assert_pause(int64_t failures, usec_t pause) {
        for (size_t i = 0; i < 100; i++)
                assert_in_range(backoff_pause(USEC_PER_SEC, 5 * USEC_PER_MINUTE, failures), pause / 2, pause);
}

static void test_pauses_double_up_to_the_longest(_unused_ void **state) {
        assert_pause(1, USEC_PER_SEC);
        assert_pause(2, 2 * USEC_PER_SEC);
        assert_pause(5, 16 * USEC_PER_SEC);
        assert_pause(9, 256 * USEC_PER_SEC);
        assert_pause(10, 5 * USEC_PER_MINUTE);
        assert_pause(INT64_MAX, 5 * USEC_PER_MINUTE);
}

static void test_a_refusal_is_final_and_says_why(void **state) {
        Fixture *fixture = *state;
        const Alert *refused = queue(fixture, "refused", 2), *next = queue(fixture, "next", 1);
        size_t pending, failed;

        wire.status[0] = 404;
        wire.body = "no_service";
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(refused->deliveries[0].state, DELIVERY_FAILED);
        assert_string_equal(refused->deliveries[0].error, "HTTP 404: no_service");
        assert_int_equal(recorded(fixture, refused), DELIVERY_FAILED);
        assert_int_equal(next->deliveries[0].state, DELIVERY_SENT);
        outbox_count(fixture->outbox, &pending, &failed);
        assert_int_equal(pending, 0);
        assert_int_equal(failed, 1);
}

static void test_it_is_given_up_after_its_time_but_not_untried(void **state) {
        Fixture *fixture = *state;
        const Alert *late = queue(fixture, "late", 2 * USEC_PER_DAY);

        wire.status[0] = 503;
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(fixture->tries, 1);
        assert_int_equal(atomic_load(&fixture->server->requests), 1);
        assert_int_equal(late->deliveries[0].state, DELIVERY_FAILED);
}

static usec_t usec_between(unsigned a, unsigned b) {
        const struct timespec *from = &wire.at[a], *to = &wire.at[b];

        return (usec_t) ((to->tv_sec - from->tv_sec) * 1000000 + (to->tv_nsec - from->tv_nsec) / 1000);
}

static void test_retry_after_is_kept_to(void **state) {
        Fixture *fixture = *state;

        (void) queue(fixture, "x", 0);
        wire.status[0] = 429;
        wire.headers = "Retry-After: 1\r\n";
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(fixture->tries, 2);
        assert_true(usec_between(0, 1) >= USEC_PER_SEC - 10 * USEC_PER_MSEC);
}

/* What its receiver chokes on yields to the others in the end. */
static void test_one_that_always_fails_does_not_hold_up_the_rest(void **state) {
        Fixture *fixture = *state;
        const Alert *poison = queue(fixture, "poison", 2 * USEC_PER_SEC), *next = queue(fixture, "next", USEC_PER_SEC);

        for (size_t i = 0; i < REQUESTS_MAX; i++)
                wire.status[i] = i == 8 ? 200 : 500;
        configure(fixture);
        RUN_UNTIL(fixture, next->deliveries[0].state == DELIVERY_SENT);
        assert_int_equal(poison->deliveries[0].state, DELIVERY_PENDING);
        assert_int_equal(poison->deliveries[0].attempts, 8);
}

static void test_slack_is_told_once_a_second(void **state) {
        Fixture *fixture = *state;

        fixture->conf.kind = RECEIVER_SLACK;
        (void) queue(fixture, "first", 2);
        (void) queue(fixture, "second", 1);
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(fixture->tries, 2);
        assert_true(usec_between(0, 1) >= USEC_PER_SEC - 50 * USEC_PER_MSEC);
}

/* ---------------------------------------------------------------- lives */

static void test_a_restart_goes_on_with_what_is_pending(void **state) {
        Fixture *fixture = *state;

        wire.status[0] = 500;
        fixture->limits.retry_min = fixture->limits.retry_max = USEC_PER_HOUR;
        (void) queue(fixture, "x", 0);
        configure(fixture);
        RUN_UNTIL(fixture, fixture->tries == 1);
        stop_outbox(fixture);

        /* The pause is kept across the restart, and ended by a change of the configuration. */
        alert_folder_reopen(&fixture->alerts);
        start_outbox(fixture);
        configure(fixture);
        assert_true(fixture->busy);
        assert_true(sd_event_run(fixture->event, 0) >= 0);
        assert_int_equal(atomic_load(&fixture->server->requests), 1);
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(fixture->tries, 2);
}

static void test_quiescing_waits_for_answers_and_not_for_pauses(void **state) {
        Fixture *fixture = *state;

        wire.status[0] = 500;
        fixture->limits.retry_min = fixture->limits.retry_max = USEC_PER_HOUR;
        (void) queue(fixture, "x", 0);
        configure(fixture);
        outbox_quiesce(fixture->outbox);
        assert_true(fixture->busy);
        RUN_UNTIL(fixture, fixture->tries == 1);
        assert_false(fixture->busy);
}

static void test_a_receiver_without_url_keeps_nobody_waiting(void **state) {
        Fixture *fixture = *state;
        size_t pending, failed;

        fixture->conf.url = (char *) "env:TEST_NO_SUCH_URL";
        (void) queue(fixture, "x", 0);
        configure(fixture);
        assert_false(fixture->busy);
        outbox_count(fixture->outbox, &pending, &failed);
        assert_int_equal(pending, 1);

        fixture->conf.url = (char *) "env:TEST_RECEIVER_URL";
        configure(fixture);
        RUN_UNTIL(fixture, fixture->tries == 1 && !fixture->busy);
        assert_int_equal(fixture->last, ATTEMPT_SENT);
}

/* Nor does it wait for ever. */
static void test_a_receiver_that_stays_away_is_given_up(void **state) {
        Fixture *fixture = *state;
        const Alert *late = queue(fixture, "late", 2 * USEC_PER_DAY), *fresh = queue(fixture, "fresh", 0);
        size_t pending, failed;

        fixture->conf.url = (char *) "env:TEST_NO_SUCH_URL";
        configure(fixture);
        assert_int_equal(recorded(fixture, late), DELIVERY_FAILED);
        assert_int_equal(recorded(fixture, fresh), DELIVERY_PENDING);
        assert_non_null(late->deliveries[0].error);
        assert_int_equal(fixture->tries, 1);
        assert_int_equal(fixture->last, ATTEMPT_REFUSED);
        assert_int_equal(atomic_load(&fixture->server->requests), 0);
        outbox_count(fixture->outbox, &pending, &failed);
        assert_int_equal(pending, 1);
        assert_int_equal(failed, 1);
}

static void test_what_cannot_be_recorded_is_said(void **state) {
        Fixture *fixture = *state;
        const Alert *alert = queue(fixture, "x", 0);
        _cleanup_free_ char *path = alert_path(&fixture->alerts, alert->id);

        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        configure(fixture);
        RUN_UNTIL(fixture, !fixture->busy);
        assert_int_equal(fixture->unrecorded, 1);
        assert_int_equal(fixture->tries, 1);
}

#define OUTBOX_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                OUTBOX_TEST(test_the_oldest_goes_first_and_each_once),
                OUTBOX_TEST(test_the_same_notice_has_the_same_key),
                OUTBOX_TEST(test_what_is_over_is_told_after_that_it_fires),
                OUTBOX_TEST(test_who_was_not_told_does_not_hear_that_it_is_over),
                OUTBOX_TEST(test_a_server_error_is_tried_again),
                OUTBOX_TEST(test_too_many_requests_are_tried_again),
                OUTBOX_TEST(test_a_timeout_is_tried_again),
                OUTBOX_TEST(test_a_lost_connection_is_tried_again),
                cmocka_unit_test(test_pauses_double_up_to_the_longest),
                OUTBOX_TEST(test_a_refusal_is_final_and_says_why),
                OUTBOX_TEST(test_it_is_given_up_after_its_time_but_not_untried),
                OUTBOX_TEST(test_retry_after_is_kept_to),
                OUTBOX_TEST(test_one_that_always_fails_does_not_hold_up_the_rest),
                OUTBOX_TEST(test_slack_is_told_once_a_second),
                OUTBOX_TEST(test_a_restart_goes_on_with_what_is_pending),
                OUTBOX_TEST(test_quiescing_waits_for_answers_and_not_for_pauses),
                OUTBOX_TEST(test_a_receiver_without_url_keeps_nobody_waiting),
                OUTBOX_TEST(test_a_receiver_that_stays_away_is_given_up),
                OUTBOX_TEST(test_what_cannot_be_recorded_is_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
