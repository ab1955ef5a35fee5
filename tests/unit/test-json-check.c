/* What json_check() takes and what it refuses, where and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/text.h"

static void assert_taken_bytes(const char *text, size_t size) {
        JsonError error = { 0, "" };

        if (json_check(text, size, &error) < 0)
                fail_msg("%.*s: refused at %zu: %s", (int) size, text, error.offset, error.reason);
}

static void assert_taken(const char *text) {
        assert_taken_bytes(text, strlen(text));
}

static void assert_refused_bytes(const char *text, size_t size, size_t offset, const char *reason) {
        JsonError error = { SIZE_MAX, "taken" };

        if (json_check(text, size, &error) != -EBADMSG || strcmp(error.reason, reason) != 0 || error.offset != offset)
                fail_msg("%.*s: at %zu: %s (expected at %zu: %s)", (int) size, text, error.offset, error.reason,
                         offset, reason);
}

static void assert_refused(const char *text, size_t offset, const char *reason) {
        assert_refused_bytes(text, strlen(text), offset, reason);
}

/* before × count, middle, after × count */
static char *repeat(const char *before, const char *middle, const char *after, size_t count) {
        Buffer buffer = BUFFER_INIT(0);

        for (size_t i = 0; i < count; i++)
                assert_int_equal(buffer_append_text(&buffer, before), 0);
        assert_int_equal(buffer_append_text(&buffer, middle), 0);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(buffer_append_text(&buffer, after), 0);
        return buffer_take_text(&buffer);
}

static char *object_of(size_t members) {
        Buffer buffer = BUFFER_INIT(0);

        for (size_t i = 0; i < members; i++)
                assert_int_equal(buffer_printf(&buffer, "%s\"m%zu\":1", i ? "," : "{", i), 0);
        assert_int_equal(buffer_append_text(&buffer, "}"), 0);
        return buffer_take_text(&buffer);
}

static void test_every_kind_of_value(void **state) {
        (void) state;
        assert_taken("null");
        assert_taken("true");
        assert_taken("false");
        assert_taken("\"\"");
        assert_taken("0");
        assert_taken("[]");
        assert_taken("{}");
        assert_taken(" \t\r\n{ \"a\" : [ 1 , { } , \"b\" ] , \"c\" : null } \n");
}

static void test_what_is_no_value(void **state) {
        (void) state;
        assert_refused("", 0, "value expected");
        assert_refused("  ", 2, "value expected");
        assert_refused("nul", 0, "value expected");
        assert_refused("True", 0, "value expected");
        assert_refused("NaN", 0, "value expected");
        assert_refused("-Infinity", 0, "value expected");
        assert_refused("'a'", 0, "value expected");
        assert_refused("\xef\xbb\xbf{}", 0, "value expected");
        assert_refused("\v1", 0, "value expected");
}

static void test_trailing_bytes(void **state) {
        (void) state;
        assert_refused("{}x", 2, "text behind the value");
        assert_refused("1 2", 2, "text behind the value");
        assert_refused("nullnull", 4, "text behind the value");
        assert_refused_bytes("{}\0", 3, 2, "text behind the value");
}

static void test_broken_containers(void **state) {
        (void) state;
        assert_refused("[", 1, "value expected");
        assert_refused("[1", 2, "comma or closing bracket expected");
        assert_refused("[1,]", 3, "value expected");
        assert_refused("[1 2]", 3, "comma or closing bracket expected");
        assert_refused("[1}", 2, "comma or closing bracket expected");
        assert_refused("{", 1, "name expected");
        assert_refused("{a:1}", 1, "name expected");
        assert_refused("{\"a\"}", 4, "colon expected");
        assert_refused("{\"a\":}", 5, "value expected");
        assert_refused("{\"a\":1,}", 7, "name expected");
        assert_refused("{\"a\":1]", 6, "comma or closing brace expected");
        assert_refused("{\"a\":1 \"b\":2}", 7, "comma or closing brace expected");
}

static void test_numbers(void **state) {
        (void) state;
        assert_taken("-0");
        assert_taken("10");
        assert_taken("1.5");
        assert_taken("-1.25e-3");
        assert_taken("1E+2");
        assert_taken("0e0");
        assert_refused("01", 0, "number with a leading zero");
        assert_refused("-01", 0, "number with a leading zero");
        assert_refused("+1", 0, "value expected");
        assert_refused("-", 0, "value expected");
        assert_refused(".5", 0, "value expected");
        assert_refused("1.", 0, "fraction without digits");
        assert_refused("1.e1", 0, "fraction without digits");
        assert_refused("1e", 0, "exponent without digits");
        assert_refused("1e+", 0, "exponent without digits");
        assert_refused("0x10", 1, "text behind the value");
        assert_refused("1_000", 1, "text behind the value");
}

static void test_integers_to_two_to_the_53(void **state) {
        (void) state;
        assert_taken("9007199254740992");
        assert_taken("-9007199254740992");
        assert_refused("9007199254740993", 0, "integer beyond 2^53");
        assert_refused("-9007199254740993", 0, "integer beyond 2^53");
        assert_refused("[18446744073709551617]", 1, "integer beyond 2^53");
        assert_taken("9007199254740994.0");
}

static void test_finite_numbers_only(void **state) {
        (void) state;
        assert_taken("1.7976931348623157e308");
        assert_refused("1.8e308", 0, "number out of range");
        assert_refused("1e999", 0, "number out of range");
        assert_refused("-1e999", 0, "number out of range");
        assert_taken("1e-999");
}

static void test_number_length(void **state) {
        char text[] = "0.00000000000000000000000000000000000000000000000000000000000000";

        (void) state;
        assert_int_equal(strlen(text), 64);
        assert_taken_bytes(text, 63);
        assert_refused(text, 0, "number too long");
}

static void test_escapes(void **state) {
        (void) state;
        assert_taken("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uABCD\"");
        assert_refused("\"\\x41\"", 1, "unknown escape");
        assert_refused("\"\\'\"", 1, "unknown escape");
        assert_refused_bytes("\"\\\0\"", 4, 1, "unknown escape");
        assert_refused("\"\\", 2, "unfinished string");
        assert_refused("\"\\u12", 1, "\\u without four hexadecimal digits");
        assert_refused("\"\\u12g4\"", 1, "\\u without four hexadecimal digits");
}

static void test_escaped_nul(void **state) {
        (void) state;
        assert_refused("\"a\\u0000b\"", 2, "\\u0000");
        assert_refused("{\"\\u0000\":1}", 2, "\\u0000");
        assert_taken("\"\\u0001\"");
}

static void test_surrogates(void **state) {
        (void) state;
        assert_taken("\"\\ud83d\\ude00\"");
        assert_taken("\"\\uD800\\uDC00\\udbff\\udfff\"");
        assert_refused("\"\\ud83d\"", 1, "lone surrogate");
        assert_refused("\"\\ude00\"", 1, "lone surrogate");
        assert_refused("\"\\ud83d\\ud83d\"", 1, "lone surrogate");
        assert_refused("\"\\ud83dxude00\"", 1, "lone surrogate");
        assert_refused("\"\\ud83d\\u0041\"", 1, "lone surrogate");
        assert_refused("\"\\ude00\\ud83d\"", 1, "lone surrogate");
        assert_refused("\"\\ude00\\ude00\"", 1, "lone surrogate");
}

static void test_control_characters(void **state) {
        (void) state;
        assert_refused("\"a\nb\"", 2, "control character in a string");
        assert_refused("\"\x1f\"", 1, "control character in a string");
        assert_refused_bytes("\"\0\"", 3, 1, "control character in a string");
        assert_taken("\" \x7f\"");
}

static void test_utf8(void **state) {
        (void) state;
        assert_taken("\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf\"");
        assert_refused("\"\xff\"", 1, "invalid UTF-8");
        assert_refused("\"\x80\"", 1, "invalid UTF-8");
        assert_refused("\"\xc0\xaf\"", 1, "invalid UTF-8");
        assert_refused("\"\xe0\x80\xaf\"", 1, "invalid UTF-8");
        assert_refused("\"\xed\xa0\x80\"", 1, "invalid UTF-8");
        assert_refused("\"\xf4\x90\x80\x80\"", 1, "invalid UTF-8");
        assert_refused("\"\xe2\x82\"", 1, "invalid UTF-8");
        assert_refused("{\"\xff\":1}", 2, "invalid UTF-8");
}

static void test_unfinished_strings(void **state) {
        (void) state;
        assert_refused("\"", 1, "unfinished string");
        assert_refused("\"abc", 4, "unfinished string");
        assert_refused("\"abc\\\"", 6, "unfinished string");
}

/* The scan goes by eight bytes: what ends or breaks a string must be seen at each of their places. */
static void test_each_place_in_a_long_string(void **state) {
        (void) state;
        for (size_t place = 1; place < 25; place++) {
                char text[] = "\"abcdefghijklmnopqrstuvwxyz\"";

                text[place] = '\x01';
                assert_refused(text, place, "control character in a string");
                text[place] = '\x1f';
                assert_refused(text, place, "control character in a string");
                text[place] = '\xff';
                assert_refused(text, place, "invalid UTF-8");
                text[place] = '"';
                assert_refused(text, place + 1, "text behind the value");
                text[place] = '\\';
                text[place + 1] = 'x';
                assert_refused(text, place, "unknown escape");
                text[place + 1] = 'n';
                assert_taken(text);
        }
}

static void test_duplicate_names(void **state) {
        (void) state;
        assert_refused("{\"a\":1,\"a\":2}", 7, "duplicate name");
        assert_refused("{\"a\":1,\"b\":2,\"a\":3}", 13, "duplicate name");
        assert_refused("{\"\":1,\"\":2}", 6, "duplicate name");
        assert_refused("[{\"x\":{\"a\":1,\"a\":2}}]", 13, "duplicate name");
}

static void test_duplicate_names_differently_escaped(void **state) {
        (void) state;
        assert_refused("{\"a\":1,\"\\u0061\":2}", 7, "duplicate name");
        assert_refused("{\"\\n\":1,\"\\u000a\":2}", 8, "duplicate name");
        assert_refused("{\"/\":1,\"\\/\":2}", 7, "duplicate name");
        assert_refused("{\"\\\\\":1,\"\\u005C\":2}", 8, "duplicate name");
        assert_refused("{\"\xc3\xa9\":1,\"\\u00E9\":2}", 8, "duplicate name");
        assert_refused("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", 10, "duplicate name");
}

static void test_names_that_are_not_duplicates(void **state) {
        (void) state;
        assert_taken("{\"a\":1,\"A\":2,\"aa\":3,\"\":4,\"\\\\u0061\":5}");
        assert_taken("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}");
        assert_taken("[{\"a\":1},{\"a\":2}]");
}

static void test_name_after_a_nested_object_is_still_known(void **state) {
        (void) state;
        assert_refused("{\"a\":{\"b\":1,\"c\":2},\"a\":2}", 19, "duplicate name");
        assert_taken("{\"a\":{\"b\":1,\"c\":2},\"b\":2}");
}

static void test_depth_limit(void **state) {
        _cleanup_free_ char *arrays = repeat("[", "1", "]", JSON_DEPTH_MAX);
        _cleanup_free_ char *objects = repeat("{\"a\":", "1", "}", JSON_DEPTH_MAX);
        _cleanup_free_ char *deeper_arrays = repeat("[", "", "]", JSON_DEPTH_MAX + 1);
        _cleanup_free_ char *deeper_objects = repeat("{\"a\":", "1", "}", JSON_DEPTH_MAX + 1);
        _cleanup_free_ char *bomb = repeat("[", "", "", 1000000);

        (void) state;
        assert_taken(arrays);
        assert_taken(objects);
        assert_refused(deeper_arrays, JSON_DEPTH_MAX, "nested too deeply");
        assert_refused(deeper_objects, 5 * JSON_DEPTH_MAX, "nested too deeply");
        assert_refused(bomb, JSON_DEPTH_MAX, "nested too deeply");
}

static void test_members_limit(void **state) {
        _cleanup_free_ char *most = object_of(JSON_MEMBERS_MAX), *over = object_of(JSON_MEMBERS_MAX + 1);

        (void) state;
        assert_taken(most);
        assert_refused(over, (size_t) (strstr(over, "\"m256\"") - over), "too many members in an object");
}

static void test_names_of_all_open_objects_fit(void **state) {
        Buffer buffer = BUFFER_INIT(0);
        _cleanup_free_ char *text = NULL;

        (void) state;
        for (size_t depth = 0; depth < JSON_DEPTH_MAX; depth++) {
                assert_int_equal(buffer_append_text(&buffer, "{"), 0);
                for (size_t i = 1; i < JSON_MEMBERS_MAX; i++)
                        assert_int_equal(buffer_printf(&buffer, "\"m%zu\":1,", i), 0);
                assert_int_equal(buffer_append_text(&buffer, "\"last\":"), 0);
        }
        assert_int_equal(buffer_append_text(&buffer, "1"), 0);
        for (size_t depth = 0; depth < JSON_DEPTH_MAX; depth++)
                assert_int_equal(buffer_append_text(&buffer, "}"), 0);
        text = buffer_take_text(&buffer);
        assert_taken(text);
}

static void test_elements_limit(void **state) {
        /* the array itself is one of the values */
        _cleanup_free_ char *most = repeat("1,", "", "", JSON_ELEMENTS_MAX - 1);
        _cleanup_free_ char *over = repeat("1,", "", "", JSON_ELEMENTS_MAX);
        _cleanup_free_ char *most_text = NULL, *over_text = NULL;

        (void) state;
        most[strlen(most) - 1] = 0;
        over[strlen(over) - 1] = 0;
        most_text = text_format("[%s]", most);
        over_text = text_format("[%s]", over);
        assert_taken(most_text);
        assert_refused(over_text, 1 + 2 * (JSON_ELEMENTS_MAX - 1), "too many values");
}

static void test_nothing_is_read_past_the_end(void **state) {
        static const char *const texts[] = { "{\"a\\ud83d\\ude00\":[1.5e3,\"\xe2\x82\xac\",true,null]}", "-12",
                                             "\"\\u0041\"" };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++)
                for (size_t size = 0; size < strlen(texts[i]); size++) {
                        _cleanup_free_ char *exact = malloc(size + 1);  /* the sanitizer watches its end */
                        char *start = exact + 1;

                        memcpy(start, texts[i], size);
                        if (texts[i][0] == '-')
                                assert_int_equal(json_check(start, size, NULL), size < 2 ? -EBADMSG : 0);
                        else
                                assert_int_equal(json_check(start, size, NULL), -EBADMSG);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_kind_of_value),
                cmocka_unit_test(test_what_is_no_value),
                cmocka_unit_test(test_trailing_bytes),
                cmocka_unit_test(test_broken_containers),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_integers_to_two_to_the_53),
                cmocka_unit_test(test_finite_numbers_only),
                cmocka_unit_test(test_number_length),
                cmocka_unit_test(test_escapes),
                cmocka_unit_test(test_escaped_nul),
                cmocka_unit_test(test_surrogates),
                cmocka_unit_test(test_control_characters),
                cmocka_unit_test(test_utf8),
                cmocka_unit_test(test_unfinished_strings),
                cmocka_unit_test(test_each_place_in_a_long_string),
                cmocka_unit_test(test_duplicate_names),
                cmocka_unit_test(test_duplicate_names_differently_escaped),
                cmocka_unit_test(test_names_that_are_not_duplicates),
                cmocka_unit_test(test_name_after_a_nested_object_is_still_known),
                cmocka_unit_test(test_depth_limit),
                cmocka_unit_test(test_members_limit),
                cmocka_unit_test(test_names_of_all_open_objects_fit),
                cmocka_unit_test(test_elements_limit),
                cmocka_unit_test(test_nothing_is_read_past_the_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
