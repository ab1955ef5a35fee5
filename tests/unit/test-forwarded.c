/* For whom a proxy asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macro.h"
#include "forwarded.h"

#define LONG "1234567890123456789012345678901234567890123456789012345678901234567890"

static char *const trusted[] = { (char *) "10.0.0.0/8", (char *) "2001:db8:1::/48", (char *) "unix", NULL };

static void test_the_last_that_is_no_proxy_counts(void **state) {
        static const struct {
                const char *list, *address; /* NULL: none */
        } cases[] = {
                { "192.0.2.1", "192.0.2.1" },
                { "203.0.113.9, 192.0.2.1", "192.0.2.1" },
                { "192.0.2.1, 10.1.2.3", "192.0.2.1" },
                { "192.0.2.1,10.1.2.3,\t2001:db8:1::7 ", "192.0.2.1" },
                { "10.1.2.3, 10.1.2.4", NULL },
                { "garbage, 192.0.2.1", "192.0.2.1" },
                { "192.0.2.1, garbage", NULL },
                { "192.0.2.1, ", NULL },
                { "", NULL },
                { ",", NULL },
                { "unknown", NULL },
                { "unix", NULL },
                { "192.0.2.1, unix", NULL },
                { "192.0.2.1:4711", "192.0.2.1" },
                { "2001:db8::1", "2001:db8::1" },
                { "[2001:db8::1]", "2001:db8::1" },
                { "[2001:db8::1]:4711", "2001:db8::1" },
                { "192.0.2.1, 10.0.0.1:80", "192.0.2.1" },
                { "192.0.2.1, [2001:db8:1::1]:80", "192.0.2.1" },
                { "::ffff:10.0.0.1", NULL },
                { "[", NULL },
                { LONG, NULL },
                { "192.0.2.1, " LONG, NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char address[INET6_ADDRSTRLEN] = "none";
                bool found = forwarded_address(cases[i].list, trusted, address);

                if (found != !!cases[i].address)
                        fail_msg("'%s' gives %s", cases[i].list, address);
                assert_string_equal(address, cases[i].address ?: "none");
        }
}

static void test_the_last_scheme_counts(void **state) {
        (void) state;
        assert_true(forwarded_is_https("https"));
        assert_true(forwarded_is_https("http, HTTPS "));
        assert_false(forwarded_is_https("https, http"));
        assert_false(forwarded_is_https("https,"));
        assert_false(forwarded_is_https(""));
        assert_false(forwarded_is_https("httpsx"));
        assert_false(forwarded_is_https(LONG));
}

static void test_nobody_is_trusted_without_a_list(void **state) {
        (void) state;
        assert_false(forwarded_is_trusted("127.0.0.1", NULL));
        assert_false(forwarded_is_trusted("192.0.2.1", trusted));
        assert_true(forwarded_is_trusted("10.255.0.1", trusted));
        assert_true(forwarded_is_trusted("unix", trusted));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_last_that_is_no_proxy_counts),
                cmocka_unit_test(test_the_last_scheme_counts),
                cmocka_unit_test(test_nobody_is_trusted_without_a_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
