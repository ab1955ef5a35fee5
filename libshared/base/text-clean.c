#include "base/text-clean.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define ELLIPSIS "…"
#define ESCAPE 0x1b

static bool ends_sequence(uint8_t byte) {
        return byte >= 0x40 && byte <= 0x7e;
}

/* ESC [ … letter; any other sequence counts as its two bytes. Returns its size. */
static size_t escape_sequence(const uint8_t *p, size_t size) {
        size_t length = 2;

        if (size < 2 || p[1] < 0x20 || p[1] > 0x7e)
                return 1;
        if (p[1] != '[')
                return 2;
        while (length < size && p[length] >= 0x20 && p[length] <= 0x3f)
                length++;
        return length < size && ends_sequence(p[length]) ? length + 1 : length;
}

/* C1 controls are two bytes of UTF-8; U+2028 and U+2029 end lines, U+202A to U+202E and U+2066 to U+2069 turn the
 * direction of what follows. */
static bool is_control(const uint8_t *p, size_t length) {
        if (length == 1)
                return p[0] < 0x20 || p[0] == 0x7f;
        if (length == 2)
                return p[0] == 0xc2 && p[1] < 0xa0;
        return length == 3 && p[0] == 0xe2 &&
               ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

char *text_clean(const char *text, size_t size) {
        _cleanup_(buffer_done) Buffer clean = {};
        const uint8_t *p = (const uint8_t *) text, *end = p + size;

        while (p < end) {
                size_t length = utf8_sequence(p, (size_t) (end - p));
                int r = 0;

                if (*p == ESCAPE)
                        length = escape_sequence(p, (size_t) (end - p));
                else if (length == 0)
                        r = buffer_append_text(&clean, REPLACEMENT);
                else if (*p != '\n' && is_control(p, length))
                        r = buffer_append(&clean, " ", 1);
                else
                        r = buffer_append(&clean, p, length);
                if (r < 0)
                        return NULL;
                p += length > 0 ? length : 1;
        }
        return clean.size > 0 ? buffer_take_text(&clean) : strdup("");
}

char *text_cut(const char *text, size_t bytes_max) {
        size_t length = strlen(text);

        assert(bytes_max >= strlen(ELLIPSIS));
        if (length <= bytes_max)
                return strdup(text);

        length = bytes_max - strlen(ELLIPSIS);
        while (length > 0 && ((uint8_t) text[length] & 0xc0) == 0x80)
                length--;
        return text_format("%.*s" ELLIPSIS, (int) length, text);
}
