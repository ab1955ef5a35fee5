/* Text of others made fit to be shown and sent on. */
#pragma once

#include <stddef.h>

/* Valid UTF-8 of text[0..size): what is not becomes U+FFFD, terminal colours and other escape sequences are dropped,
 * control characters but the newline become a space. The caller frees it; NULL when memory is short. */
char *text_clean(const char *text, size_t size);

/* At most bytes_max bytes of valid UTF-8, cut between two characters; what is cut ends with "…". bytes_max is at least
 * 3. The caller frees it; NULL when memory is short. */
char *text_cut(const char *text, size_t bytes_max);
