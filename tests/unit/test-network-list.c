/* From where a key may be used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/network-list.h"

static void test_entries_that_are_none_are_refused(void **state) {
        static const char *const good[] = {
                "127.0.0.1",    "127.0.0.0/8", "0.0.0.0/0", "192.0.2.17/32", "::1",  "::/0",
                "2001:db8::/32", "fe80::1/128", "::ffff:192.0.2.0/120", "unix", "10.128.0.0/9",
        };
        static const char *const bad[] = {
                "",          "127.0.0.1/33", "::1/129",  "127.0.0.1/8", "192.0.2.0/",   "192.0.2.0/-1", "192.0.2.0/ 24",
                "192.0.2",   "localhost",    "Unix",     "unix/8",      "2001:db8::1/32", "192.0.2.0/24/24", "127.0.0.1,::1",
                "300.0.0.1", " 127.0.0.1",   "10.129.0.0/9/", "1234567890123456789012345678901234567890123456789012345",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(good); i++)
                if (!network_valid(good[i]))
                        fail_msg("%s is refused", good[i]);
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                if (network_valid(bad[i]))
                        fail_msg("%s is taken", bad[i]);
}

static void test_networks_hold_what_begins_like_them(void **state) {
        static const struct {
                const char *list, *address;
                bool inside;
        } cases[] = {
                { "127.0.0.1", "127.0.0.1", true },           { "127.0.0.1", "127.0.0.2", false },
                { "127.0.0.0/8", "127.255.255.255", true },   { "127.0.0.0/8", "128.0.0.0", false },
                { "10.128.0.0/9", "10.255.0.1", true },       { "10.128.0.0/9", "10.127.255.255", false },
                { "192.0.2.4/31", "192.0.2.5", true },        { "192.0.2.4/31", "192.0.2.6", false },
                { "0.0.0.0/0", "203.0.113.9", true },         { "0.0.0.0/0", "2001:db8::1", false },
                { "::/0", "2001:db8::1", true },              { "::/0", "192.0.2.1", true },
                { "2001:db8::/33", "2001:db8:7fff::", true }, { "2001:db8::/33", "2001:db8:8000::", false },
                { "192.0.2.0/24", "::ffff:192.0.2.9", true }, { "::ffff:192.0.2.0/120", "192.0.2.9", true },
                { "::1,192.0.2.1", "192.0.2.1", true },       { "192.0.2.1,::1", "::1", true },
                { "192.0.2.1,::1", "192.0.2.2", false },      { "unix", "unix", true },
                { "unix", "127.0.0.1", false },               { "127.0.0.0/8,unix", "unix", true },
                { "::/0", "unix", false },                    { "127.0.0.0/8", "", false },
                { "127.0.0.0/8", "127.0.0.1 ", false },       { "127.0.0.0/8", "localhost", false },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(cases); i++)
                if (network_list_contains(cases[i].list, cases[i].address) != cases[i].inside)
                        fail_msg("%s in %s: not %d", cases[i].address, cases[i].list, cases[i].inside);
        assert_false(network_list_contains("127.0.0.0/8,unix", NULL));
        assert_false(network_list_contains("", "127.0.0.1"));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_entries_that_are_none_are_refused),
                cmocka_unit_test(test_networks_hold_what_begins_like_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
