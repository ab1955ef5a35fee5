/* The nearest known name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "conf/conf-error.h"

static const char *const names[] = { "hosts", "public_url", "body_bytes_max", "idle_timeout", "ab" };

static const char *nearest(const char *name) {
        return conf_nearest(name, names, ELEMENTS(names));
}

static void test_one_letter_off(void **state) {
        (void) state;
        assert_string_equal(nearest("host"), "hosts");
        assert_string_equal(nearest("hostss"), "hosts");
        assert_string_equal(nearest("hozts"), "hosts");
        assert_string_equal(nearest("ac"), "ab");
}

static void test_a_third_of_the_letters_off(void **state) {
        (void) state;
        assert_string_equal(nearest("body_byte_mx"), "body_bytes_max");
        assert_string_equal(nearest("idle-timeout"), "idle_timeout");
        assert_string_equal(nearest("pubic_uri"), "public_url");
}

static void test_nothing_near(void **state) {
        (void) state;
        assert_null(nearest("port"));
        assert_null(nearest("xy"));
        assert_null(nearest(""));
        assert_null(conf_nearest("hosts", names, 0));
}

static void test_length_limit(void **state) {
        char name[CONF_NEAREST_BYTES_MAX + 2], known[CONF_NEAREST_BYTES_MAX + 2];
        const char *const long_names[] = { known };

        (void) state;
        memset(name, 'a', sizeof(name));
        name[CONF_NEAREST_BYTES_MAX] = 0;
        memset(known, 'a', sizeof(known));
        known[CONF_NEAREST_BYTES_MAX - 1] = 0;
        assert_ptr_equal(conf_nearest(name, long_names, 1), known);

        name[CONF_NEAREST_BYTES_MAX] = 'a';
        name[CONF_NEAREST_BYTES_MAX + 1] = 0;
        assert_null(conf_nearest(name, long_names, 1));

        memset(known, 'a', sizeof(known));
        known[CONF_NEAREST_BYTES_MAX + 1] = 0;
        name[CONF_NEAREST_BYTES_MAX] = 0;
        assert_null(conf_nearest(name, long_names, 1));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_letter_off),
                cmocka_unit_test(test_a_third_of_the_letters_off),
                cmocka_unit_test(test_nothing_near),
                cmocka_unit_test(test_length_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
