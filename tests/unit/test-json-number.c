/* Numbers as they are written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json-number.h"
#include "base/macro.h"

static int find(const char *text, char ret[static JSON_NUMBER_MAX]) {
        return json_number_text(text, strlen(text), "usage", "cost", ret);
}

static void test_a_number_is_found_as_it_is_written(_unused_ void **state) {
        static const struct {
                const char *text, *number;
        } cases[] = {
                { "{\"usage\":{\"cost\":0.04}}", "0.04" },
                { "{ \"usage\" : { \"cost\" :\n 0.040000000000000001 } }", "0.040000000000000001" },
                { "{\"usage\":{\"cost\":4e-8}}", "4e-8" },
                { "{\"usage\":{\"a\":[1,{\"cost\":2}],\"cost\":3}}", "3" },
                { "{\"data\":[{\"cost\":1}],\"usage\":{\"cost\":5,\"cost\":6}}", "5" },
                { "{\"text\":\"\\\"usage\\\":{\\\"cost\\\":9\",\"usage\":{\"cost\":7}}", "7" },
                { "{\"a\":{\"usage\":{\"cost\":1}},\"usage\":{\"cost\":8}}", "8" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char number[JSON_NUMBER_MAX];

                if (find(cases[i].text, number) != 0)
                        fail_msg("%s: nothing was found", cases[i].text);
                assert_string_equal(number, cases[i].number);
        }
}

static void test_what_is_no_number_there_is_not_found(_unused_ void **state) {
        static const char *const cases[] = {
                "", "{}", "[]", "0.04", "\"usage\"", "{\"usage\":{}}", "{\"usage\":0.04}", "{\"usage\":[{\"cost\":1}]}",
                "{\"usage\":{\"cost\":\"0.04\"}}", "{\"usage\":{\"cost\":null}}", "{\"cost\":1}",
                "{\"usage\":{\"costs\":1}}", "{\"usage\":\"cost\",\"a\":{\"cost\":1}}", "{\"usage\":{\"cost\":",
                "{\"usage", "{\"usage\\", "{\"us\\u0061ge\":{\"cost\":1}}", "{\"usage\":{\"a\":{\"cost\":1}}}",
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char number[JSON_NUMBER_MAX];

                if (find(cases[i], number) != -ENOENT)
                        fail_msg("%s: something was found", cases[i]);
        }
}

static void test_the_longest_number_fits(_unused_ void **state) {
        char text[JSON_NUMBER_MAX + 32], digits[JSON_NUMBER_MAX + 1] = {}, number[JSON_NUMBER_MAX];

        memset(digits, '1', JSON_NUMBER_MAX - 1);
        (void) snprintf(text, sizeof(text), "{\"usage\":{\"cost\":%s}}", digits);
        assert_int_equal(find(text, number), 0);
        assert_string_equal(number, digits);
        digits[JSON_NUMBER_MAX - 1] = '1';
        (void) snprintf(text, sizeof(text), "{\"usage\":{\"cost\":%s}}", digits);
        assert_int_equal(find(text, number), -E2BIG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_number_is_found_as_it_is_written),
                cmocka_unit_test(test_what_is_no_number_there_is_not_found),
                cmocka_unit_test(test_the_longest_number_fits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
