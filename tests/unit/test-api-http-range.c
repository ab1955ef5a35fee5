/* Range and entity tags (RFC 9110). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "http-range.h"

typedef struct RangeCase {
        const char *field;
        uint64_t size;
        HttpRange range;
        uint64_t start, length;
} RangeCase;

static void test_ranges(void **state) {
        static const RangeCase cases[] = {
                { NULL, 100, HTTP_RANGE_WHOLE },
                { "bytes=0-0", 100, HTTP_RANGE_PART, 0, 1 },
                { "bytes=0-99", 100, HTTP_RANGE_PART, 0, 100 },
                { "bytes=10-19", 100, HTTP_RANGE_PART, 10, 10 },
                { "bytes=99-", 100, HTTP_RANGE_PART, 99, 1 },
                { "bytes=50-1000", 100, HTTP_RANGE_PART, 50, 50 },
                { "bytes=0-99999999999999999999999", 100, HTTP_RANGE_PART, 0, 100 },
                { "bytes=-1", 100, HTTP_RANGE_PART, 99, 1 },
                { "bytes=-1000", 100, HTTP_RANGE_PART, 0, 100 },
                { "Bytes=1-2", 100, HTTP_RANGE_PART, 1, 2 },
                { "bytes= 1-2 ", 100, HTTP_RANGE_PART, 1, 2 },
                { "bytes=100-", 100, HTTP_RANGE_UNSATISFIABLE },
                { "bytes=99999999999999999999999-", 100, HTTP_RANGE_UNSATISFIABLE },
                { "bytes=-0", 100, HTTP_RANGE_UNSATISFIABLE },
                { "bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE },
                { "bytes=-5", 0, HTTP_RANGE_UNSATISFIABLE },
                { "bytes=0-1,5-6", 100, HTTP_RANGE_WHOLE },
                { "bytes=5-4", 100, HTTP_RANGE_WHOLE },
                { "bytes=-", 100, HTTP_RANGE_WHOLE },
                { "bytes=", 100, HTTP_RANGE_WHOLE },
                { "bytes=a-b", 100, HTTP_RANGE_WHOLE },
                { "bytes=1-2x", 100, HTTP_RANGE_WHOLE },
                { "bytes=+1-2", 100, HTTP_RANGE_WHOLE },
                { "lines=1-2", 100, HTTP_RANGE_WHOLE },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                uint64_t start = 0, length = 0;

                if (http_range_parse(cases[i].field, cases[i].size, &start, &length) != cases[i].range ||
                    (cases[i].range == HTTP_RANGE_PART && (start != cases[i].start || length != cases[i].length)))
                        fail_msg("'%s' of %d bytes", cases[i].field, (int) cases[i].size);
        }
}

static void test_if_none_match_compares_weakly(void **state) {
        (void) state;
        assert_true(http_etag_listed("\"a\"", "\"a\"", true));
        assert_true(http_etag_listed("W/\"a\"", "\"a\"", true));
        assert_true(http_etag_listed("\"b\" , W/\"a\"", "\"a\"", true));
        assert_true(http_etag_listed("\"b\",\"a\"", "\"a\"", true));
        assert_true(http_etag_listed("*", "\"a\"", true));
        assert_false(http_etag_listed(NULL, "\"a\"", true));
        assert_false(http_etag_listed("", "\"a\"", true));
        assert_false(http_etag_listed("a", "\"a\"", true));
        assert_false(http_etag_listed("\"aa\"", "\"a\"", true));
        assert_false(http_etag_listed(",,,", "\"a\"", true));
}

static void test_if_range_compares_strongly(void **state) {
        (void) state;
        assert_true(http_etag_listed("\"a\"", "\"a\"", false));
        assert_false(http_etag_listed("W/\"a\"", "\"a\"", false));
        assert_false(http_etag_listed("*", "\"a\"", false));
        assert_false(http_etag_listed("Sun, 22 Nov 2026 10:00:00 GMT", "\"a\"", false));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ranges),
                cmocka_unit_test(test_if_none_match_compares_weakly),
                cmocka_unit_test(test_if_range_compares_strongly),
        };

        return cmocka_run_group_tests_name("api-http-range", tests, NULL, NULL);
}
