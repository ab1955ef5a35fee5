/* One time type. Wall-clock times count from 1970-01-01 UTC; deadlines use the monotonic clock. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint64_t usec_t;

#define USEC_PER_MSEC ((usec_t) 1000)
#define USEC_PER_SEC ((usec_t) 1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define USEC_INFINITY UINT64_MAX

usec_t time_now_realtime(void);
usec_t time_now_monotonic(void);

/* Parses a duration as systemd.time(7) writes the simple ones: "300", "5s", "250ms", "1h 30min", "infinity".
 * A bare number counts seconds. Returns -EINVAL when it is not one, -ERANGE when it does not fit. */
int time_parse_duration(const char *text, usec_t *ret);

/* Writes a duration in its largest exact units ("1h 30min"). Returns buffer. */
#define TIME_DURATION_MAX 64
char *time_format_duration(usec_t duration, char buffer[static TIME_DURATION_MAX]);

/* The beginning, in UTC, of a day written as "2026-11-22". -EINVAL for one that is no day of 1970 to 9999. */
int time_parse_day(const char *text, usec_t *ret);

/* RFC 3339 in UTC with seconds ("2026-11-22T10:15:00Z"). Returns buffer. */
#define TIME_STAMP_MAX 32
char *time_format_stamp(usec_t realtime, char buffer[static TIME_STAMP_MAX]);
