/* Foreign text made fit to be shown: what could steer a terminal is escaped, and columns are counted. */
#pragma once

#include <stddef.h>

/* A copy on one line: control characters, invalid UTF-8 and the marks that turn the direction of writing become
 * \n, \t, \xNN or \u{NNNN}. At most columns_max columns, then "…" takes the last of them; 0 = no limit. NULL when
 * memory is short. */
char *printable_text(const char *text, size_t columns_max);

/* Columns of a terminal that the text takes: 2 for wide characters, 0 for those that combine. */
size_t printable_columns(const char *text);
