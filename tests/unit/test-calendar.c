/* Days and months by the clock of a zone, over the changes of that clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/calendar.h"

#define AT(seconds) ((usec_t) (seconds) * USEC_PER_SEC)

static void test_a_day_of_utc(void **state) {
        (void) state;
        assert_int_equal(calendar_set_zone("UTC"), 0);
        assert_int_equal(calendar_day(0), 19700101);
        assert_int_equal(calendar_day(AT(1795391999)), 20261122);
        assert_int_equal(calendar_day(AT(1795392000)), 20261123);
        assert_int_equal(calendar_day_end(AT(1795391999)), AT(1795392000));
        assert_int_equal(calendar_day_end(AT(1795392000)), AT(1795392000 + 86400));
}

static void test_a_month_ends_with_its_last_day(void **state) {
        (void) state;
        assert_int_equal(calendar_set_zone("UTC"), 0);
        assert_int_equal(calendar_month_of(20261123), 202611);
        assert_int_equal(calendar_month_end(AT(1795392000)), AT(1796083200));  /* 2026-12-01 */
        assert_int_equal(calendar_day(calendar_month_end(AT(1798675200))), 20270101);
}

/* In Paris 2026-03-29 has 23 hours and 2026-10-25 has 25. */
static void test_a_day_over_a_change_of_the_clock(void **state) {
        usec_t spring = AT(1774738800), autumn = AT(1792879200);

        (void) state;
        assert_int_equal(calendar_set_zone("Europe/Paris"), 0);
        assert_int_equal(calendar_day(spring), 20260329);
        assert_int_equal(calendar_day(spring - 1), 20260328);
        assert_int_equal(calendar_day_end(spring), spring + 23 * USEC_PER_HOUR);
        assert_int_equal(calendar_day(autumn), 20261025);
        assert_int_equal(calendar_day_end(autumn), autumn + 25 * USEC_PER_HOUR);
}

static void test_zones(void **state) {
        static const char *const wrong[] = {
                "", "Nowhere/City", "../../../etc/passwd", "/etc/localtime", "Europe/Paris/", "Europe Paris", "Europe", NULL,
        };

        (void) state;
        assert_true(calendar_zone_valid("UTC"));
        assert_true(calendar_zone_valid("Europe/Paris"));
        assert_true(calendar_zone_valid("America/Argentina/Buenos_Aires"));
        for (const char *const *zone = wrong; *zone; zone++)
                assert_false(calendar_zone_valid(*zone));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_day_of_utc),
                cmocka_unit_test(test_a_month_ends_with_its_last_day),
                cmocka_unit_test(test_a_day_over_a_change_of_the_clock),
                cmocka_unit_test(test_zones),
        };

        return cmocka_run_group_tests_name("calendar", tests, NULL, NULL);
}
