/* Text: comparisons, UTF-8 (RFC 3629), numbers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool text_equal(const char *a, const char *b) {
        return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool text_empty(const char *text) {
        return !text || !*text;
}

/* The rest of text behind prefix, or NULL when it does not start with it. */
const char *text_after(const char *text, const char *prefix);

/* Bytes of the valid UTF-8 sequence at p (1 to 4), or 0: overlong forms, surrogates and what lies past U+10FFFF are
 * invalid. */
size_t utf8_sequence(const uint8_t *p, size_t size);
bool utf8_valid(const char *text, size_t size);

/* Code points in valid UTF-8. */
size_t utf8_count(const char *text);

/* A decimal number, digits only. -EINVAL, -ERANGE past `max`. */
int text_to_unsigned(const char *text, uint64_t max, uint64_t *ret);

/* asprintf() that returns NULL when memory is short. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
