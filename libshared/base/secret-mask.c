#include "base/secret-mask.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/macro.h"
#include "base/text-clean.h"
#include "base/text.h"

/* One walk over the clean text. At each place the rules are asked in turn; the first that finds a secret says how much
 * before it is kept and how much is masked.
 *
 * A long text must not hold up the report of a failure: whoever writes into a log may write what he likes. So no run is
 * looked through at each of its characters. A rule looks at one from its first character alone, or masks what it looked
 * through, or is bounded by a limit; where none of these does, the walk keeps what is known of the run. */

#define RUN_CHARS_MIN 40          /* of base64 or hexadecimal, beside a word that speaks of keys */
#define BODY_LINE_CHARS_MIN 60    /* a line of nothing else is the body of a PEM block whose head is elsewhere */
#define SCHEME_TOKEN_CHARS_MIN 6  /* "bearer of news" is none */
#define USERINFO_BYTES_MAX 2048   /* looked through for an @ */
#define PEM_LABEL_BYTES_MAX 64
#define PEM_BEGIN "-----BEGIN "
#define PEM_END "-----END "
#define PEM_DASHES "-----"
#define PEM_PRIVATE "PRIVATE KEY"

/* What a rule found at a place: `keep` bytes stay, the `hide` bytes behind them do not. hide 0: nothing. */
typedef struct Finding {
        size_t keep, hide;
} Finding;

typedef struct Scan {
        const char *text, *end;
        const char *p;            /* the place */
        const char *opaque_end;   /* of the run without gaps that p is in, or p */
        bool line_speaks_of_keys; /* the line that p is in */
} Scan;

/* ---------------------------------------------------------------- characters */

static bool is_word(char c) {
        return isalnum((unsigned char) c) || c == '_' || c == '-' || c == '.';
}

static bool is_base64(char c) {
        return isalnum((unsigned char) c) || c == '+' || c == '/' || c == '=' || c == '_' || c == '-';
}

static bool is_token(char c) {
        return is_base64(c) || c == '.' || c == '~';
}

static bool is_opaque(char c) {
        return (unsigned char) c > ' ' && c != '"' && c != '\'' && c != '\\' && c != '<' && c != '>' && c != '`';
}

static bool is_value(char c) {
        return (unsigned char) c > ' ' && !strchr(",;&", c);
}

static bool is_line(char c) {
        return c && c != '\n';
}

static bool is_label(char c) {
        return isupper((unsigned char) c) || isdigit((unsigned char) c) || c == ' ';
}

static size_t run_length_max(const char *p, bool (*belongs)(char), size_t max) {
        size_t length = 0;

        while (length < max && p[length] && belongs(p[length]))
                length++;
        return length;
}

static size_t run_length(const char *p, bool (*belongs)(char)) {
        return run_length_max(p, belongs, SIZE_MAX);
}

/* Nothing that belongs to a word stands before it. */
static bool begins_word(const Scan *scan) {
        return isalnum((unsigned char) *scan->p) && (scan->p == scan->text || !isalnum((unsigned char) scan->p[-1]));
}

static const char *after_caseless(const char *p, const char *prefix) {
        size_t length = strlen(prefix);

        return strncasecmp(p, prefix, length) == 0 ? p + length : NULL;
}

static Finding found(const Scan *scan, const char *from, size_t size) {
        return size > 0 ? (Finding) { (size_t) (from - scan->p), size } : (Finding) {};
}

/* ---------------------------------------------------------------- rules */

/* Behind the block's last line; another block's does not end it, nor one that is cut short. */
static const char *after_private_key(const char *p) {
        while ((p = strstr(p, PEM_END))) {
                const char *label = p + strlen(PEM_END), *end;
                size_t length = run_length_max(label, is_label, PEM_LABEL_BYTES_MAX);

                end = text_after(label + length, PEM_DASHES);
                if (end && memmem(label, length, PEM_PRIVATE, strlen(PEM_PRIVATE)))
                        return end;
                p = label;
        }
        return NULL;
}

/* Without its end the block is cut short: all that follows may be of it. */
static Finding find_private_key(const Scan *scan) {
        const char *label = text_after(scan->p, PEM_BEGIN), *end;
        size_t length;

        if (!label)
                return (Finding) {};
        length = run_length_max(label, is_line, PEM_LABEL_BYTES_MAX);
        if (!memmem(label, length, PEM_PRIVATE, strlen(PEM_PRIVATE)))
                return (Finding) {};
        end = after_private_key(label);
        return found(scan, scan->p, (size_t) ((end ?: scan->end) - scan->p));
}

static Finding find_key_body(const Scan *scan) {
        size_t length;

        if (scan->p > scan->text && scan->p[-1] != '\n')
                return (Finding) {};
        length = run_length(scan->p, is_base64);
        if (length < BODY_LINE_CHARS_MIN || is_line(scan->p[length]))
                return (Finding) {};
        return found(scan, scan->p, length);
}

/* user:password@ of any scheme; what is before the last @ of the authority. */
static Finding find_userinfo(const Scan *scan) {
        const char *authority = text_after(scan->p, "://"), *at;
        size_t length;

        if (!authority)
                return (Finding) {};
        length = MIN((size_t) (scan->opaque_end - authority), (size_t) USERINFO_BYTES_MAX);
        at = memrchr(authority, '@', length);
        /* A slash may be part of a password that nobody has encoded; an @ behind a path or query may as well be
         * none. */
        length = at ? (size_t) (at - authority) : 0;
        if (memchr(authority, '/', length) && !memchr(authority, ':', length))
                length = 0;
        return found(scan, authority, length);
}

static Finding find_slack_hook(const Scan *scan) {
        const char *path = after_caseless(scan->p, "hooks.slack.com/");

        return path ? found(scan, path, run_length(path, is_opaque)) : (Finding) {};
}

static Finding find_scheme_token(const Scan *scan) {
        const char *token = NULL;
        size_t length;

        if (begins_word(scan))
                token = after_caseless(scan->p, "bearer") ?: after_caseless(scan->p, "basic");
        if (!token || (*token != ' ' && *token != ':' && *token != '='))
                return (Finding) {};
        token += strspn(token, " :=\"'\\");
        length = run_length(token, is_token);
        return length >= SCHEME_TOKEN_CHARS_MIN ? found(scan, token, length) : (Finding) {};
}

typedef struct KnownKey {
        const char *prefix;
        size_t chars_min;   /* of what follows it */
} KnownKey;

static Finding find_known_key(const Scan *scan) {
        static const KnownKey keys[] = {
                { "sk-", 8 },     { "pk-", 8 },   { "sk_", 8 },   { "xapp-", 8 },        { "AKIA", 12 },
                { "ASIA", 12 },   { "ghp_", 16 }, { "gho_", 16 }, { "github_pat_", 16 }, { "glpat-", 16 },
                { "AIza", 30 },   { "eyJ", 30 },  { "hvs.", 16 },        { "atl_", 16 },
        };
        const char *p = scan->p;

        if (!begins_word(scan))
                return (Finding) {};
        if (strncmp(p, "xox", 3) == 0 && isalpha((unsigned char) p[3]) && p[4] == '-')
                return found(scan, p, run_length(p, is_token));
        for (size_t i = 0; i < ELEMENTS(keys); i++) {
                const char *rest = *p == *keys[i].prefix ? text_after(p, keys[i].prefix) : NULL;
                size_t length = rest ? run_length(rest, is_token) : 0;

                if (rest && length >= keys[i].chars_min)
                        return found(scan, p, (size_t) (rest - p) + length);
        }
        return (Finding) {};
}

static bool contains_any(const char *text, size_t size, const char *const *words) {
        for (; *words; words++) {
                size_t length = strlen(*words);

                for (size_t i = 0; i + length <= size; i++)
                        if (strncasecmp(text + i, *words, length) == 0)
                                return true;
        }
        return false;
}

/* Past a character, or past a backslash and what it protects. */
static size_t step_length(const char *p) {
        return *p == '\\' && is_line(p[1]) ? 2 : 1;
}

/* Up to the quote that ends it. What stands in escaped quotes ends with a backslash already. */
static size_t quoted_length(const char *value, char quote, bool escaped) {
        size_t length = 0;

        while (is_line(value[length]) && value[length] != quote && !(escaped && value[length] == '\\'))
                length += step_length(value + length);
        return length;
}

/* NAME = VALUE, NAME: VALUE, "NAME": "VALUE", also with the quotes escaped, and --NAME VALUE. */
static Finding find_named_value(const Scan *scan) {
        static const char *const names[] = {
                "password",   "passwd",     "passphrase", "pwd",         "secret",        "token",
                "api_key",    "apikey",     "api-key",    "api.key",     "access_key",    "access-key",
                "accesskey",  "private_key", "authorization", "cookie",  NULL,
        };
        static const char *const line_names[] = { "authorization", "cookie", NULL };
        const char *value, *quote;
        bool separated;
        size_t length;

        if (scan->p > scan->text && is_word(scan->p[-1]))
                return (Finding) {};
        length = run_length(scan->p, is_word);
        if (!contains_any(scan->p, length, names))
                return (Finding) {};
        value = scan->p + length;
        separated = text_after(scan->p, "--") && *value == ' ';
        value += strspn(value, "\\\"' ");
        while (*value == '=' || *value == ':' || (separated && *value == '>')) {
                separated = true;
                value++;
        }
        if (!separated)
                return (Finding) {};
        value += strspn(value, " ");
        if (contains_any(scan->p, length, line_names))
                return found(scan, value, run_length(value, is_line));
        quote = value + strspn(value, "\\");
        if (*quote != '"' && *quote != '\'')
                return found(scan, value, run_length(value, is_value));
        return found(scan, quote + 1, quoted_length(quote + 1, *quote, quote > value));
}

static Finding find_long_run(const Scan *scan) {
        size_t length;

        if (!scan->line_speaks_of_keys || (scan->p > scan->text && is_base64(scan->p[-1])))
                return (Finding) {};
        length = run_length(scan->p, is_base64);
        return length >= RUN_CHARS_MIN ? found(scan, scan->p, length) : (Finding) {};
}

/* ---------------------------------------------------------------- the walk */

static Finding find_secret(const Scan *scan) {
        static Finding (*const rules[])(const Scan *) = {
                find_private_key,  find_key_body,  find_userinfo,    find_slack_hook,
                find_scheme_token, find_known_key, find_named_value, find_long_run,
        };
        Finding finding = {};

        for (size_t i = 0; i < ELEMENTS(rules) && finding.hide == 0; i++)
                finding = rules[i](scan);
        return finding;
}

static bool speaks_of_keys(const char *line) {
        static const char *const words[] = { "key", "secret", "token", "password", "passwd", "credential", "signature",
                                             "bearer", "auth", NULL };

        return contains_any(line, run_length(line, is_line), words);
}

static int mask(Scan *scan, Buffer *masked) {
        int r = 0;

        while (scan->p < scan->end && r >= 0) {
                Finding finding;

                if (scan->p == scan->text || scan->p[-1] == '\n')
                        scan->line_speaks_of_keys = speaks_of_keys(scan->p);
                if (scan->p >= scan->opaque_end)
                        scan->opaque_end = scan->p + run_length(scan->p, is_opaque);
                finding = find_secret(scan);
                if (finding.hide == 0)
                        finding.keep = 1;
                r = buffer_append(masked, scan->p, finding.keep);
                if (r >= 0 && finding.hide > 0)
                        r = buffer_append_text(masked, SECRET_MASK);
                scan->p += finding.keep + finding.hide;
        }
        return r;
}

char *secret_mask(const char *text, size_t size) {
        _cleanup_free_ char *clean = text_clean(text, size);
        _cleanup_(buffer_done) Buffer masked = {};
        Scan scan = { .text = clean, .p = clean, .opaque_end = clean };

        if (!clean)
                return NULL;
        scan.end = clean + strlen(clean);
        if (mask(&scan, &masked) < 0)
                return NULL;
        return masked.size > 0 ? buffer_take_text(&masked) : strdup("");
}
