/* Metrics: series in a file that outlives the process.
 *
 * The file is one mapped array of fixed slots behind a head. A slot is written whole and only then counted in
 * head.n_slots, so a SIGKILL at any instruction leaves either the series or none. A value is one aligned 8-byte
 * store. A histogram's total is the sum of its buckets, never stored beside them: `+Inf` and `_count` cannot differ,
 * and a kill between bucket and sum loses at most one observation of the sum.
 *
 * Which slot holds which series is found by a hash table in ordinary memory, rebuilt when the file is opened.
 *
 * Series are bounded: what a client can make up (a path, a model's name) would else fill memory. Each family keeps the
 * right to one last slot, labelled "other" throughout, in which whatever no longer fits is counted.
 *
 * Format changes: METRICS_FORMAT counts up; the fingerprint covers the table of families. A file that differs in
 * either, or in size, is begun afresh: its numbers would mean something else. */
#include "io/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#define METRICS_MAGIC UINT64_C(0x7274656d6c657461) /* "atelmetr" in the bytes of a little-endian machine */
#define METRICS_FORMAT 1
#define FAMILIES_MAX 64
#define LABELS_MAX 3 /* MetricFamily.labels without its final NULL */
#define INDEX_ENTRIES (2 * METRICS_SERIES_MAX) /* a power of two; half empty at worst */
#define LABEL_OTHER "other"
#define HASH_START UINT64_C(0xcbf29ce484222325) /* FNV-1a, 64 bits */
#define HASH_FACTOR UINT64_C(0x100000001b3)

typedef struct MetricsHead {
        uint64_t magic;
        uint64_t format;
        uint64_t fingerprint;
        uint64_t n_slots;
} MetricsHead;

typedef struct MetricSlot {
        uint32_t family;
        uint32_t labels_size;
        char labels[METRICS_LABEL_BYTES_MAX]; /* values, each with its NUL */
        double value; /* counter, gauge; histogram: sum */
        uint64_t counts[METRICS_BUCKETS_MAX + 1]; /* histogram: observations per bucket, not cumulative */
} MetricSlot;

typedef struct MetricsFile {
        MetricsHead head;
        MetricSlot slots[METRICS_SERIES_MAX];
} MetricsFile;

/* A label set as bytes: what is hashed, compared and stored. */
typedef struct SeriesKey {
        size_t family;
        size_t size;
        char labels[METRICS_LABEL_BYTES_MAX];
} SeriesKey;

struct Metrics {
        const MetricFamily *families;
        size_t n_families;
        MetricsFile *file;
        uint16_t index[INDEX_ENTRIES]; /* slot + 1; 0 = empty */
};

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
        const uint8_t *p = data;

        for (size_t i = 0; i < size; i++)
                hash = (hash ^ p[i]) * HASH_FACTOR;
        return hash;
}

static uint64_t hash_text(uint64_t hash, const char *text) {
        return hash_bytes(hash, text, strlen(text) + 1);
}

static uint64_t families_fingerprint(const MetricFamily *families) {
        uint64_t hash = HASH_START;

        for (const MetricFamily *family = families; family->name; family++) {
                hash = hash_text(hash, family->name);
                hash = hash_bytes(hash, &family->type, sizeof(family->type));
                for (const char *const *label = family->labels; *label; label++)
                        hash = hash_text(hash, *label);
                for (const double *bound = family->buckets; bound && *bound != 0; bound++)
                        hash = hash_bytes(hash, bound, sizeof(*bound));
        }
        return hash;
}

static size_t count_labels(const MetricFamily *family) {
        size_t count = 0;

        while (family->labels[count])
                count++;
        return count;
}

static size_t count_buckets(const MetricFamily *family) {
        size_t count = 0;

        while (family->buckets && family->buckets[count] != 0)
                count++;
        return count;
}

static bool slot_valid(const Metrics *metrics, const MetricSlot *slot) {
        size_t values = 0;

        if (slot->family >= metrics->n_families || slot->labels_size > METRICS_LABEL_BYTES_MAX)
                return false;
        for (size_t i = 0; i < slot->labels_size; i++)
                values += slot->labels[i] == '\0';
        return values == count_labels(&metrics->families[slot->family]) &&
               (slot->labels_size == 0 || slot->labels[slot->labels_size - 1] == '\0');
}

/* Where the search for a series begins. */
static size_t index_start(size_t family, const char *labels, size_t size) {
        return hash_bytes(HASH_START ^ family, labels, size) & (INDEX_ENTRIES - 1);
}

static size_t index_next(size_t position) {
        return (position + 1) & (INDEX_ENTRIES - 1);
}

static void index_add(Metrics *metrics, size_t slot_number) {
        const MetricSlot *slot = &metrics->file->slots[slot_number];
        size_t position = index_start(slot->family, slot->labels, slot->labels_size);

        while (metrics->index[position] != 0)
                position = index_next(position);
        metrics->index[position] = (uint16_t) (slot_number + 1);
}

static MetricSlot *index_find(const Metrics *metrics, const SeriesKey *key) {
        for (size_t position = index_start(key->family, key->labels, key->size); metrics->index[position] != 0;
             position = index_next(position)) {
                MetricSlot *slot = &metrics->file->slots[metrics->index[position] - 1];

                if (slot->family == key->family && slot->labels_size == key->size &&
                    memcmp(slot->labels, key->labels, key->size) == 0)
                        return slot;
        }
        return NULL;
}

/* Takes over what the file holds, or returns false when it is not ours to read. */
static bool file_adopt(Metrics *metrics, uint64_t fingerprint) {
        const MetricsHead *head = &metrics->file->head;

        if (head->magic != METRICS_MAGIC || head->format != METRICS_FORMAT || head->fingerprint != fingerprint ||
            head->n_slots > METRICS_SERIES_MAX)
                return false;
        for (size_t i = 0; i < head->n_slots; i++)
                if (!slot_valid(metrics, &metrics->file->slots[i]))
                        return false;

        for (size_t i = 0; i < head->n_slots; i++)
                index_add(metrics, i);
        return true;
}

static void file_begin(MetricsFile *file, uint64_t fingerprint) {
        memset(file, 0, sizeof(*file));
        file->head = (MetricsHead){
                .magic = METRICS_MAGIC,
                .format = METRICS_FORMAT,
                .fingerprint = fingerprint,
        };
}

static int map_memory(MetricsFile **ret) {
        void *memory = mmap(NULL, sizeof(MetricsFile), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
                return -errno;
        *ret = memory;
        return 0;
}

/* A file of another size is emptied first: mapped bytes past its end would be SIGBUS. posix_fallocate() because a hole
 * in a full tmpfs would be one too. */
static int map_file(const char *path, MetricsFile **ret) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        void *memory;
        int r;

        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADF;
        if (st.st_size != (off_t) sizeof(MetricsFile) && ftruncate(fd, 0) < 0)
                return -errno;
        r = posix_fallocate(fd, 0, sizeof(MetricsFile));
        if (r != 0)
                return -r;

        memory = mmap(NULL, sizeof(MetricsFile), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
                return -errno;
        *ret = memory;
        return 0;
}

int metrics_new(Metrics **ret, const MetricFamily *families, const char *path) {
        _cleanup_(metrics_freep) Metrics *metrics = NULL;
        uint64_t fingerprint = families_fingerprint(families);
        int r;

        metrics = calloc(1, sizeof(*metrics));
        if (!metrics)
                return -ENOMEM;
        metrics->families = families;
        while (families[metrics->n_families].name) {
                assert(count_labels(&families[metrics->n_families]) <= LABELS_MAX);
                assert(count_buckets(&families[metrics->n_families]) <= METRICS_BUCKETS_MAX);
                metrics->n_families++;
        }
        assert(metrics->n_families <= FAMILIES_MAX);

        r = path ? map_file(path, &metrics->file) : map_memory(&metrics->file);
        if (r < 0)
                return r;
        if (!file_adopt(metrics, fingerprint))
                file_begin(metrics->file, fingerprint);

        *ret = TAKE_PTR(metrics);
        return 0;
}

Metrics *metrics_free(Metrics *metrics) {
        if (!metrics)
                return NULL;

        if (metrics->file)
                (void) munmap(metrics->file, sizeof(*metrics->file));
        free(metrics);
        return NULL;
}

/* False when the label set is too long or no text; it is then counted as "other". */
static bool key_make(const Metrics *metrics, size_t family, const char *const *values, SeriesKey *key) {
        size_t names = 0;

        key->family = family;
        key->size = 0;
        for (size_t i = 0; metrics->families[family].labels[i]; i++) {
                size_t size = strlen(values[i]) + 1;

                names += strlen(metrics->families[family].labels[i]);
                if (names + key->size + size > METRICS_LABEL_BYTES_MAX || !utf8_valid(values[i], size - 1))
                        return false;
                memcpy(key->labels + key->size, values[i], size);
                key->size += size;
        }
        return true;
}

static void key_make_other(const Metrics *metrics, size_t family, SeriesKey *key) {
        const char *const values[LABELS_MAX] = { LABEL_OTHER, LABEL_OTHER, LABEL_OTHER };

        (void) key_make(metrics, family, values, key);
}

static MetricSlot *slot_add(Metrics *metrics, const SeriesKey *key) {
        MetricsHead *head = &metrics->file->head;
        MetricSlot *slot = &metrics->file->slots[head->n_slots];

        assert(head->n_slots < METRICS_SERIES_MAX);

        *slot = (MetricSlot){ .family = (uint32_t) key->family, .labels_size = (uint32_t) key->size };
        memcpy(slot->labels, key->labels, key->size);
        index_add(metrics, head->n_slots);
        __atomic_store_n(&head->n_slots, head->n_slots + 1, __ATOMIC_RELEASE);
        return slot;
}

/* The last n_families slots are kept for the "other" series, of which each family needs at most one. */
static MetricSlot *slot_get(Metrics *metrics, size_t family, const char *const *values) {
        MetricSlot *slot;
        SeriesKey key;

        assert(family < metrics->n_families);

        if (key_make(metrics, family, values, &key)) {
                slot = index_find(metrics, &key);
                if (slot)
                        return slot;
                if (metrics->file->head.n_slots < METRICS_SERIES_MAX - metrics->n_families)
                        return slot_add(metrics, &key);
        }

        key_make_other(metrics, family, &key);
        return index_find(metrics, &key) ?: slot_add(metrics, &key);
}

void metrics_add(Metrics *metrics, size_t family, const char *const *values, double amount) {
        assert(metrics->families[family].type != METRIC_HISTOGRAM);

        slot_get(metrics, family, values)->value += amount;
}

void metrics_set(Metrics *metrics, size_t family, const char *const *values, double value) {
        assert(metrics->families[family].type == METRIC_GAUGE);

        slot_get(metrics, family, values)->value = value;
}

void metrics_observe(Metrics *metrics, size_t family, const char *const *values, double value) {
        const MetricFamily *entry = &metrics->families[family];
        MetricSlot *slot;
        size_t bucket = 0;

        assert(entry->type == METRIC_HISTOGRAM);

        while (entry->buckets && entry->buckets[bucket] != 0 && value > entry->buckets[bucket])
                bucket++;
        slot = slot_get(metrics, family, values);
        slot->counts[bucket]++;
        slot->value += value;
}

static uint64_t slot_count(const MetricSlot *slot) {
        uint64_t count = 0;

        for (size_t i = 0; i < ELEMENTS(slot->counts); i++)
                count += slot->counts[i];
        return count;
}

double metrics_get(const Metrics *metrics, size_t family, const char *const *values) {
        const MetricSlot *slot;
        SeriesKey key;

        assert(family < metrics->n_families);

        if (!key_make(metrics, family, values, &key))
                key_make_other(metrics, family, &key);
        slot = index_find(metrics, &key);
        if (!slot)
                return 0;
        return metrics->families[family].type == METRIC_HISTOGRAM ? (double) slot_count(slot) : slot->value;
}

/* The fewest digits that read back as the same number; bounds of buckets always with a point ("1.0"), the form that
 * Prometheus 3 makes of them anyway. */
static int format_number(Buffer *buffer, double number, bool bound) {
        char text[40];

        if (isnan(number))
                return buffer_append_text(buffer, "NaN");
        if (isinf(number))
                return buffer_append_text(buffer, number > 0 ? "+Inf" : "-Inf");

        for (int digits = 15; digits <= 17; digits++) {
                (void) snprintf(text, sizeof(text), "%.*g", digits, number);
                if (strtod(text, NULL) == number)
                        break;
        }
        if (bound && !strpbrk(text, ".e"))
                (void) strcat(text, ".0");
        return buffer_append_text(buffer, text);
}

static int format_escaped(Buffer *buffer, const char *text, bool quotes) {
        int r = 0;

        for (const char *p = text; *p && r >= 0; p++)
                if (*p == '\n')
                        r = buffer_append_text(buffer, "\\n");
                else if (*p == '\\' || (quotes && *p == '"'))
                        r = buffer_printf(buffer, "\\%c", *p);
                else
                        r = buffer_append(buffer, p, 1);
        return r;
}

/* NAME SUFFIX {LABELS,le="BOUND"}, and the space before the value. `bound` NULL: no le. */
static int format_series(Buffer *buffer, const MetricFamily *family, const MetricSlot *slot, const char *suffix,
                         const double *bound) {
        const char *value = slot->labels;
        const char *separator = "{";
        int r;

        r = buffer_append_text(buffer, family->name);
        if (r >= 0)
                r = buffer_append_text(buffer, suffix);
        for (size_t i = 0; family->labels[i] && r >= 0; i++) {
                r = buffer_printf(buffer, "%s%s=\"", separator, family->labels[i]);
                if (r >= 0)
                        r = format_escaped(buffer, value, true);
                if (r >= 0)
                        r = buffer_append(buffer, "\"", 1);
                value += strlen(value) + 1;
                separator = ",";
        }
        if (r >= 0 && bound) {
                r = buffer_printf(buffer, "%sle=\"", separator);
                if (r >= 0)
                        r = format_number(buffer, *bound, true);
                if (r >= 0)
                        r = buffer_append(buffer, "\"", 1);
                separator = ",";
        }
        return r < 0 ? r : buffer_append_text(buffer, *separator == ',' ? "} " : " ");
}

static int format_sample(Buffer *buffer, const MetricFamily *family, const MetricSlot *slot, const char *suffix,
                         const double *bound, double value) {
        int r;

        r = format_series(buffer, family, slot, suffix, bound);
        if (r >= 0)
                r = format_number(buffer, value, false);
        return r < 0 ? r : buffer_append(buffer, "\n", 1);
}

static int format_slot(Buffer *buffer, const MetricFamily *family, const MetricSlot *slot) {
        const double infinity = INFINITY;
        size_t n_buckets = count_buckets(family);
        uint64_t cumulative = 0;
        int r = 0;

        if (family->type != METRIC_HISTOGRAM)
                return format_sample(buffer, family, slot, "", NULL, slot->value);

        for (size_t i = 0; i <= n_buckets && r >= 0; i++) {
                cumulative += slot->counts[i];
                r = format_sample(buffer, family, slot, "_bucket", i < n_buckets ? &family->buckets[i] : &infinity,
                                  (double) cumulative);
        }
        if (r >= 0)
                r = format_sample(buffer, family, slot, "_sum", NULL, slot->value);
        return r < 0 ? r : format_sample(buffer, family, slot, "_count", NULL, (double) cumulative);
}

static int format_head(Buffer *buffer, const MetricFamily *family) {
        static const char *const types[] = { "counter", "gauge", "histogram" };
        int r;

        r = buffer_printf(buffer, "# HELP %s ", family->name);
        if (r >= 0)
                r = format_escaped(buffer, family->help, false);
        return r < 0 ? r : buffer_printf(buffer, "\n# TYPE %s %s\n", family->name, types[family->type]);
}

int metrics_format(const Metrics *metrics, Buffer *buffer) {
        const MetricsFile *file = metrics->file;
        int r = 0;

        for (size_t i = 0; i < metrics->n_families && r >= 0; i++) {
                const MetricFamily *family = &metrics->families[i];
                bool seen = false;

                r = format_head(buffer, family);
                for (size_t j = 0; j < file->head.n_slots && r >= 0; j++)
                        if (file->slots[j].family == i) {
                                r = format_slot(buffer, family, &file->slots[j]);
                                seen = true;
                        }
                /* A series that needs no label is there from the start, so that a rate over it sees the first step. */
                if (!seen && r >= 0 && !family->labels[0])
                        r = format_slot(buffer, family, &(const MetricSlot){ .family = (uint32_t) i });
        }
        return r;
}
