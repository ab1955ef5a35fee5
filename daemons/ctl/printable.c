#include "printable.h"

#include <stdio.h>
#include <wchar.h>

#include "base/buffer.h"
#include "base/text.h"

#define ELLIPSIS "…"
#define ESCAPE_MAX 16

/* The code point of a sequence whose length utf8_sequence() has told. */
static uint32_t decode(const uint8_t *p, size_t length) {
        uint32_t code;

        if (length == 1)
                return p[0];
        code = p[0] & (0x7fu >> length);
        for (size_t i = 1; i < length; i++)
                code = code << 6 | (p[i] & 0x3f);
        return code;
}

/* wcwidth() knows only the characters of the locale; of others it is guessed that they are as most are. */
static size_t columns_of(uint32_t code) {
        int columns = wcwidth((wchar_t) code);

        return columns < 0 ? 1 : (size_t) columns;
}

static bool turns_direction(uint32_t code) {
        return code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
               (code >= 0x2066 && code <= 0x2069);
}

static bool needs_escape(uint32_t code) {
        return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x2028 || code == 0x2029 ||
               turns_direction(code);
}

/* Writes how the character at p is shown; returns its bytes there. */
static size_t show_character(const uint8_t *p, size_t size, char shown[static ESCAPE_MAX], size_t *ret_columns) {
        size_t length = utf8_sequence(p, size);
        uint32_t code;

        if (length == 0) {
                *ret_columns = (size_t) snprintf(shown, ESCAPE_MAX, "\\x%02x", p[0]);
                return 1;
        }

        code = decode(p, length);
        if (!needs_escape(code)) {
                (void) snprintf(shown, ESCAPE_MAX, "%.*s", (int) length, (const char *) p);
                *ret_columns = columns_of(code);
                return length;
        }

        if (code == '\n' || code == '\t')
                *ret_columns = (size_t) snprintf(shown, ESCAPE_MAX, "%s", code == '\n' ? "\\n" : "\\t");
        else
                *ret_columns = (size_t) snprintf(shown, ESCAPE_MAX, code < 0x100 ? "\\x%02x" : "\\u{%x}", code);
        return length;
}

char *printable_text(const char *text, size_t columns_max) {
        _cleanup_(buffer_done) Buffer buffer = {};
        const uint8_t *p = (const uint8_t *) text;
        size_t size = strlen(text), columns = 0, cut_at = 0;

        while (size > 0) {
                char shown[ESCAPE_MAX];
                size_t more, length = show_character(p, size, shown, &more);

                columns += more;
                if (columns_max > 0 && columns > columns_max) {
                        buffer.size = cut_at;
                        if (buffer_append_text(&buffer, ELLIPSIS) < 0)
                                return NULL;
                        break;
                }
                if (buffer_append_text(&buffer, shown) < 0)
                        return NULL;
                if (columns < columns_max)
                        cut_at = buffer.size;
                p += length;
                size -= length;
        }
        return buffer_take_text(&buffer);
}

size_t printable_columns(const char *text) {
        const uint8_t *p = (const uint8_t *) text;
        size_t size = strlen(text), columns = 0;

        while (size > 0) {
                size_t length = utf8_sequence(p, size);

                columns += length > 0 ? columns_of(decode(p, length)) : 1;
                length = MAX(length, 1u);
                p += length;
                size -= length;
        }
        return columns;
}
