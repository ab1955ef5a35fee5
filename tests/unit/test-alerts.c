/* What happens to an alert that is fired: one of its own, or folded into one that is there. */
#include "alerter-fixture.h"

#include "alerts.h"

typedef struct Fixture {
        AlertFolder alerts;
        sd_event *event;
        Settings settings;
        AlerterManager manager;
} Fixture;

static const MetricFamily families[] = {
        [METRIC_ALERTS_FIRED] = { .name = "fired", .help = "x", .type = METRIC_COUNTER, .labels = { "severity" } },
        {},
};

static const OutboxHooks no_hooks;

/* There is no worker here to be told. */
static void nobody_cares(_unused_ bool busy, _unused_ void *userdata) {
}

static int setup(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));
        AlerterManager *manager = &fixture->manager;
        AlertFolder *folder;
        void *opened;

        if (!fixture || alert_folder_setup(&opened) < 0)
                return -1;
        folder = opened;
        fixture->alerts = *folder;
        free(folder);
        manager->store = fixture->alerts.store;
        assert_int_equal(sd_event_new(&fixture->event), 0);
        assert_int_equal(metrics_new(&manager->metrics, families, NULL), 0);
        assert_int_equal(http_client_new(&manager->http, fixture->event, 1), 0);
        assert_int_equal(receivers_new(&manager->receivers, &fixture->settings), 0);
        assert_int_equal(outbox_new(&manager->outbox, fixture->event, manager->http, manager->store, &no_hooks, NULL),
                         0);
        assert_int_equal(varlink_messenger_new(&manager->messenger, fixture->event, nobody_cares, NULL), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        Fixture *fixture = *state;

        (void) varlink_messenger_free(fixture->manager.messenger);
        (void) outbox_free(fixture->manager.outbox);
        (void) http_client_free(fixture->manager.http);
        (void) receivers_free(fixture->manager.receivers);
        (void) metrics_free(fixture->manager.metrics);
        (void) sd_event_unref(fixture->event);
        (void) alert_store_free(fixture->alerts.store);
        (void) nftw(fixture->alerts.path, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(fixture);
        return 0;
}

static Alert *fire(Fixture *fixture, const char *key, const char *source, AlertSeverity severity) {
        AlertInput input = { .key = key, .name = "disk", .source = source, .summary = "x", .severity = severity };
        const char *field;
        Alert *alert;

        assert_int_equal(alerts_fire(&fixture->manager, &input, &alert, &field), 0);
        return alert;
}

/* As many as are told one by one. */
static Alert *fire_most(Fixture *fixture, const char *source, AlertSeverity severity) {
        Alert *alert = NULL;

        for (size_t i = 0; i < ALERTS_PER_SOURCE_MAX; i++)
                alert = fire(fixture, NULL, source, severity);
        assert_int_equal(alert->count, 1);
        return alert;
}

/* What the file says. */
static int64_t recorded_count(const Fixture *fixture, const Alert *alert) {
        _cleanup_(alert_store_freep) AlertStore *store = NULL;

        assert_int_equal(alert_store_new(&store, fixture->alerts.path), 0);
        return alert_store_find(store, alert->id)->count;
}

/* ---------------------------------------------------------------- keys */

static void test_the_same_key_is_the_same_alert(void **state) {
        const Alert *alert = fire(*state, "k", "host", SEVERITY_INFO);

        assert_ptr_equal(fire(*state, "k", "host", SEVERITY_INFO), alert);
        assert_ptr_not_equal(fire(*state, "other", "host", SEVERITY_INFO), alert);
        assert_int_equal(alert->count, 2);
        assert_int_equal(recorded_count(*state, alert), 2);
}

static void test_what_is_worse_is_not_the_same_by_its_key(void **state) {
        Alert *mild = fire(*state, "k", "host", SEVERITY_INFO);
        const Alert *worse = fire(*state, "k", "host", SEVERITY_CRITICAL);

        assert_ptr_not_equal(worse, mild);
        assert_int_equal(worse->severity, SEVERITY_CRITICAL);
        assert_int_equal(mild->count, 1);
        assert_ptr_equal(fire(*state, "k", "host", SEVERITY_CRITICAL), worse);
}

static void test_what_is_milder_by_now_is_the_same_by_its_key(void **state) {
        const Alert *worse = fire(*state, "k", "host", SEVERITY_CRITICAL);

        assert_ptr_equal(fire(*state, "k", "host", SEVERITY_WARNING), worse);
        assert_int_equal(worse->severity, SEVERITY_CRITICAL);
        assert_int_equal(worse->count, 2);
}

/* The key is compared as it is kept. */
static void test_a_key_with_control_characters_is_the_same_too(void **state) {
        const Alert *alert = fire(*state, "k\t1", "host", SEVERITY_INFO);

        assert_ptr_equal(fire(*state, "k\t1", "host", SEVERITY_INFO), alert);
}

static void test_what_is_over_may_fire_anew(void **state) {
        Fixture *fixture = *state;
        Alert *alert = fire(fixture, "k", "host", SEVERITY_INFO);

        assert_int_equal(alerts_resolve(&fixture->manager, alert), 0);
        assert_ptr_not_equal(fire(fixture, "k", "host", SEVERITY_INFO), alert);
}

/* ---------------------------------------------------------------- storms */

static void test_a_storm_is_folded_into_the_last(void **state) {
        Fixture *fixture = *state;
        const Alert *last = fire_most(fixture, "host", SEVERITY_WARNING);

        assert_ptr_equal(fire(fixture, "further", "host", SEVERITY_WARNING), last);
        assert_int_equal(recorded_count(fixture, last), 2);
        assert_int_equal(fire(fixture, NULL, "another", SEVERITY_WARNING)->count, 1);
}

static void test_a_storm_of_odd_names_is_folded(void **state) {
        const Alert *last = fire_most(*state, "ho\tst", SEVERITY_WARNING);

        assert_ptr_equal(fire(*state, NULL, "ho\tst", SEVERITY_WARNING), last);
}

/* Who hears of what is critical alone was not told of the others. */
static void test_what_is_worse_is_not_folded_into_what_is_not(void **state) {
        const Alert *mild = fire_most(*state, "host", SEVERITY_WARNING);

        assert_ptr_not_equal(fire(*state, NULL, "host", SEVERITY_CRITICAL), mild);
        assert_int_equal(mild->count, 1);
}

static void date_all(const Fixture *fixture, usec_t time) {
        Alert *alert;

        for (size_t i = 0; (alert = alert_store_at(fixture->alerts.store, i)); i++)
                alert->fired_at = time;
}

static void test_a_storm_is_over_after_its_window(void **state) {
        Fixture *fixture = *state;
        const Alert *last = fire_most(fixture, "host", SEVERITY_WARNING);

        date_all(fixture, time_now_realtime() - ALERTS_WINDOW_USEC);
        assert_ptr_not_equal(fire(fixture, NULL, "host", SEVERITY_WARNING), last);
}

/* Or else nobody would be told until the clock has caught up. */
static void test_a_clock_that_was_set_back_is_no_storm(void **state) {
        Fixture *fixture = *state;
        const Alert *last = fire_most(fixture, "host", SEVERITY_WARNING);

        date_all(fixture, time_now_realtime() + USEC_PER_DAY);
        assert_ptr_not_equal(fire(fixture, NULL, "host", SEVERITY_WARNING), last);
}

/* ---------------------------------------------------------------- refusals */

static void test_what_makes_no_sense_is_refused(void **state) {
        Fixture *fixture = *state;
        AlertInput input = { .name = "disk", .source = "", .summary = "x" };
        const char *field = NULL;
        Alert *alert;

        assert_int_equal(alerts_fire(&fixture->manager, &input, &alert, &field), ALERTS_BAD_FIELD);
        assert_string_equal(field, "source");
        assert_int_equal(alert_store_count(fixture->alerts.store), 0);
}

#define ALERTS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                ALERTS_TEST(test_the_same_key_is_the_same_alert),
                ALERTS_TEST(test_what_is_worse_is_not_the_same_by_its_key),
                ALERTS_TEST(test_what_is_milder_by_now_is_the_same_by_its_key),
                ALERTS_TEST(test_a_key_with_control_characters_is_the_same_too),
                ALERTS_TEST(test_what_is_over_may_fire_anew),
                ALERTS_TEST(test_a_storm_is_folded_into_the_last),
                ALERTS_TEST(test_a_storm_of_odd_names_is_folded),
                ALERTS_TEST(test_what_is_worse_is_not_folded_into_what_is_not),
                ALERTS_TEST(test_a_storm_is_over_after_its_window),
                ALERTS_TEST(test_a_clock_that_was_set_back_is_no_storm),
                ALERTS_TEST(test_what_makes_no_sense_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
