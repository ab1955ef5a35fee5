/* What atelierctl prints for people: tables, foreign text, sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "printable.h"
#include "size-text.h"
#include "text-table.h"

static const char *const headings[] = { "NAME", ">COUNT", "TEXT", NULL };

static void assert_printed(TextTable *table, const char *expected) {
        char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        assert_int_equal(text_table_print(table, stream), 0);
        assert_int_equal(fclose(stream), 0);
        assert_string_equal(text, expected);
        free(text);
}

static void test_columns_line_up(void **state) {
        _cleanup_(text_table_freep) TextTable *table = NULL;

        (void) state;
        assert_int_equal(text_table_new(&table, headings), 0);
        text_table_add(table, "a", 0);
        text_table_add_number(table, 7);
        text_table_add(table, "first", 0);
        text_table_add(table, "longer name", 0);
        text_table_add_number(table, -123456);
        text_table_add(table, NULL, 0);
        assert_int_equal(text_table_rows(table), 2);
        assert_printed(table, "NAME           COUNT  TEXT\n"
                              "a                  7  first\n"
                              "longer name  -123456  -\n");
}

static void test_wide_and_combining_characters_take_their_columns(void **state) {
        _cleanup_(text_table_freep) TextTable *table = NULL;

        (void) state;
        assert_int_equal(text_table_new(&table, headings), 0);
        text_table_add(table, "絵", 0);
        text_table_add_number(table, 1);
        text_table_add(table, "x", 0);
        text_table_add(table, "e\u0301te\u0301", 0);
        text_table_add_number(table, 2);
        text_table_add(table, "y", 0);
        assert_printed(table, "NAME  COUNT  TEXT\n"
                              "絵        1  x\n"
                              "e\u0301te\u0301       2  y\n");
        assert_int_equal(printable_columns("絵e\u0301"), 3);
}

static void test_times_and_sizes(void **state) {
        static const char *const columns[] = { "AT", ">SIZE", NULL };
        _cleanup_(text_table_freep) TextTable *table = NULL;

        (void) state;
        assert_int_equal(text_table_new(&table, columns), 0);
        text_table_add_time(table, INT64_C(1700000000) * 1000000);
        text_table_add_size(table, 12345678);
        text_table_add_time(table, -1);
        text_table_add_size(table, 5);
        assert_printed(table, "AT                       SIZE\n"
                              "2023-11-14T22:13:20Z  12.3 MB\n"
                              "-                         5 B\n");
}

static void assert_printable(const char *text, size_t columns_max, const char *expected) {
        _cleanup_free_ char *shown = printable_text(text, columns_max);

        assert_string_equal(shown, expected);
}

static void test_what_steers_a_terminal_is_escaped(void **state) {
        (void) state;
        assert_printable("a\x1b[31mb", 0, "a\\x1b[31mb");
        assert_printable("two\nlines\tand\rmore", 0, "two\\nlines\\tand\\x0dmore");
        assert_printable("\x7f\xc2\x9b", 0, "\\x7f\\x9b");
        assert_printable("\u202eevil\u2066", 0, "\\u{202e}evil\\u{2066}");
        assert_printable("bad \xff\xc0\x80", 0, "bad \\xff\\xc0\\x80");
        assert_printable("plain äöü 絵", 0, "plain äöü 絵");
        assert_printable("", 0, "");
}

static void test_long_text_is_cut_at_its_columns(void **state) {
        (void) state;
        assert_printable("12345", 5, "12345");
        assert_printable("123456", 5, "1234…");
        assert_printable("絵絵絵", 6, "絵絵絵");
        assert_printable("絵絵絵", 5, "絵絵…");
        assert_printable("絵絵絵", 4, "絵…");
        assert_printable("1234\n", 5, "1234…");
        assert_printable("12", 1, "…");
}

static void assert_size(uint64_t bytes, const char *expected) {
        char text[SIZE_TEXT_MAX];

        assert_string_equal(size_text(bytes, text), expected);
}

static void test_sizes_take_the_unit_that_fits(void **state) {
        (void) state;
        assert_size(0, "0 B");
        assert_size(999, "999 B");
        assert_size(1000, "1.0 kB");
        assert_size(999949, "999.9 kB");
        assert_size(999950, "1.0 MB");
        assert_size(2000000000, "2.0 GB");
        assert_size(UINT64_MAX, "18.4 EB");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_columns_line_up),
                cmocka_unit_test(test_wide_and_combining_characters_take_their_columns),
                cmocka_unit_test(test_times_and_sizes),
                cmocka_unit_test(test_what_steers_a_terminal_is_escaped),
                cmocka_unit_test(test_long_text_is_cut_at_its_columns),
                cmocka_unit_test(test_sizes_take_the_unit_that_fits),
        };

        (void) setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
