/* Metrics: values, text exposition, survival of a restart, bounds. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/text.h"
#include "io/metrics.h"

enum { REQUESTS, ACTIVE, DURATION, LOST };

static const double buckets[] = { 0.005, 1, 300, 0 };

static const MetricFamily families[] = {
        [REQUESTS] = { "t_requests_total", "Requests.", METRIC_COUNTER, { "endpoint", "status" }, NULL },
        [ACTIVE] = { "t_active", "At work \\ now\nor soon.", METRIC_GAUGE, {}, NULL },
        [DURATION] = { "t_duration_seconds", "Duration.", METRIC_HISTOGRAM, { "endpoint" }, buckets },
        [LOST] = { "t_lost_total", "Lost.", METRIC_COUNTER, { "why" }, NULL },
        {},
};

static Metrics *metrics_in_memory(void) {
        Metrics *metrics = NULL;

        assert_int_equal(metrics_new(&metrics, families, NULL), 0);
        return metrics;
}

static char *text_of(const Metrics *metrics) {
        _cleanup_(buffer_done) Buffer buffer = {};
        char *text;

        assert_int_equal(metrics_format(metrics, &buffer), 0);
        text = buffer_take_text(&buffer);
        assert_non_null(text);
        return text;
}

static void assert_line(const Metrics *metrics, const char *line) {
        _cleanup_free_ char *text = text_of(metrics);
        _cleanup_free_ char *whole = text_format("\n%s\n", line);

        if (!strstr(text, whole))
                fail_msg("'%s' is not in:\n%s", line, text);
}

static void test_counter_adds_per_label_set(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_in_memory();

        (void) state;
        metrics_add(metrics, REQUESTS, METRIC_VALUES("/a", "200"), 1);
        metrics_add(metrics, REQUESTS, METRIC_VALUES("/a", "200"), 2);
        metrics_add(metrics, REQUESTS, METRIC_VALUES("/a", "404"), 1);

        assert_line(metrics, "t_requests_total{endpoint=\"/a\",status=\"200\"} 3");
        assert_line(metrics, "t_requests_total{endpoint=\"/a\",status=\"404\"} 1");
        assert_true(metrics_get(metrics, REQUESTS, METRIC_VALUES("/a", "500")) == 0);
}

static void test_labels_do_not_run_together(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_in_memory();

        (void) state;
        metrics_add(metrics, REQUESTS, METRIC_VALUES("ab", "c"), 1);
        metrics_add(metrics, REQUESTS, METRIC_VALUES("a", "bc"), 5);

        assert_true(metrics_get(metrics, REQUESTS, METRIC_VALUES("ab", "c")) == 1);
        assert_true(metrics_get(metrics, REQUESTS, METRIC_VALUES("a", "bc")) == 5);
}

static void test_gauge_is_set_and_shown_before_its_first_value(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_in_memory();

        (void) state;
        assert_line(metrics, "t_active 0");
        metrics_set(metrics, ACTIVE, NULL, 7);
        metrics_add(metrics, ACTIVE, NULL, -2.5);
        assert_line(metrics, "t_active 4.5");
}

static void test_histogram_is_cumulative_with_float_bounds(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_in_memory();

        (void) state;
        metrics_observe(metrics, DURATION, METRIC_VALUES("/a"), 0.005); /* a bound belongs to its bucket */
        metrics_observe(metrics, DURATION, METRIC_VALUES("/a"), 0.5);
        metrics_observe(metrics, DURATION, METRIC_VALUES("/a"), 1000);

        assert_line(metrics, "t_duration_seconds_bucket{endpoint=\"/a\",le=\"0.005\"} 1");
        assert_line(metrics, "t_duration_seconds_bucket{endpoint=\"/a\",le=\"1.0\"} 2");
        assert_line(metrics, "t_duration_seconds_bucket{endpoint=\"/a\",le=\"300.0\"} 2");
        assert_line(metrics, "t_duration_seconds_bucket{endpoint=\"/a\",le=\"+Inf\"} 3");
        assert_line(metrics, "t_duration_seconds_sum{endpoint=\"/a\"} 1000.505");
        assert_line(metrics, "t_duration_seconds_count{endpoint=\"/a\"} 3");
}

static void test_text_is_escaped(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_in_memory();

        (void) state;
        metrics_add(metrics, LOST, METRIC_VALUES("a\"b\\c\nd"), 1);
        assert_line(metrics, "t_lost_total{why=\"a\\\"b\\\\c\\nd\"} 1");
        assert_line(metrics, "# HELP t_active At work \\\\ now\\nor soon.");
}

static void test_too_many_series_are_counted_as_other(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_in_memory();
        double total = 0;
        char value[16];

        (void) state;
        for (int i = 0; i < METRICS_SERIES_MAX + 10; i++) {
                (void) snprintf(value, sizeof(value), "%d", i);
                metrics_add(metrics, LOST, METRIC_VALUES(value), 1);
        }
        metrics_observe(metrics, DURATION, METRIC_VALUES("late"), 1); /* each family still has its "other" */

        for (int i = 0; i < METRICS_SERIES_MAX + 10; i++) {
                (void) snprintf(value, sizeof(value), "%d", i);
                total += metrics_get(metrics, LOST, METRIC_VALUES(value));
        }
        assert_true(metrics_get(metrics, LOST, METRIC_VALUES("other")) >= 10);
        assert_true(total + metrics_get(metrics, LOST, METRIC_VALUES("other")) == METRICS_SERIES_MAX + 10);
        assert_true(metrics_get(metrics, DURATION, METRIC_VALUES("other")) == 1);
}

static void test_long_and_undecodable_labels_are_counted_as_other(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_in_memory();
        char fits[METRICS_LABEL_BYTES_MAX], too_long[METRICS_LABEL_BYTES_MAX];

        (void) state;
        memset(fits, 'x', sizeof(fits));
        fits[METRICS_LABEL_BYTES_MAX - strlen("why") - 1] = '\0';
        memset(too_long, 'x', sizeof(too_long));
        too_long[METRICS_LABEL_BYTES_MAX - strlen("why")] = '\0';

        metrics_add(metrics, LOST, METRIC_VALUES(fits), 1);
        assert_true(metrics_get(metrics, LOST, METRIC_VALUES("other")) == 0);
        metrics_add(metrics, LOST, METRIC_VALUES(too_long), 1);
        metrics_add(metrics, LOST, METRIC_VALUES("\xff"), 1);
        assert_true(metrics_get(metrics, LOST, METRIC_VALUES("other")) == 2);
}

typedef struct Place {
        char folder[32];
        char path[48];
} Place;

static int place_make(void **state) {
        Place *place = calloc(1, sizeof(*place));

        (void) strcpy(place->folder, "/tmp/test-metrics-XXXXXX");
        assert_non_null(mkdtemp(place->folder));
        (void) snprintf(place->path, sizeof(place->path), "%s/metrics", place->folder);
        *state = place;
        return 0;
}

static int place_remove(void **state) {
        Place *place = *state;

        (void) unlink(place->path);
        (void) rmdir(place->folder);
        free(place);
        return 0;
}

static Metrics *metrics_at(const Place *place) {
        Metrics *metrics = NULL;

        assert_int_equal(metrics_new(&metrics, families, place->path), 0);
        return metrics;
}

static void test_values_survive_reopening(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_at(*state);

        metrics_add(metrics, REQUESTS, METRIC_VALUES("/a", "200"), 3);
        metrics_observe(metrics, DURATION, METRIC_VALUES("/a"), 0.5);
        metrics = metrics_free(metrics);

        metrics = metrics_at(*state);
        metrics_add(metrics, REQUESTS, METRIC_VALUES("/a", "200"), 1);
        assert_line(metrics, "t_requests_total{endpoint=\"/a\",status=\"200\"} 4");
        assert_line(metrics, "t_duration_seconds_count{endpoint=\"/a\"} 1");
}

static void test_values_survive_a_kill(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = NULL;
        int status;
        pid_t pid;

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                Metrics *child = NULL;

                if (metrics_new(&child, families, ((Place *) *state)->path) < 0)
                        _exit(1);
                metrics_add(child, REQUESTS, METRIC_VALUES("/a", "200"), 5);
                (void) raise(SIGKILL);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

        metrics = metrics_at(*state);
        assert_true(metrics_get(metrics, REQUESTS, METRIC_VALUES("/a", "200")) == 5);
}

static void test_other_families_begin_afresh(void **state) {
        static const MetricFamily changed[] = {
                { "t_requests_total", "Requests.", METRIC_COUNTER, { "endpoint", "code" }, NULL },
                {},
        };
        _cleanup_(metrics_freep) Metrics *metrics = metrics_at(*state);
        Place *place = *state;

        metrics_add(metrics, REQUESTS, METRIC_VALUES("/a", "200"), 3);
        metrics = metrics_free(metrics);

        assert_int_equal(metrics_new(&metrics, changed, place->path), 0);
        assert_true(metrics_get(metrics, 0, METRIC_VALUES("/a", "200")) == 0);
}

static void test_damaged_file_begins_afresh(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_at(*state);
        Place *place = *state;
        _cleanup_close_ int fd = -1;
        uint32_t family = 99;

        metrics_add(metrics, REQUESTS, METRIC_VALUES("/a", "200"), 3);
        metrics = metrics_free(metrics);
        fd = open(place->path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, &family, sizeof(family), 32), sizeof(family)); /* of the first slot */

        metrics = metrics_at(place);
        assert_true(metrics_get(metrics, REQUESTS, METRIC_VALUES("/a", "200")) == 0);
        assert_line(metrics, "t_active 0");
}

static void test_cut_file_begins_afresh(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_at(*state);
        Place *place = *state;

        metrics_add(metrics, REQUESTS, METRIC_VALUES("/a", "200"), 3);
        metrics = metrics_free(metrics);
        assert_int_equal(truncate(place->path, 1000), 0);

        metrics = metrics_at(place);
        assert_true(metrics_get(metrics, REQUESTS, METRIC_VALUES("/a", "200")) == 0);
}

static void test_file_is_private(void **state) {
        _cleanup_(metrics_freep) Metrics *metrics = metrics_at(*state);
        Place *place = *state;
        struct stat st;

        assert_int_equal(stat(place->path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_link_is_not_followed(void **state) {
        Place *place = *state;
        Metrics *metrics = NULL;

        assert_int_equal(symlink("/tmp/test-metrics-elsewhere", place->path), 0);
        assert_int_equal(metrics_new(&metrics, families, place->path), -ELOOP);
        assert_int_equal(access("/tmp/test-metrics-elsewhere", F_OK), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counter_adds_per_label_set),
                cmocka_unit_test(test_labels_do_not_run_together),
                cmocka_unit_test(test_gauge_is_set_and_shown_before_its_first_value),
                cmocka_unit_test(test_histogram_is_cumulative_with_float_bounds),
                cmocka_unit_test(test_text_is_escaped),
                cmocka_unit_test(test_too_many_series_are_counted_as_other),
                cmocka_unit_test(test_long_and_undecodable_labels_are_counted_as_other),
                cmocka_unit_test_setup_teardown(test_values_survive_reopening, place_make, place_remove),
                cmocka_unit_test_setup_teardown(test_values_survive_a_kill, place_make, place_remove),
                cmocka_unit_test_setup_teardown(test_other_families_begin_afresh, place_make, place_remove),
                cmocka_unit_test_setup_teardown(test_damaged_file_begins_afresh, place_make, place_remove),
                cmocka_unit_test_setup_teardown(test_cut_file_begins_afresh, place_make, place_remove),
                cmocka_unit_test_setup_teardown(test_file_is_private, place_make, place_remove),
                cmocka_unit_test_setup_teardown(test_link_is_not_followed, place_make, place_remove),
        };

        return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
