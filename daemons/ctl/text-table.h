/* A table for people: columns that line up below a heading. */
#pragma once

#include <stdio.h>

#include "base/macro.h"
#include "base/time.h"

typedef struct TextTable TextTable;

/* `headings` end with NULL and outlive the table; one that begins with '>' (which is not shown) has its column written
 * to the right, for numbers. */
int text_table_new(TextTable **ret, const char *const headings[]);
TextTable *text_table_free(TextTable *table);
DEFINE_CLEANUP(TextTable *, text_table_free);

/* The next cell, rows filled from left to right. NULL and "" are shown as "-", foreign text escaped, and cut to
 * columns_max (0 = not). A failure is remembered for text_table_print(). */
void text_table_add(TextTable *table, const char *text, size_t columns_max);
void text_table_add_number(TextTable *table, int64_t number);
void text_table_add_time(TextTable *table, int64_t realtime);  /* microseconds; below 0: none */
void text_table_add_size(TextTable *table, int64_t bytes);

size_t text_table_rows(const TextTable *table);

/* -ENOMEM when a cell is missing. The heading stands out on a terminal, unless NO_COLOR is set. */
int text_table_print(const TextTable *table, FILE *stream);
