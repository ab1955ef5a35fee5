#include "base/calendar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/macro.h"
#include "base/text.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"
#define ZONE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/"

bool calendar_zone_valid(const char *zone) {
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (text_equal(zone, "UTC"))
                return true;
        if (!*zone || *zone == '/' || strlen(zone) > CALENDAR_ZONE_MAX || strspn(zone, ZONE_CHARACTERS) != strlen(zone))
                return false;
        path = text_format("%s/%s", ZONE_FOLDER, zone);
        return path && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int calendar_set_zone(const char *zone) {
        _cleanup_free_ char *value = text_format(":%s", zone);

        if (!value || setenv("TZ", value, true) < 0)
                return -ENOMEM;
        tzset();
        return 0;
}

static struct tm local_time(usec_t realtime) {
        time_t seconds = (time_t) (realtime / USEC_PER_SEC);
        struct tm local = {};

        (void) localtime_r(&seconds, &local);
        return local;
}

int calendar_day(usec_t realtime) {
        struct tm local = local_time(realtime);

        return (local.tm_year + 1900) * 10000 + (local.tm_mon + 1) * 100 + local.tm_mday;
}

int calendar_month_of(int day) {
        return day / 100;
}

/* mktime() finds the midnight behind a change of the clock by itself. */
static usec_t midnight(int year, int month, int day) {
        struct tm local = { .tm_year = year, .tm_mon = month, .tm_mday = day, .tm_isdst = -1 };

        return (usec_t) mktime(&local) * USEC_PER_SEC;
}

usec_t calendar_day_end(usec_t realtime) {
        struct tm local = local_time(realtime);

        return midnight(local.tm_year, local.tm_mon, local.tm_mday + 1);
}

usec_t calendar_month_end(usec_t realtime) {
        struct tm local = local_time(realtime);

        return midnight(local.tm_year, local.tm_mon + 1, 1);
}
