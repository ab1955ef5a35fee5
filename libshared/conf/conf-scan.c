/* A scanner that knows just enough of libconfig's syntax to tell names, numbers, strings and comments apart, as its
 * own scanner does. libconfig 1.5 reads integers with atoi(), so 5000000000 becomes 705032704 without a word; it opens
 * any file that @include names; it cuts strings at \x00. Such files are refused here, with the line. */
#include "conf/conf-scan.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"

typedef struct Scanner {
        const char *p;
        unsigned line, depth;
        const char *path;
        Buffer *errors;
        int count;      /* errors, or -ENOMEM */
} Scanner;

static void complain(Scanner *s, const char *what) {
        ConfPlace place = { .file = s->path, .line = s->line };
        int r;

        if (s->count < 0)
                return;
        r = conf_error(s->errors, &place, "%s", what);
        s->count = r < 0 ? r : s->count + 1;
}

static void step(Scanner *s) {
        s->line += *s->p == '\n';
        s->p++;
}

static void skip_line_comment(Scanner *s) {
        while (*s->p && *s->p != '\n')
                s->p++;
}

static void skip_block_comment(Scanner *s) {
        unsigned start = s->line;

        s->p += 2;
        while (*s->p && !text_after(s->p, "*/"))
                step(s);
        if (*s->p)
                s->p += 2;
        else {
                s->line = start;
                complain(s, "comment without an end; expected \"*/\"");
        }
}

static bool is_nul_escape(const char *p) {
        return p[0] == '\\' && (p[1] == 'x' || p[1] == 'X') && p[2] == '0' && p[3] == '0';
}

static void skip_string(Scanner *s) {
        unsigned start = s->line;

        for (s->p++; *s->p && *s->p != '"';) {
                if (is_nul_escape(s->p))
                        complain(s, "string with a NUL character; expected text");
                if (s->p[0] == '\\' && (s->p[1] == '\\' || s->p[1] == '"'))
                        s->p++;
                step(s);
        }
        if (*s->p)
                s->p++;
        else {
                s->line = start;
                complain(s, "string without an end; expected a closing quote");
        }
}

static void skip_name(Scanner *s) {
        while (isalnum((unsigned char) *s->p) || (*s->p && strchr("-_*", *s->p)))
                s->p++;
}

/* A number is left to libconfig where it is a fraction or no number at all; here only integers are judged. */
static void skip_number(Scanner *s) {
        const char *digits = s->p + (*s->p == '-' || *s->p == '+');
        bool hexadecimal = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
        long long value;
        char *end;

        errno = 0;
        value = strtoll(s->p, &end, hexadecimal ? 16 : 10);
        if (end > s->p && !strchr(".eE", *end ? *end : 'x')) {
                if (errno == ERANGE)
                        complain(s, "integer beyond 64 bits; expected a smaller one");
                else if (*end != 'L' && (value > INT32_MAX || value < INT32_MIN))
                        complain(s, "integer beyond 32 bits; expected a smaller one, or the suffix L");
        }

        do
                s->p++;
        while (isalnum((unsigned char) *s->p) || *s->p == '.');
}

static void skip_bracket(Scanner *s) {
        if (strchr("{[(", *s->p)) {
                if (s->depth++ == CONF_DEPTH_MAX)
                        complain(s, "nested too deeply; expected at most 8 levels");
        } else if (s->depth > 0)
                s->depth--;
        s->p++;
}

static void skip_token(Scanner *s) {
        unsigned char c = (unsigned char) *s->p;

        if (c == '#' || text_after(s->p, "//"))
                skip_line_comment(s);
        else if (text_after(s->p, "/*"))
                skip_block_comment(s);
        else if (c == '"')
                skip_string(s);
        else if (isalpha(c) || c == '*')
                skip_name(s);
        else if (isdigit(c) || c == '-' || c == '+' || c == '.')
                skip_number(s);
        else if (strchr("{}[]()", c))
                skip_bracket(s);
        else {
                if (c == '@')
                        complain(s, "\"@\" outside a string; expected settings (files cannot include others)");
                step(s);
        }
}

int conf_scan(const char *path, const char *text, size_t size, Buffer *errors) {
        Scanner s = { .p = text, .line = 1, .path = path, .errors = errors };

        while (s.count >= 0 && *s.p)
                skip_token(&s);
        if (s.p < text + size)
                complain(&s, "NUL byte; expected text");
        if (!utf8_valid(text, size)) {
                s.line = 0;
                complain(&s, "not UTF-8; expected a text file");
        }
        return s.count;
}

_Static_assert(CONF_DEPTH_MAX == 8, "the message names it");
