#include "http-range.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

/* Reads digits at *p. False when there are none; what does not fit is the largest number. */
static bool read_number(const char **p, uint64_t *ret) {
        size_t length = strspn(*p, "0123456789");
        uint64_t number = 0;

        if (length == 0)
                return false;
        for (size_t i = 0; i < length; i++)
                if (__builtin_mul_overflow(number, 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t) ((*p)[i] - '0'), &number)) {
                        number = UINT64_MAX;
                        break;
                }
        *p += length;
        *ret = number;
        return true;
}

static const char *skip_blanks(const char *p) {
        return p + strspn(p, " \t");
}

/* The last bytes: "-500". */
static HttpRange parse_suffix(const char *p, uint64_t size, uint64_t *ret_start, uint64_t *ret_length) {
        uint64_t count;

        if (!read_number(&p, &count) || *skip_blanks(p))
                return HTTP_RANGE_WHOLE;
        if (count == 0 || size == 0)
                return HTTP_RANGE_UNSATISFIABLE;

        *ret_length = count < size ? count : size;
        *ret_start = size - *ret_length;
        return HTTP_RANGE_PART;
}

HttpRange http_range_parse(const char *field, uint64_t size, uint64_t *ret_start, uint64_t *ret_length) {
        uint64_t first, last = UINT64_MAX;
        const char *p;

        if (!field || strncasecmp(field, "bytes=", strlen("bytes=")) != 0)
                return HTTP_RANGE_WHOLE;
        p = skip_blanks(field + strlen("bytes="));
        if (*p == '-')
                return parse_suffix(p + 1, size, ret_start, ret_length);

        if (!read_number(&p, &first) || *p++ != '-')
                return HTTP_RANGE_WHOLE;
        (void) read_number(&p, &last);
        if (*skip_blanks(p) || last < first)
                return HTTP_RANGE_WHOLE;
        if (first >= size)
                return HTTP_RANGE_UNSATISFIABLE;

        last = last < size - 1 ? last : size - 1;
        *ret_start = first;
        *ret_length = last - first + 1;
        return HTTP_RANGE_PART;
}

bool http_etag_listed(const char *field, const char *etag, bool weak) {
        const char *p = field;

        if (!p)
                return false;
        p = skip_blanks(p);
        if (text_equal(p, "*"))
                return weak;

        while (*p) {
                bool is_weak = text_after(p, "W/");
                const char *tag = is_weak ? p + 2 : p;
                size_t length = strcspn(tag, ",");

                while (length > 0 && (tag[length - 1] == ' ' || tag[length - 1] == '\t'))
                        length--;
                if (length == strlen(etag) && strncmp(tag, etag, length) == 0 && (weak || !is_weak))
                        return true;
                p = tag + strcspn(tag, ",");
                p = skip_blanks(*p ? p + 1 : p);
        }
        return false;
}
