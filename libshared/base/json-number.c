#include "base/json-number.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Where in the text the scan is. `end` is behind its last byte. */
typedef struct Scan {
        const char *at, *end;
        unsigned depth;
        bool in_object;      /* at depth 2, of the member that is looked for */
} Scan;

static bool is_one_of(char c, const char *characters) {
        return c && strchr(characters, c);
}

static void skip_white(Scan *scan) {
        while (scan->at < scan->end && is_one_of(*scan->at, " \t\r\n"))
                scan->at++;
}

/* At a quote: goes behind the closing one. *ret_size is without the quotes. */
static const char *take_string(Scan *scan, size_t *ret_size) {
        const char *begin = ++scan->at;

        while (scan->at < scan->end && *scan->at != '"')
                scan->at += *scan->at == '\\' && scan->at + 1 < scan->end ? 2 : 1;
        *ret_size = (size_t) (scan->at - begin);
        if (scan->at < scan->end)
                scan->at++;
        return begin;
}

static bool is_name(const char *text, size_t size, const char *name) {
        return size == strlen(name) && memcmp(text, name, size) == 0;
}

/* Goes behind a string. True where it is the name of the member, and its value begins here. */
static bool take_name(Scan *scan, const char *object, const char *member) {
        const char *name;
        size_t size;

        name = take_string(scan, &size);
        skip_white(scan);
        if (scan->at == scan->end || *scan->at != ':')
                return false;
        scan->at++;
        skip_white(scan);
        if (scan->depth == 1)
                scan->in_object = is_name(name, size, object) && scan->at < scan->end && *scan->at == '{';
        return scan->depth == 2 && scan->in_object && is_name(name, size, member);
}

static int copy_number(const Scan *scan, char ret[static JSON_NUMBER_MAX]) {
        size_t size = 0;

        while (scan->at + size < scan->end && is_one_of(scan->at[size], "+-.0123456789eE"))
                size++;
        if (size == 0)
                return -ENOENT;
        if (size >= JSON_NUMBER_MAX)
                return -E2BIG;
        memcpy(ret, scan->at, size);
        ret[size] = 0;
        return 0;
}

int json_number_text(const char *text, size_t size, const char *object, const char *member,
                     char ret[static JSON_NUMBER_MAX]) {
        Scan scan = { .at = text, .end = text + size };

        while (scan.at < scan.end) {
                char c = *scan.at;

                if (c == '"') {
                        if (take_name(&scan, object, member))
                                return copy_number(&scan, ret);
                        continue;
                }
                if (c == '{' || c == '[')
                        scan.depth++;
                else if ((c == '}' || c == ']') && scan.depth > 0)
                        scan.depth--;
                scan.at++;
        }
        return -ENOENT;
}
