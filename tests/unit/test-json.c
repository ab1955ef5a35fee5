/* Trees: reading, building, formatting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/json.h"

static JsonValue *parse(const char *text) {
        JsonValue *value = NULL;

        assert_int_equal(json_parse(text, strlen(text), &value, NULL), 0);
        return value;
}

static void assert_formatted(const char *text, const char *expected) {
        _cleanup_(json_freep) JsonValue *value = parse(text);
        _cleanup_free_ char *formatted = json_format(value);

        assert_string_equal(formatted, expected);
}

static void test_parse_needs_no_nul(void **state) {
        _cleanup_(json_freep) JsonValue *value = NULL;

        (void) state;
        assert_int_equal(json_parse("{\"a\":1}garbage", 7, &value, NULL), 0);
        assert_int_equal(json_get_integer(value, "a", 0), 1);
}

static void test_parse_says_where_and_why(void **state) {
        JsonValue *value = NULL;
        JsonError error;

        (void) state;
        assert_int_equal(json_parse("{\"a\":01}", 8, &value, &error), -EBADMSG);
        assert_int_equal(error.offset, 5);
        assert_string_equal(error.reason, "number with a leading zero");
        assert_null(value);
}

static void test_members_are_found_by_exact_name(void **state) {
        _cleanup_(json_freep) JsonValue *value = parse("{\"Model\":\"x\",\"model\":\"y\",\"gone\":null}");

        (void) state;
        assert_string_equal(json_get_string(value, "model"), "y");
        assert_null(json_get_string(value, "MODEL"));
        assert_non_null(json_member(value, "gone"));
        assert_false(json_has(value, "gone"));
        assert_true(json_has(value, "model"));
}

static void test_reading_what_is_not_there(void **state) {
        _cleanup_(json_freep) JsonValue *array = parse("[1]");

        (void) state;
        assert_null(json_member(NULL, "a"));
        assert_null(json_member(array, "a"));
        assert_null(json_get_string(array, "a"));
        assert_null(json_get_array(NULL, "a"));
        assert_null(json_get_object(NULL, "a"));
        assert_int_equal(json_get_integer(NULL, "a", 7), 7);
        assert_true(json_get_bool(NULL, "a", true));
        assert_false(json_has(NULL, "a"));
}

static void test_reading_of_another_type(void **state) {
        _cleanup_(json_freep) JsonValue *value = parse("{\"n\":1,\"s\":\"1\",\"f\":1.5,\"a\":[],\"o\":{}}");

        (void) state;
        assert_null(json_get_string(value, "n"));
        assert_int_equal(json_get_integer(value, "s", -1), -1);
        assert_int_equal(json_get_integer(value, "f", -1), -1);
        assert_true(json_get_bool(value, "n", true));
        assert_null(json_get_array(value, "o"));
        assert_null(json_get_object(value, "a"));
        assert_non_null(json_get_array(value, "a"));
        assert_non_null(json_get_object(value, "o"));
}

static void test_integers(void **state) {
        _cleanup_(json_freep) JsonValue *value =
                parse("{\"a\":9007199254740992,\"b\":-9007199254740992,\"c\":1e3,\"d\":1e17,\"e\":1.5}");

        (void) state;
        assert_int_equal(json_get_integer(value, "a", 0), JSON_INTEGER_MAX);
        assert_int_equal(json_get_integer(value, "b", 0), -JSON_INTEGER_MAX);
        assert_int_equal(json_get_integer(value, "c", 0), 1000);
        assert_false(json_is_integer(json_member(value, "d")));
        assert_false(json_is_integer(json_member(value, "e")));
        assert_false(json_is_integer(NULL));
}

static void test_building(void **state) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        JsonValue *array = json_new_array();
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_int_equal(json_append(array, cJSON_CreateString("x")), 0);
        assert_int_equal(json_add(object, "list", array), 0);
        assert_int_equal(json_add_string(object, "text", "é\"\n"), 0);
        assert_int_equal(json_add_string(object, "none", NULL), 0);
        assert_int_equal(json_add_integer(object, "n", -3), 0);
        assert_int_equal(json_add_bool(object, "t", true), 0);
        assert_int_equal(json_add_null(object, "z"), 0);
        text = json_format(object);
        assert_string_equal(text, "{\"list\":[\"x\"],\"text\":\"é\\\"\\n\",\"n\":-3,\"t\":true,\"z\":null}");
}

static void test_building_without_memory(void **state) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();

        (void) state;
        assert_int_equal(json_add(object, "a", NULL), -ENOMEM);
        assert_int_equal(json_append(object, NULL), -ENOMEM);
        assert_int_equal(json_add(NULL, "a", json_new_array()), -ENOMEM);  /* takes it over all the same */
        assert_int_equal(json_add_integer(NULL, "a", 1), -ENOMEM);
        assert_null(json_member(object, "a"));
}

static unsigned allocations_left;

static void *scarce_malloc(size_t size) {
        return allocations_left > 0 ? allocations_left--, malloc(size) : NULL;
}

/* Whichever allocation fails, nothing is leaked (the sanitizer sees to that) and the error is this one. */
static void test_parsing_without_memory(void **state) {
        static const char text[] = "{\"a\":[1,\"x\",{}],\"b\":null}";
        cJSON_Hooks scarce = { scarce_malloc, free };
        JsonValue *value = NULL;
        unsigned given = 0;
        int r;

        (void) state;
        cJSON_InitHooks(&scarce);
        do {
                allocations_left = given++;
                r = json_parse(text, strlen(text), &value, NULL);
        } while (r == -ENOMEM && given < 100);
        cJSON_InitHooks(NULL);
        json_free(value);

        assert_int_equal(r, 0);
        assert_true(given > 8);
}

static void test_building_an_integer_beyond_exactness(void **state) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();

        (void) state;
        assert_int_equal(json_add_integer(object, "a", JSON_INTEGER_MAX), 0);
        assert_int_equal(json_add_integer(object, "b", JSON_INTEGER_MAX + 1), -EINVAL);
        assert_int_equal(json_add_integer(object, "c", -JSON_INTEGER_MAX - 1), -EINVAL);
        assert_int_equal(json_add_integer(object, "d", INT64_MIN), -EINVAL);
        assert_false(json_has(object, "b"));
}

static void test_integers_are_formatted_exactly(void **state) {
        (void) state;
        assert_formatted("9007199254740992", "9007199254740992");
        assert_formatted("-9007199254740991", "-9007199254740991");
        assert_formatted("1e15", "1000000000000000");
        assert_formatted("4294967296", "4294967296");
        assert_formatted("-0", "0");
}

static void test_reals_are_formatted_shortest(void **state) {
        (void) state;
        assert_formatted("0.1", "0.1");
        assert_formatted("0.30000000000000004", "0.30000000000000004");
        assert_formatted("1e300", "1e+300");
        assert_formatted("5e-324", "4.94065645841247e-324");
}

static void test_reals_past_exact_integers_do_not_look_like_integers(void **state) {
        (void) state;
        assert_formatted("9007199254740994.0", "9007199254740994.0");
        assert_formatted("-1.8014398509481988e16", "-18014398509481988.0");
        assert_formatted("1e16", "1e+16");
}

static void test_not_finite_is_formatted_as_null(void **state) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_int_equal(json_append(array, cJSON_CreateNumber(NAN)), 0);
        assert_int_equal(json_append(array, cJSON_CreateNumber(INFINITY)), 0);
        text = json_format(array);
        assert_string_equal(text, "[null,null]");
}

static void test_strings_are_escaped(void **state) {
        (void) state;
        assert_formatted("\"\\u0001\\b\\f\\n\\r\\t\\/\\\\\\\"\\u007f\\u00e9\\ud83d\\ude00\"",
                         "\"\\u0001\\b\\f\\n\\r\\t/\\\\\\\"\x7f\xc3\xa9\xf0\x9f\x98\x80\"");
        assert_formatted("{\"\\n\":{}}", "{\"\\n\":{}}");
}

static void test_what_is_not_utf8_is_replaced(void **state) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_int_equal(json_add_string(object, "a", "x\xff\xe2\x82"), 0);
        text = json_format(object);
        assert_string_equal(text, "{\"a\":\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
}

static void test_raw_text_is_put_in_as_it_is(void **state) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_int_equal(json_add(object, "a", cJSON_CreateRaw("{\"b\":[1]}")), 0);
        text = json_format(object);
        assert_string_equal(text, "{\"a\":{\"b\":[1]}}");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_needs_no_nul),
                cmocka_unit_test(test_parse_says_where_and_why),
                cmocka_unit_test(test_members_are_found_by_exact_name),
                cmocka_unit_test(test_reading_what_is_not_there),
                cmocka_unit_test(test_reading_of_another_type),
                cmocka_unit_test(test_integers),
                cmocka_unit_test(test_building),
                cmocka_unit_test(test_building_without_memory),
                cmocka_unit_test(test_parsing_without_memory),
                cmocka_unit_test(test_building_an_integer_beyond_exactness),
                cmocka_unit_test(test_integers_are_formatted_exactly),
                cmocka_unit_test(test_reals_are_formatted_shortest),
                cmocka_unit_test(test_reals_past_exact_integers_do_not_look_like_integers),
                cmocka_unit_test(test_not_finite_is_formatted_as_null),
                cmocka_unit_test(test_strings_are_escaped),
                cmocka_unit_test(test_what_is_not_utf8_is_replaced),
                cmocka_unit_test(test_raw_text_is_put_in_as_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
