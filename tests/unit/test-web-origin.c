/* Origins as browsers write them, and what looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/web-origin.h"

static void test_only_what_a_browser_writes_is_one(void **state) {
        static const char *const good[] = {
                "https://app.example.com", "http://localhost:3000",    "https://example.com:8443", "http://127.0.0.1",
                "http://[::1]:3000",       "https://xn--bcher-kva.de", "http://a_b.internal",      "http://example.com:443",
        };
        static const char *const bad[] = {
                "",
                "*",
                "null",
                "app.example.com",
                "https://",
                "https://app.example.com/",
                "https://app.example.com/path",
                "https://App.example.com",
                "HTTPS://app.example.com",
                "https://app.example.com:443",
                "http://app.example.com:80",
                "https://app.example.com:",
                "https://app.example.com:0",
                "https://app.example.com:08443",
                "https://app.example.com:65536",
                "https://app.example.com:84x",
                "https://*.example.com",
                "https://user@example.com",
                "https://example.com ",
                "https://example.com?x",
                "https://.example.com",
                "https://[::1",
                "https://[]",
                "ftp://example.com",
                "https://example.com\r\nx: y",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(good); i++)
                if (!web_origin_valid(good[i]))
                        fail_msg("%s is refused", good[i]);
        for (size_t i = 0; i < ELEMENTS(bad); i++)
                if (web_origin_valid(bad[i]))
                        fail_msg("%s is taken", bad[i]);
}

int main(void) {
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_only_what_a_browser_writes_is_one) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
