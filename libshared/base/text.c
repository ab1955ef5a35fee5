#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

const char *text_after(const char *text, const char *prefix) {
        size_t length = strlen(prefix);

        return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

size_t utf8_sequence(const uint8_t *p, size_t size) {
        uint32_t code;
        size_t length;

        if (size == 0)
                return 0;
        if (p[0] < 0x80)
                return 1;

        if ((p[0] & 0xe0) == 0xc0) {
                length = 2;
                code = p[0] & 0x1f;
        } else if ((p[0] & 0xf0) == 0xe0) {
                length = 3;
                code = p[0] & 0x0f;
        } else if ((p[0] & 0xf8) == 0xf0) {
                length = 4;
                code = p[0] & 0x07;
        } else
                return 0;

        if (size < length)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (p[i] & 0x3f);
        }

        if (code < (length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u) ||
            code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
                return 0;
        return length;
}

bool utf8_valid(const char *text, size_t size) {
        const uint8_t *p = (const uint8_t *) text;

        while (size > 0) {
                size_t length = utf8_sequence(p, size);

                if (length == 0)
                        return false;
                p += length;
                size -= length;
        }
        return true;
}

size_t utf8_count(const char *text) {
        size_t count = 0;

        for (; *text; text++)
                if (((uint8_t) *text & 0xc0) != 0x80)
                        count++;
        return count;
}

int text_to_unsigned(const char *text, uint64_t max, uint64_t *ret) {
        uint64_t value = 0;
        bool overflow = false;

        if (!*text)
                return -EINVAL;
        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                overflow |= __builtin_mul_overflow(value, 10, &value) ||
                            __builtin_add_overflow(value, (uint64_t) (*text - '0'), &value);
        }
        if (overflow || value > max)
                return -ERANGE;

        *ret = value;
        return 0;
}

char *text_format(const char *format, ...) {
        va_list arguments;
        char *text;
        int length;

        va_start(arguments, format);
        length = vasprintf(&text, format, arguments);
        va_end(arguments);
        return length < 0 ? NULL : text;
}
