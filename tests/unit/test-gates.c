/* Gates: what counts against a provider and what does not, and what a reload keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "conf-folder.h"
#include "dispatch/gates.h"

#define NOW (1000 * USEC_PER_SEC)

static const MetricFamily families[] = {
        { .name = "circuit", .help = "c", .type = METRIC_GAUGE, .labels = { "provider", "model" } },
        {},
};

typedef struct Fixture {
        ConfFolder *folder;
        Metrics *metrics;
        Gates *gates;
        Settings *settings;
} Fixture;

#define WORKER "worker = { breaker_failures = 2; };"
#define PROVIDERS \
        "providers = ( { name = \"a\"; kind = \"sandbox\"; images_per_minute = 3; }, { name = \"b\"; kind = \"sandbox\"; } );"
#define MODEL(name, provider) "{ name = \"" name "\"; provider = \"" provider "\"; sizes = [ \"auto\" ]; }"

static void configure(Fixture *fixture, const char *text) {
        char *none[] = { NULL };
        const ConfSources sources = { .folder = fixture->folder->path, .environment = none };
        _cleanup_(buffer_done) Buffer errors = {};

        folder_write(fixture->folder, "atelier.conf", text);
        fixture->settings = settings_free(fixture->settings);
        assert_int_equal(settings_load(&fixture->settings, &sources, &errors), 0);
        assert_int_equal(gates_configure(fixture->gates, fixture->settings), 0);
}

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));
        void *folder = NULL;

        assert_int_equal(folder_setup(&folder), 0);
        fixture->folder = folder;
        assert_int_equal(metrics_new(&fixture->metrics, families, NULL), 0);
        assert_int_equal(gates_new(&fixture->gates, fixture->metrics, 0), 0);
        configure(fixture, WORKER PROVIDERS "models = ( " MODEL("m", "a") ", " MODEL("n", "a") ", " MODEL("o", "b") " );");
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        void *folder = fixture->folder;

        fixture->gates = gates_free(fixture->gates);
        fixture->metrics = metrics_free(fixture->metrics);
        fixture->settings = settings_free(fixture->settings);
        (void) folder_teardown(&folder);
        free(fixture);
        return 0;
}

static double gauge(Fixture *fixture, const char *provider, const char *model) {
        return metrics_get(fixture->metrics, 0, METRIC_VALUES(provider, model));
}

static CircuitState state_after(Fixture *fixture, const GenerationResult *result) {
        Gate *gate = gates_find(fixture->gates, "o");

        configure(fixture, WORKER PROVIDERS "models = ( " MODEL("other", "b") " );");
        configure(fixture, WORKER PROVIDERS "models = ( " MODEL("o", "b") " );");
        gate = gates_find(fixture->gates, "o");
        for (unsigned i = 0; i < 2; i++)
                gate_end(gate, gate_begin(gate, 1, NOW), result, NOW);
        return gate_circuit(gate)->state;
}

static void test_what_counts_as_a_failure(void **state) {
        static const struct {
                GenerationResult result;
                CircuitState state;
        } cases[] = {
                { { .outcome = GENERATION_COMPLETED, .http_status = 200 }, CIRCUIT_CLOSED },
                { { .outcome = GENERATION_UNSENT }, CIRCUIT_OPEN },
                { { .outcome = GENERATION_UNKNOWN }, CIRCUIT_OPEN },
                { { .outcome = GENERATION_UNKNOWN, .http_status = 200 }, CIRCUIT_OPEN },  /* paid for, and of no use */
                { { .outcome = GENERATION_UNKNOWN, .http_status = 502 }, CIRCUIT_OPEN },
                { { .outcome = GENERATION_REFUSED, .http_status = 400 }, CIRCUIT_CLOSED },
                { { .outcome = GENERATION_REFUSED, .http_status = 401 }, CIRCUIT_CLOSED },
                { { .outcome = GENERATION_REFUSED, .http_status = 408 }, CIRCUIT_OPEN },
                { { .outcome = GENERATION_REFUSED, .http_status = 429 }, CIRCUIT_CLOSED },
                { { .outcome = GENERATION_REFUSED, .http_status = 499 }, CIRCUIT_CLOSED },
                { { .outcome = GENERATION_REFUSED, .http_status = 500 }, CIRCUIT_OPEN },
                { { .outcome = GENERATION_REFUSED, .http_status = 503 }, CIRCUIT_OPEN },
                /* Our own disk, or memory. */
                { { .outcome = GENERATION_UNKNOWN, .http_status = 200, .local = true }, CIRCUIT_CLOSED },
                { { .outcome = GENERATION_UNSENT, .local = true }, CIRCUIT_CLOSED },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                if (state_after(*state, &cases[i].result) != cases[i].state)
                        fail_msg("case %zu", i);
}

static void fail_twice(Gate *gate) {
        for (unsigned i = 0; i < 2; i++)
                gate_end(gate, gate_begin(gate, 1, NOW), &(GenerationResult) { .outcome = GENERATION_UNSENT }, NOW);
}

static void test_circuits_are_of_one_model(void **state) {
        Fixture *fixture = *state;

        fail_twice(gates_find(fixture->gates, "m"));
        assert_true(gate_wait(gates_find(fixture->gates, "m"), NOW) > NOW);
        assert_int_equal(gate_wait(gates_find(fixture->gates, "n"), NOW), 0);
        assert_true(gauge(fixture, "a", "m") == 2 && gauge(fixture, "a", "n") == 0);
        assert_null(gates_find(fixture->gates, "none"));
}

static void test_pace_is_of_all_models_of_a_provider(void **state) {
        Fixture *fixture = *state;
        Gate *m = gates_find(fixture->gates, "m"), *n = gates_find(fixture->gates, "n");

        (void) gate_begin(m, 2, NOW);
        assert_true(gate_is_paced(n));
        assert_false(gate_is_paced(gates_find(fixture->gates, "o")));
        assert_int_equal(gate_wait_for_images(n, 1, NOW), 0);
        assert_true(gate_wait_for_images(n, 2, NOW) > NOW);
        (void) gate_begin(n, 0, NOW);  /* not known: one */
        assert_true(gate_wait_for_images(m, 1, NOW) > NOW);
}

static void test_reload_keeps_what_is_known(void **state) {
        Fixture *fixture = *state;

        (void) gate_begin(gates_find(fixture->gates, "m"), 3, NOW);
        fail_twice(gates_find(fixture->gates, "n"));
        configure(fixture, WORKER PROVIDERS "models = ( " MODEL("p", "a") ", " MODEL("n", "a") " );");
        assert_true(gate_wait_for_images(gates_find(fixture->gates, "p"), 1, NOW) > NOW);
        assert_int_equal(gate_circuit(gates_find(fixture->gates, "n"))->state, CIRCUIT_OPEN);
        assert_int_equal(gate_wait(gates_find(fixture->gates, "n"), NOW), 0);  /* but it is tried at once */
}

static void test_model_that_moves_begins_anew(void **state) {
        Fixture *fixture = *state;

        fail_twice(gates_find(fixture->gates, "m"));
        configure(fixture, WORKER PROVIDERS "models = ( " MODEL("m", "b") " );");
        assert_int_equal(gate_circuit(gates_find(fixture->gates, "m"))->state, CIRCUIT_CLOSED);
        assert_true(gauge(fixture, "a", "m") == 0);
        assert_string_equal(gate_provider(gates_find(fixture->gates, "m")), "b");
}

/* The attempt is still under way when its model goes. */
static void test_gate_outlives_its_model(void **state) {
        Fixture *fixture = *state;
        Gate *gate = gate_ref(gates_find(fixture->gates, "m"));

        configure(fixture, WORKER PROVIDERS "models = ( " MODEL("n", "a") " );");
        fail_twice(gate);
        assert_true(gauge(fixture, "a", "m") == 0);
        (void) gate_unref(gate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(what_counts_as_a_failure),
                TEST(circuits_are_of_one_model),
                TEST(pace_is_of_all_models_of_a_provider),
                TEST(reload_keeps_what_is_known),
                TEST(model_that_moves_begins_anew),
                TEST(gate_outlives_its_model),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
