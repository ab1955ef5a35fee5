/* A byte buffer that grows at its end and is consumed at its front, up to a limit that its owner names. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

typedef struct Buffer {
        uint8_t *data;
        size_t size;      /* bytes that are filled */
        size_t allocated;
        size_t size_max;  /* growing past it is -EMSGSIZE; 0 = no limit */
} Buffer;

#define BUFFER_INIT(max) { .size_max = (max) }

/* Frees the bytes; the Buffer itself belongs to the caller and is empty afterwards. */
void buffer_done(Buffer *buffer);

/* Makes room for `more` bytes behind the filled ones. -ENOMEM, or -EMSGSIZE past the limit. */
int buffer_reserve(Buffer *buffer, size_t more);
int buffer_append(Buffer *buffer, const void *data, size_t size);
int buffer_append_text(Buffer *buffer, const char *text);
int buffer_printf(Buffer *buffer, const char *format, ...) _printf_(2, 3);
int buffer_vprintf(Buffer *buffer, const char *format, va_list arguments) _printf_(2, 0);

/* Drops `size` bytes from the front. */
void buffer_consume(Buffer *buffer, size_t size);

/* Hands the bytes over as a NUL-terminated string and leaves the buffer empty. NULL when memory is short. */
char *buffer_take_text(Buffer *buffer);
