#include "uri.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

/* Decodes text in place. `plus` makes '+' a space, as forms do. */
static bool decode(char *text, bool plus) {
        char *out = text;

        for (const char *p = text; *p; p++) {
                char c = *p;

                if (c == '%') {
                        int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);

                        if (low < 0)
                                return false;
                        c = (char) (high << 4 | low);
                        p += 2;
                } else if (plus && c == '+')
                        c = ' ';
                if ((unsigned char) c < 0x20 || c == 0x7f)
                        return false;
                *out++ = c;
        }
        *out = '\0';
        return utf8_valid(text, (size_t) (out - text));
}

static int fail(Uri *uri, const char *problem) {
        uri->problem = problem;
        return -EBADMSG;
}

static int parse_parameter(char *text, Uri *uri) {
        char *value = strchr(text, '=');

        if (!value)
                return fail(uri, "a parameter has no '='");
        *value++ = '\0';
        if (!decode(text, true) || !decode(value, true))
                return fail(uri, "a parameter is not percent-encoded UTF-8 text");
        if (uri_parameter(uri, text))
                return fail(uri, "a parameter is given twice");
        if (uri->n_parameters == URI_PARAMETERS_MAX)
                return fail(uri, "too many parameters");

        uri->parameters[uri->n_parameters++] = (UriParameter){ text, value };
        return 0;
}

int uri_parse(char *text, Uri *ret) {
        char *query = strchr(text, '?');
        int r;

        *ret = (Uri){ .path = "" };
        if (*text != '/')
                return fail(ret, "the path does not begin with '/'");
        if (query)
                *query++ = '\0';
        if (!decode(text, false))
                return fail(ret, "the path is not percent-encoded UTF-8 text");

        ret->path = text;
        for (char *parameter; (parameter = strsep(&query, "&"));) {
                if (!*parameter)
                        continue;
                r = parse_parameter(parameter, ret);
                if (r < 0)
                        return r;
        }
        return 0;
}

const char *uri_parameter(const Uri *uri, const char *name) {
        for (size_t i = 0; i < uri->n_parameters; i++)
                if (text_equal(uri->parameters[i].name, name))
                        return uri->parameters[i].value;
        return NULL;
}
