#include "base/time.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/macro.h"

typedef struct DurationUnit {
        const char *name;
        usec_t usec;
} DurationUnit;

/* The first name of each size is the one that is written. */
static const DurationUnit units[] = {
        { "d", USEC_PER_DAY }, { "day", USEC_PER_DAY }, { "days", USEC_PER_DAY },
        { "h", USEC_PER_HOUR }, { "hour", USEC_PER_HOUR }, { "hours", USEC_PER_HOUR },
        { "min", USEC_PER_MINUTE }, { "m", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE }, { "minutes", USEC_PER_MINUTE },
        { "s", USEC_PER_SEC }, { "sec", USEC_PER_SEC }, { "second", USEC_PER_SEC }, { "seconds", USEC_PER_SEC },
        { "ms", USEC_PER_MSEC }, { "msec", USEC_PER_MSEC },
        { "us", 1 }, { "usec", 1 },
};

static usec_t now(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

usec_t time_now_realtime(void) {
        return now(CLOCK_REALTIME);
}

usec_t time_now_monotonic(void) {
        return now(CLOCK_MONOTONIC);
}

static const char *skip_spaces(const char *p) {
        while (*p == ' ')
                p++;
        return p;
}

/* Reads the unit name at *p and steps over it; no name at all means seconds. */
static int parse_unit(const char **p, usec_t *ret) {
        size_t length = 0;

        while (isalpha((unsigned char) (*p)[length]))
                length++;
        if (length == 0) {
                *ret = USEC_PER_SEC;
                return 0;
        }

        for (size_t i = 0; i < ELEMENTS(units); i++)
                if (strlen(units[i].name) == length && strncasecmp(units[i].name, *p, length) == 0) {
                        *ret = units[i].usec;
                        *p += length;
                        return 0;
                }
        return -EINVAL;
}

int time_parse_duration(const char *text, usec_t *ret) {
        usec_t total = 0, unit, part;
        const char *p = skip_spaces(text);
        int r;

        if (strcmp(p, "infinity") == 0) {
                *ret = USEC_INFINITY;
                return 0;
        }

        if (!*p)
                return -EINVAL;

        while (*p) {
                char *end;
                unsigned long long value;

                if (!isdigit((unsigned char) *p))
                        return -EINVAL;
                errno = 0;
                value = strtoull(p, &end, 10);
                if (errno == ERANGE)
                        return -ERANGE;

                p = skip_spaces(end);
                r = parse_unit(&p, &unit);
                if (r < 0)
                        return r;
                if (__builtin_mul_overflow((usec_t) value, unit, &part) ||
                    __builtin_add_overflow(total, part, &total))
                        return -ERANGE;
                p = skip_spaces(p);
        }

        if (total == USEC_INFINITY)
                return -ERANGE;  /* only the word means that */
        *ret = total;
        return 0;
}

char *time_format_duration(usec_t duration, char buffer[static TIME_DURATION_MAX]) {
        size_t used = 0;
        usec_t last = 0;

        if (duration == USEC_INFINITY)
                return strcpy(buffer, "infinity");
        if (duration == 0)
                return strcpy(buffer, "0s");

        for (size_t i = 0; i < ELEMENTS(units) && duration > 0; i++) {
                if (units[i].usec == last)
                        continue;
                last = units[i].usec;
                if (duration / last == 0)
                        continue;
                used += (size_t) snprintf(buffer + used, TIME_DURATION_MAX - used, "%s%llu%s", used ? " " : "",
                                          (unsigned long long) (duration / last), units[i].name);
                duration %= last;
        }
        return buffer;
}

int time_parse_day(const char *text, usec_t *ret) {
        struct tm tm = {}, same;
        time_t seconds;
        int end = 0;

        if (strlen(text) != sizeof("YYYY-MM-DD") - 1 || strspn(text, "0123456789-") != strlen(text) ||
            sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &end) != 3 || text[end] ||
            tm.tm_year < 1970)
                return -EINVAL;

        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        same = tm;
        seconds = timegm(&tm);  /* makes the 3rd of March of the 31st of February */
        if (seconds < 0 || tm.tm_mon != same.tm_mon || tm.tm_mday != same.tm_mday)
                return -EINVAL;
        *ret = (usec_t) seconds * USEC_PER_SEC;
        return 0;
}

char *time_format_stamp(usec_t realtime, char buffer[static TIME_STAMP_MAX]) {
        time_t seconds = (time_t) (realtime / USEC_PER_SEC);
        struct tm tm;

        (void) gmtime_r(&seconds, &tm);
        (void) strftime(buffer, TIME_STAMP_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
        return buffer;
}
