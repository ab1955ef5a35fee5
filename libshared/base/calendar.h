/* Days and months by the clock of one time zone, for what is counted by them.
 *
 * A process has one zone (tzset(3)); it is set from the main thread. A day is a number such as 20261123, a month 202611:
 * they sort as they follow. */
#pragma once

#include <stdbool.h>

#include "base/time.h"

#define CALENDAR_ZONE_MAX 64        /* bytes of a name */

/* True for "UTC" and for a name such as Europe/Paris that stands in the system's zone database. */
bool calendar_zone_valid(const char *zone);

/* From now on times are of this zone, which must be valid. -ENOMEM. */
int calendar_set_zone(const char *zone);

int calendar_day(usec_t realtime);
int calendar_month_of(int day);

/* When the day, or month, in which `realtime` lies is over. */
usec_t calendar_day_end(usec_t realtime);
usec_t calendar_month_end(usec_t realtime);
