#include "base/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BUFFER_FIRST_BYTES 256

void buffer_done(Buffer *buffer) {
        free(buffer->data);
        *buffer = (Buffer) { .size_max = buffer->size_max };
}

int buffer_reserve(Buffer *buffer, size_t more) {
        size_t needed, allocated;
        uint8_t *data;

        if (__builtin_add_overflow(buffer->size, more, &needed))
                return -ENOMEM;
        if (buffer->size_max > 0 && needed > buffer->size_max)
                return -EMSGSIZE;
        if (needed <= buffer->allocated)
                return 0;

        allocated = MAX(buffer->allocated * 2, (size_t) BUFFER_FIRST_BYTES);
        allocated = MAX(allocated, needed);
        data = realloc(buffer->data, allocated);
        if (!data)
                return -ENOMEM;

        buffer->data = data;
        buffer->allocated = allocated;
        return 0;
}

int buffer_append(Buffer *buffer, const void *data, size_t size) {
        int r;

        r = buffer_reserve(buffer, size);
        if (r < 0)
                return r;

        if (size > 0)
                memcpy(buffer->data + buffer->size, data, size);
        buffer->size += size;
        return 0;
}

int buffer_append_text(Buffer *buffer, const char *text) {
        return buffer_append(buffer, text, strlen(text));
}

int buffer_vprintf(Buffer *buffer, const char *format, va_list arguments) {
        _cleanup_free_ char *text = NULL;
        int length;

        length = vasprintf(&text, format, arguments);
        if (length < 0) {
                text = NULL;
                return -ENOMEM;
        }

        return buffer_append(buffer, text, (size_t) length);
}

int buffer_printf(Buffer *buffer, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = buffer_vprintf(buffer, format, arguments);
        va_end(arguments);
        return r;
}

void buffer_consume(Buffer *buffer, size_t size) {
        assert(size <= buffer->size);

        buffer->size -= size;
        if (buffer->size > 0)
                memmove(buffer->data, buffer->data + size, buffer->size);
}

char *buffer_take_text(Buffer *buffer) {
        size_t size_max = buffer->size_max;
        char *text;

        buffer->size_max = 0;  /* the final NUL is not content */
        if (buffer_append(buffer, "", 1) < 0) {
                buffer->size_max = size_max;
                return NULL;
        }

        text = (char *) buffer->data;
        *buffer = (Buffer) { .size_max = size_max };
        return text;
}
