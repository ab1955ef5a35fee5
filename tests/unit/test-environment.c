/* The process's environment goes on where nobody sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/environment.h"
#include "base/macro.h"

#define VARIABLES_MAX 1024

/* Hidden once in a process, together with its own variables, so that the tests share what comes of it. */
static char canary[] = "CANARY=in plain sight", empty[] = "EMPTY=", bare[] = "BARE", dropped[] = "DROPPED=soon";

static int hide(_unused_ void **state) {
        static char *given[VARIABLES_MAX + 1] = { canary, empty, bare, dropped };
        size_t count = 4;

        for (char **variable = environ; *variable && count < VARIABLES_MAX; variable++)
                given[count++] = *variable;
        environ = given;
        return environment_hide();
}

static void test_names_and_values_go_on(_unused_ void **state) {
        assert_string_equal(getenv("CANARY"), "in plain sight");
        assert_string_equal(getenv("EMPTY"), "");
        assert_string_equal(environ[2], "BARE");
        assert_non_null(getenv("PATH"));
}

static void test_no_value_is_left_where_it_was(_unused_ void **state) {
        static const char blank[sizeof(canary) - sizeof("CANARY=")];

        assert_string_equal(canary, "CANARY=");
        assert_memory_equal(canary + strlen("CANARY="), blank, sizeof(blank));
        assert_string_equal(bare, "BARE");
}

/* What libsystemd does with the variables it has read. Under sanitizers, a value that is lost this way is a leak. */
static void test_a_variable_can_be_taken_out(_unused_ void **state) {
        assert_int_equal(unsetenv("DROPPED"), 0);
        assert_null(getenv("DROPPED"));
        assert_int_equal(setenv("ADDED", "later", true), 0);
        assert_string_equal(getenv("ADDED"), "later");
        assert_string_equal(getenv("CANARY"), "in plain sight");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names_and_values_go_on),
                cmocka_unit_test(test_no_value_is_left_where_it_was),
                cmocka_unit_test(test_a_variable_can_be_taken_out),
        };

        return cmocka_run_group_tests(tests, hide, NULL);
}
