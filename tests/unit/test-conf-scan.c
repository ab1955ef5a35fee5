/* What libconfig would let pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "conf/conf-scan.h"

static void assert_scanned_bytes(const char *text, size_t size, const char *expected) {
        Buffer errors = BUFFER_INIT(0);
        _cleanup_free_ char *found = NULL;
        int lines = 0;

        for (const char *p = expected; *p; p++)
                lines += *p == '\n';
        assert_int_equal(conf_scan("f", text, size, &errors), lines);
        found = buffer_take_text(&errors);
        assert_string_equal(found, expected);
}

static void assert_scanned(const char *text, const char *expected) {
        assert_scanned_bytes(text, strlen(text), expected);
}

#define TOO_LONG "integer beyond 32 bits; expected a smaller one, or the suffix L\n"
#define TOO_LONG_64 "integer beyond 64 bits; expected a smaller one\n"
#define INCLUDE "\"@\" outside a string; expected settings (files cannot include others)\n"

static void test_integers_of_32_bits(void **state) {
        (void) state;
        assert_scanned("a = 2147483647; b = -2147483648; c = 0x7fffffff; d = +5; e = 1.5e99; f = 99999999999.5;", "");
        assert_scanned("a = 2147483648;\nb = -2147483649;\nc = 0x80000000;\n",
                       "f:1: " TOO_LONG "f:2: " TOO_LONG "f:3: " TOO_LONG);
        assert_scanned("a = [ 1,\n 5000000000 ];", "f:2: " TOO_LONG);
}

static void test_integers_of_64_bits(void **state) {
        (void) state;
        assert_scanned("a = 5000000000L; b = 9223372036854775807LL; c = -9223372036854775808L;", "");
        assert_scanned("a = 9223372036854775808L;\nb = 0x8000000000000000L;", "f:1: " TOO_LONG_64 "f:2: " TOO_LONG_64);
        assert_scanned("a = 99999999999999999999;", "f:1: " TOO_LONG_64);
}

static void test_digits_that_are_no_integers(void **state) {
        (void) state;
        assert_scanned("a5000000000 = \"5000000000\"; # 5000000000\n// 5000000000\n/* 5000000000\n5000000000 */ "
                       "b-5000000000 = 1;",
                       "");
}

static void test_include_is_refused(void **state) {
        (void) state;
        assert_scanned("@include \"x\"\n", "f:1: " INCLUDE);
        assert_scanned("a = 1;\n \t@include \"x\"\n", "f:2: " INCLUDE);
        assert_scanned("/* */ @include \"x\"", "f:1: " INCLUDE);
        assert_scanned("a = \"\\\\\" ;\n@include \"x\"", "f:2: " INCLUDE);
        assert_scanned("# a\n@include \"x\"", "f:2: " INCLUDE);
        assert_scanned("//* a\n@include \"x\" //*/", "f:2: " INCLUDE);
}

static void test_include_in_strings_and_comments_is_text(void **state) {
        (void) state;
        assert_scanned("a = \"\n@include \\\"x\\\"\n\"; # @include \"x\"\n/*\n@include \"x\"\n*/", "");
}

static void test_lines_are_counted_in_strings_and_comments(void **state) {
        (void) state;
        assert_scanned("/* \n\n */ a = \"\n\n\"; b = \n@", "f:6: " INCLUDE);
}

static void test_unfinished_strings_and_comments(void **state) {
        (void) state;
        assert_scanned("\na = \"b\n\n", "f:2: string without an end; expected a closing quote\n");
        assert_scanned("a = \"b\\\"", "f:1: string without an end; expected a closing quote\n");
        assert_scanned("\n/* b\n", "f:2: comment without an end; expected \"*/\"\n");
        assert_scanned("/*/", "f:1: comment without an end; expected \"*/\"\n");
}

static void test_nul_characters(void **state) {
        (void) state;
        assert_scanned("a = \"b\\x00c\";", "f:1: string with a NUL character; expected text\n");
        assert_scanned("a = \"b\\X00\";", "f:1: string with a NUL character; expected text\n");
        assert_scanned("a = \"b\\\\x00 \\x01 x00\";", "");
        assert_scanned_bytes("a = 1;\n\0b", 9, "f:2: NUL byte; expected text\n");
}

static void test_text_must_be_utf8(void **state) {
        (void) state;
        assert_scanned("a = \"\xc3\xa9\"; # \xe2\x82\xac", "");
        assert_scanned("# \xff", "f: not UTF-8; expected a text file\n");
}

static void test_depth_limit(void **state) {
        (void) state;
        assert_scanned("a = ((((((((1))))))));", "");
        assert_scanned("a = ((((\n(((((1)))))))));", "f:2: nested too deeply; expected at most 8 levels\n");
        assert_scanned("a = [1]; b = [1]; c = [1]; d = [1]; e = [1]; f = [1]; g = [1]; h = [1]; i = [1];", "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_integers_of_32_bits),
                cmocka_unit_test(test_integers_of_64_bits),
                cmocka_unit_test(test_digits_that_are_no_integers),
                cmocka_unit_test(test_include_is_refused),
                cmocka_unit_test(test_include_in_strings_and_comments_is_text),
                cmocka_unit_test(test_lines_are_counted_in_strings_and_comments),
                cmocka_unit_test(test_unfinished_strings_and_comments),
                cmocka_unit_test(test_nul_characters),
                cmocka_unit_test(test_text_must_be_utf8),
                cmocka_unit_test(test_depth_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
