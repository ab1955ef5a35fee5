/* A sample of /metrics must not start a worker that has exited: systemd would start it for the connection alone. So
 * the kernel is asked first whether the control group of its unit, a sibling of ours, has a process. When it has,
 * the worker is asked and its text kept, in memory and in a file of ours; when it has none, the kept text is shown,
 * with the gauge of active generations at zero, which is then true by definition; so are the costs of the day, once
 * the day that they were of is over. */
#include "worker-metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_BYTES_MAX 4096
#define UNIT_OURS "atelier-api.service"
#define UNIT_WORKER "atelier-worker.service"
#define FILE_NAME "worker-metrics"
#define GAUGE_ACTIVE "genai_active_generations"
#define GAUGE_COST "genai_api_cost_total_dollars"
#define GAUGE_USED_TODAY "genai_budget_used_dollars{period=\"day\"}"
#define GAUGE_DAY_END "genai_budget_day_end_timestamp_seconds"

struct WorkerMetrics {
        int folder; /* of the file; -1: memory only */
        char *text;
};

int worker_metrics_new(WorkerMetrics **ret, const char *folder) {
        _cleanup_(worker_metrics_freep) WorkerMetrics *metrics = NULL;
        size_t size;

        metrics = calloc(1, sizeof(*metrics));
        if (!metrics)
                return -ENOMEM;
        metrics->folder = -1;
        if (folder) {
                metrics->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (metrics->folder < 0)
                        return -errno;
                (void) file_read(metrics->folder, FILE_NAME, WORKER_METRICS_BYTES_MAX, &metrics->text, &size);
        }

        *ret = TAKE_PTR(metrics);
        return 0;
}

WorkerMetrics *worker_metrics_free(WorkerMetrics *metrics) {
        if (!metrics)
                return NULL;

        (void) fd_close(metrics->folder);
        free(metrics->text);
        free(metrics);
        return NULL;
}

bool worker_metrics_sibling(const char *cgroup, const char *unit, char *path, size_t size) {
        const char *ours = strstr(cgroup, "0::/"), *name;
        size_t length;

        if (!ours)
                return false;
        ours += strlen("0::");
        length = strcspn(ours, "\n");
        name = memrchr(ours, '/', length);
        if (strncmp(name + 1, UNIT_OURS, strlen(UNIT_OURS)) != 0 || name + 1 + strlen(UNIT_OURS) != ours + length)
                return false;
        return snprintf(path, size, CGROUP_ROOT "%.*s/%s/cgroup.events", (int) (name - ours), ours, unit) < (int) size;
}

/* A file whose size is not known before it is read. */
static int read_kernel_file(const char *path, char text[static CGROUP_BYTES_MAX]) {
        _cleanup_close_ int fd = -1;
        ssize_t size;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        size = fd_read_all(fd, text, CGROUP_BYTES_MAX - 1);
        if (size < 0)
                return (int) size;
        text[size] = '\0';
        return 0;
}

bool worker_metrics_awake(void) {
        char text[CGROUP_BYTES_MAX], path[CGROUP_BYTES_MAX];

        if (read_kernel_file("/proc/self/cgroup", text) < 0 ||
            !worker_metrics_sibling(text, UNIT_WORKER, path, sizeof(path)))
                return true;
        if (read_kernel_file(path, text) < 0)
                return false; /* the unit has no group: it does not run */
        return strstr(text, "populated 1");
}

int worker_metrics_update(WorkerMetrics *metrics, const char *text) {
        char *copy = strdup(text);
        int r;

        if (!copy)
                return -ENOMEM;
        free(metrics->text);
        metrics->text = copy;

        if (metrics->folder < 0)
                return 0;
        r = file_replace(metrics->folder, FILE_NAME, copy, strlen(copy), 0600);
        if (r < 0)
                (void) log_debug_errno(r, "the worker's metrics can't be kept in " FILE_NAME);
        return 0;
}

const char *worker_metrics_text(const WorkerMetrics *metrics) {
        return metrics->text ?: "";
}

/* The value of the series, as it stands in the text; NULL where it has none. */
static const char *find_value(const char *text, const char *series) {
        for (const char *line = text; line; line = strchr(line, '\n')) {
                const char *rest;

                line += *line == '\n';
                rest = text_after(line, series);
                if (rest && *rest == ' ')
                        return rest + 1;
        }
        return NULL;
}

double worker_metrics_active(const WorkerMetrics *metrics) {
        const char *value = find_value(worker_metrics_text(metrics), GAUGE_ACTIVE);

        return value ? strtod(value, NULL) : 0;
}

/* What is zero as long as nothing is done: generations, and what the new day of budgets has cost. */
static bool line_is_zero(const char *line, bool day_over) {
        return text_after(line, GAUGE_ACTIVE " ") ||
               (day_over && (text_after(line, GAUGE_COST "{") || text_after(line, GAUGE_USED_TODAY " ")));
}

static int append_line(Buffer *buffer, const char *line, size_t length, bool zero) {
        const char *value = zero ? memrchr(line, ' ', length) : NULL;
        int r;

        r = buffer_append(buffer, line, value ? (size_t) (value - line) : length);
        return r < 0 || !value ? r : buffer_append_text(buffer, line[length - 1] == '\n' ? " 0\n" : " 0");
}

int worker_metrics_sleeping_text(const WorkerMetrics *metrics, usec_t now, char **ret) {
        static const char nothing[] = "# HELP " GAUGE_ACTIVE " Generations in progress.\n"
                                      "# TYPE " GAUGE_ACTIVE " gauge\n" GAUGE_ACTIVE " 0\n";
        const char *text = worker_metrics_text(metrics), *day_end = find_value(text, GAUGE_DAY_END);
        bool day_over = day_end && (double) now / (double) USEC_PER_SEC >= strtod(day_end, NULL);
        _cleanup_(buffer_done) Buffer buffer = {};
        int r = 0;

        for (const char *line = *text ? text : nothing; *line && r >= 0;) {
                size_t length = strcspn(line, "\n");

                length += line[length] == '\n';
                r = append_line(&buffer, line, length, line_is_zero(line, day_over));
                line += length;
        }
        if (r < 0)
                return r;
        *ret = buffer_take_text(&buffer);
        return *ret ? 0 : -ENOMEM;
}
