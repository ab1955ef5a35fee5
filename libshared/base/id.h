/* Identifiers: 128 bits, written as 32 lower-case hexadecimal digits. The first 48 bits are the time in milliseconds,
 * the other 80 are random, as in a UUID of version 7 (RFC 9562): identifiers made later sort later, which keeps the
 * indexes they stand in compact, and nobody guesses one. */
#pragma once

#include <stdbool.h>

#define ID_TEXT_MAX 33  /* 32 digits and NUL */

/* Fills buffer with a new identifier and returns it. The kernel's generator does not fail once it is seeded. */
char *id_new(char buffer[static ID_TEXT_MAX]);

/* True for 32 lower-case hexadecimal digits and nothing else. */
bool id_valid(const char *text);
