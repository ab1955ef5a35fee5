/* Compact JSON text of a tree.
 *
 * cJSON 1.7.15 prints integers past ±2^31 with 15 digits where it deems the rest negligible (2^53 becomes
 * 9.00719925474099e+15), so numbers are written here: integers within ±2^53 as integers, others with the fewest
 * digits that read back as the same number. The result is always a JSON text: what is not UTF-8 becomes U+FFFD. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

static int format_value(Buffer *buffer, const JsonValue *value);

static int format_number(Buffer *buffer, const JsonValue *value) {
        double number = value->valuedouble;
        char text[40];
        int length = 0;

        if (!isfinite(number))
                return buffer_append(buffer, "null", 4);

        if (json_is_integer(value))
                length = snprintf(text, sizeof(text), "%" PRIi64, json_to_integer(value));
        else
                for (int digits = 15; digits <= 17; digits++) {
                        length = snprintf(text, sizeof(text), "%.*g", digits, number);
                        if (strtod(text, NULL) == number)
                                break;
                }

        /* past ±2^53 it must not look like an integer: nobody could rely on its last digits */
        if (!json_is_integer(value) && !strpbrk(text, ".e"))
                length = (int) strlen(strcat(text, ".0"));
        return buffer_append(buffer, text, (size_t) length);
}

static size_t count_plain(const uint8_t *p) {
        size_t count = 0;

        while (p[count] >= 0x20 && p[count] < 0x80 && p[count] != '"' && p[count] != '\\')
                count++;
        return count;
}

static int format_escape(Buffer *buffer, uint8_t byte) {
        static const char letters[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
        const char *meaning = strchr(meanings, byte);
        char text[8];
        int length;

        if (meaning)
                length = snprintf(text, sizeof(text), "\\%c", letters[meaning - meanings]);
        else
                length = snprintf(text, sizeof(text), "\\u%04x", byte);
        return buffer_append(buffer, text, (size_t) length);
}

static int format_string(Buffer *buffer, const char *text) {
        const uint8_t *p = (const uint8_t *) text, *end = p + strlen(text);
        int r;

        r = buffer_append(buffer, "\"", 1);
        while (r >= 0 && p < end) {
                size_t length = count_plain(p);

                if (length > 0)
                        r = buffer_append(buffer, p, length);
                else if (*p < 0x80) {
                        r = format_escape(buffer, *p);
                        length = 1;
                } else {
                        length = utf8_sequence(p, (size_t) (end - p));
                        r = length > 0 ? buffer_append(buffer, p, length)
                                       : buffer_append_text(buffer, "\xef\xbf\xbd");
                        length = MAX(length, (size_t) 1);
                }
                p += length;
        }
        return r < 0 ? r : buffer_append(buffer, "\"", 1);
}

static int format_children(Buffer *buffer, const JsonValue *value, bool object) {
        int r;

        r = buffer_append(buffer, object ? "{" : "[", 1);
        for (const JsonValue *child = value->child; child && r >= 0; child = child->next) {
                if (child != value->child)
                        r = buffer_append(buffer, ",", 1);
                if (r >= 0 && object) {
                        r = format_string(buffer, child->string);
                        if (r >= 0)
                                r = buffer_append(buffer, ":", 1);
                }
                if (r >= 0)
                        r = format_value(buffer, child);
        }
        return r < 0 ? r : buffer_append(buffer, object ? "}" : "]", 1);
}

static int format_value(Buffer *buffer, const JsonValue *value) {
        switch (value->type & 0xff) {
        case cJSON_True:
                return buffer_append(buffer, "true", 4);
        case cJSON_False:
                return buffer_append(buffer, "false", 5);
        case cJSON_Number:
                return format_number(buffer, value);
        case cJSON_String:
                return format_string(buffer, value->valuestring);
        case cJSON_Array:
                return format_children(buffer, value, false);
        case cJSON_Object:
                return format_children(buffer, value, true);
        case cJSON_Raw:
                /* A text that json_format() once wrote: a stored job's request goes out as it lies in the store. */
                return buffer_append_text(buffer, value->valuestring);
        default:
                return buffer_append(buffer, "null", 4);
        }
}

char *json_format(const JsonValue *value) {
        _cleanup_(buffer_done) Buffer buffer = BUFFER_INIT(0);

        if (format_value(&buffer, value) < 0)
                return NULL;
        return buffer_take_text(&buffer);
}
