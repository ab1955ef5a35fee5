/* Counters, gauges and histograms with labels, in the Prometheus text format 0.0.4.
 *
 * The values live in a file under the daemon's RuntimeDirectory, mapped into memory: they survive an idle exit, a
 * restart and a SIGKILL, without a write at exit that a crash would skip. After a reboot they begin at zero, as
 * Prometheus expects of a new process. The file is ours alone; one that does not fit the format is begun afresh. */
#pragma once

#include "base/buffer.h"
#include "base/macro.h"

typedef struct Metrics Metrics;

#define METRICS_SERIES_MAX 1024        /* label sets in all; further ones are counted in one series labelled "other" */
#define METRICS_LABEL_BYTES_MAX 192    /* names and values of one label set */
#define METRICS_BUCKETS_MAX 16

typedef enum MetricType {
        METRIC_COUNTER,
        METRIC_GAUGE,
        METRIC_HISTOGRAM,
} MetricType;

typedef struct MetricFamily {
        const char *name;             /* genai_api_requests_total */
        const char *help;
        MetricType type;
        const char *labels[4];        /* names, ended by NULL */
        const double *buckets;        /* histogram: upper bounds, ascending, ended by 0; +Inf is added */
} MetricFamily;

/* `families` ends with {} and outlives the object. path NULL: memory only (tests). */
int metrics_new(Metrics **ret, const MetricFamily *families, const char *path);
Metrics *metrics_free(Metrics *metrics);
DEFINE_CLEANUP(Metrics *, metrics_free);

/* `family` is the index in the table; `values` the label values in the order of the names (NULL without labels). */
void metrics_add(Metrics *metrics, size_t family, const char *const *values, double amount);      /* counter, gauge */
void metrics_set(Metrics *metrics, size_t family, const char *const *values, double value);       /* gauge */
void metrics_observe(Metrics *metrics, size_t family, const char *const *values, double value);   /* histogram */
double metrics_get(const Metrics *metrics, size_t family, const char *const *values);

#define METRIC_VALUES(...) ((const char *const[]) { __VA_ARGS__, NULL })

/* Appends the text exposition of every family. */
int metrics_format(const Metrics *metrics, Buffer *buffer);
