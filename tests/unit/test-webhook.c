/* The generic webhook's document. */
#include "alerter-fixture.h"

#include "notifier.h"

#define NOW (1795399608 * USEC_PER_SEC)

static char *format(const Alert *alert, AlertState state, bool test) {
        Notice notice = { .alert = alert, .state = state, .receiver = "pager", .test = test };
        _cleanup_(buffer_done) Buffer text = {};
        char *body;

        assert_int_equal(webhook_notifier.format(&notice, &text), 0);
        body = buffer_take_text(&text);
        assert_non_null(body);
        return body;
}

static void test_a_firing_alert(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = make_alert("it failed", NOW);
        _cleanup_free_ char *body = NULL, *expected = NULL;
        Delivery *delivery;

        /* Whom else is told is nobody's business. */
        assert_int_equal(alert_add_delivery(alert, "slack", NOW, &delivery), 0);
        body = format(alert, ALERT_FIRING, false);
        expected = text_format(
                "{\"version\":1,\"receiver\":\"pager\",\"status\":\"firing\",\"alert\":{\"id\":\"%s\","
                "\"name\":\"UnitFailed\",\"severity\":\"critical\",\"state\":\"firing\","
                "\"source\":\"atelier-worker.service\",\"summary\":\"it failed\",\"result\":\"watchdog\","
                "\"lines\":[\"one <line> & `more`\"],\"count\":1,\"fired_at\":\"2026-11-23T02:06:48Z\","
                "\"updated_at\":\"2026-11-23T02:06:48Z\"}}",
                alert->id);
        assert_string_equal(body, expected);
}

static void test_one_that_is_over(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = make_alert("it failed", NOW);
        _cleanup_free_ char *body = NULL;

        alert_resolve(alert, NOW + USEC_PER_SEC);
        body = format(alert, ALERT_RESOLVED, false);
        assert_non_null(strstr(body, "\"status\":\"resolved\""));
        assert_non_null(strstr(body, "\"resolved_at\":\"2026-11-23T02:06:49Z\""));
}

/* What is told is told, also when it is over by now. */
static void test_the_status_is_what_is_told(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = make_alert("it failed", NOW);
        _cleanup_free_ char *body = NULL;

        alert_resolve(alert, NOW);
        body = format(alert, ALERT_FIRING, false);
        assert_non_null(strstr(body, "\"status\":\"firing\""));
        assert_non_null(strstr(body, "\"state\":\"resolved\""));
}

static void test_a_test_says_so(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = make_alert("try", NOW);
        _cleanup_free_ char *body = format(alert, ALERT_FIRING, true);

        assert_non_null(strstr(body, "\"test\":true"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_firing_alert),
                cmocka_unit_test(test_one_that_is_over),
                cmocka_unit_test(test_the_status_is_what_is_told),
                cmocka_unit_test(test_a_test_says_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
