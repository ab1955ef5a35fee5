/* The worker's part of /metrics while it sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/text.h"
#include "worker-metrics.h"

#define TEXT "# TYPE genai_active_generations gauge\ngenai_active_generations 3\ngenai_jobs_total 7\n"

static void test_sleeping_worker_has_nothing_active(void **state) {
        _cleanup_(worker_metrics_freep) WorkerMetrics *metrics = NULL;
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_int_equal(worker_metrics_new(&metrics, NULL), 0);
        assert_int_equal(worker_metrics_update(metrics, TEXT), 0);
        assert_true(worker_metrics_active(metrics) == 3);
        assert_string_equal(worker_metrics_text(metrics), TEXT);

        assert_int_equal(worker_metrics_sleeping_text(metrics, 0, &text), 0);
        assert_string_equal(text,
                            "# TYPE genai_active_generations gauge\ngenai_active_generations 0\ngenai_jobs_total 7\n");
}

static void test_worker_that_was_never_seen_has_nothing_active(void **state) {
        _cleanup_(worker_metrics_freep) WorkerMetrics *metrics = NULL;
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_int_equal(worker_metrics_new(&metrics, NULL), 0);
        assert_int_equal(worker_metrics_sleeping_text(metrics, 0, &text), 0);
        assert_non_null(strstr(text, "\ngenai_active_generations 0\n"));
        assert_true(worker_metrics_active(metrics) == 0);
}

static void test_text_outlives_us(void **state) {
        _cleanup_(worker_metrics_freep) WorkerMetrics *metrics = NULL;
        char folder[] = "/tmp/atelier-test-worker-metrics-XXXXXX";
        _cleanup_free_ char *file = NULL;

        (void) state;
        assert_non_null(mkdtemp(folder));
        file = text_format("%s/worker-metrics", folder);
        assert_int_equal(worker_metrics_new(&metrics, folder), 0);
        assert_int_equal(worker_metrics_update(metrics, TEXT), 0);
        metrics = worker_metrics_free(metrics);

        assert_int_equal(worker_metrics_new(&metrics, folder), 0);
        assert_string_equal(worker_metrics_text(metrics), TEXT);
        assert_int_equal(unlink(file), 0);
        assert_int_equal(rmdir(folder), 0);
}

static void test_sibling_of_our_unit_is_found(void **state) {
        char path[256];

        (void) state;
        assert_true(
                worker_metrics_sibling("0::/atelier.slice/atelier-api.service\n", "w.service", path, sizeof(path)));
        assert_string_equal(path, "/sys/fs/cgroup/atelier.slice/w.service/cgroup.events");
        assert_true(worker_metrics_sibling("1:cpu:/x\n0::/atelier-api.service\n", "w.service", path, sizeof(path)));
        assert_string_equal(path, "/sys/fs/cgroup/w.service/cgroup.events");
}

static void test_outside_of_our_unit_there_is_no_sibling(void **state) {
        char path[256];

        (void) state;
        assert_false(worker_metrics_sibling("", "w.service", path, sizeof(path)));
        assert_false(worker_metrics_sibling("0::/\n", "w.service", path, sizeof(path)));
        assert_false(worker_metrics_sibling("0::/user.slice/session.scope\n", "w.service", path, sizeof(path)));
        assert_false(worker_metrics_sibling("0::/atelier-api.service.d\n", "w.service", path, sizeof(path)));
        assert_false(worker_metrics_sibling("0::/a/atelier-api.service\n", "w.service", path, 20));
}

static void test_a_sleeping_worker_costs_nothing_on_a_new_day(void **state) {
        static const char text[] = "genai_api_cost_total_dollars{model=\"m\"} 4.1\n"
                                   "genai_budget_used_dollars{period=\"day\"} 5\n"
                                   "genai_budget_used_dollars{period=\"month\"} 9\n"
                                   "genai_budget_day_end_timestamp_seconds 1000\n";
        _cleanup_(worker_metrics_freep) WorkerMetrics *metrics = NULL;
        _cleanup_free_ char *before = NULL, *after = NULL;

        (void) state;
        assert_int_equal(worker_metrics_new(&metrics, NULL), 0);
        assert_int_equal(worker_metrics_update(metrics, text), 0);
        assert_int_equal(worker_metrics_sleeping_text(metrics, 1000 * USEC_PER_SEC - 1, &before), 0);
        assert_string_equal(before, text);
        assert_int_equal(worker_metrics_sleeping_text(metrics, 1000 * USEC_PER_SEC, &after), 0);
        assert_string_equal(after, "genai_api_cost_total_dollars{model=\"m\"} 0\n"
                                   "genai_budget_used_dollars{period=\"day\"} 0\n"
                                   "genai_budget_used_dollars{period=\"month\"} 9\n"
                                   "genai_budget_day_end_timestamp_seconds 1000\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sleeping_worker_has_nothing_active),
                cmocka_unit_test(test_a_sleeping_worker_costs_nothing_on_a_new_day),
                cmocka_unit_test(test_worker_that_was_never_seen_has_nothing_active),
                cmocka_unit_test(test_text_outlives_us),
                cmocka_unit_test(test_sibling_of_our_unit_is_found),
                cmocka_unit_test(test_outside_of_our_unit_there_is_no_sibling),
        };

        return cmocka_run_group_tests_name("api-worker-metrics", tests, NULL, NULL);
}
