/* The strict check of RFC 8259 that goes before cJSON.
 *
 * One pass by recursive descent; JSON_DEPTH_MAX bounds the recursion. The only memory is a stack of the names of the
 * objects that are open, for duplicates: each new name is compared with those of its own object by a hash first, and
 * by its characters where the hash is equal. The hash is a polynomial over the decoded characters modulo a prime at a
 * point that is random per process, so a peer cannot prepare names that collide; "a" and "\u0061" are one name.
 *
 * cJSON never sees what fails here. What it would still get wrong itself is refused, too: numbers past
 * JSON_NUMBER_BYTES_MAX (its buffer), \u0000 (it ends strings there), integers past ±2^53 (it rounds them). */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/text.h"

#define JSON_NUMBER_BYTES_MAX 63
#define JSON_NAMES_MAX (JSON_DEPTH_MAX * JSON_MEMBERS_MAX)  /* in all objects that are open */
#define HASH_PRIME ((UINT64_C(1) << 61) - 1)

typedef struct Checker {
        const uint8_t *text;
        const uint8_t *p, *end;
        size_t depth;
        size_t elements;
        const char *reason;
        uint64_t hash_point;
        size_t names;
        uint64_t name_hashes[JSON_NAMES_MAX];
        const uint8_t *name_starts[JSON_NAMES_MAX];  /* behind the opening quote */
} Checker;

static bool check_value(Checker *c);

static bool refuse(Checker *c, const uint8_t *where, const char *reason) {
        c->p = where;
        c->reason = reason;
        return false;
}

static void skip_space(Checker *c) {
        while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
                c->p++;
}

static bool skip_byte(Checker *c, uint8_t byte) {
        if (c->p == c->end || *c->p != byte)
                return false;
        c->p++;
        return true;
}

static bool is_digit(const Checker *c) {
        return c->p < c->end && *c->p >= '0' && *c->p <= '9';
}

static void skip_digits(Checker *c) {
        while (is_digit(c))
                c->p++;
}

static int hex_value(uint8_t digit) {
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        digit |= 0x20;
        return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The four digits behind \u; -1 when they are none. */
static int32_t read_hex4(const uint8_t *p, const uint8_t *end) {
        int32_t value = 0;

        if (end - p < 4)
                return -1;
        for (size_t i = 0; i < 4; i++) {
                int digit = hex_value(p[i]);

                if (digit < 0)
                        return -1;
                value = value << 4 | digit;
        }
        return value;
}

/* c->p stands on the backslash of \uXXXX. */
static bool check_unicode_escape(Checker *c) {
        const uint8_t *start = c->p;
        int32_t first = read_hex4(start + 2, c->end), second;

        if (first < 0)
                return refuse(c, start, "\\u without four hexadecimal digits");
        if (first == 0)
                return refuse(c, start, "\\u0000");
        c->p += 6;
        if (first < 0xd800 || first > 0xdfff)
                return true;

        second = c->end - c->p >= 2 && c->p[0] == '\\' && c->p[1] == 'u' ? read_hex4(c->p + 2, c->end) : -1;
        if (first > 0xdbff || second < 0xdc00 || second > 0xdfff)
                return refuse(c, start, "lone surrogate");
        c->p += 6;
        return true;
}

static bool check_escape(Checker *c) {
        if (c->end - c->p < 2)
                return refuse(c, c->end, "unfinished string");
        if (c->p[1] == 'u')
                return check_unicode_escape(c);
        if (!memchr("\"\\/bfnrt", c->p[1], 8))
                return refuse(c, c->p, "unknown escape");
        c->p += 2;
        return true;
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* True when none of eight bytes ends the string, starts an escape, is a control character or is not ASCII. A borrow
 * out of a lower byte may raise a false alarm, never hide one. */
static bool eight_are_plain(const uint8_t *p) {
        uint64_t word, alarms;

        memcpy(&word, p, sizeof(word));
        alarms = (word - EACH_BYTE(0x20)) |
                 ((word ^ EACH_BYTE('"')) - EACH_BYTE(1)) |
                 ((word ^ EACH_BYTE('\\')) - EACH_BYTE(1)) |
                 word;
        return (alarms & EACH_BYTE(0x80)) == 0;
}

/* c->p stands behind the opening quote, afterwards behind the closing one. */
static bool check_string(Checker *c) {
        for (;;) {
                size_t length;

                while (c->end - c->p >= 8 && eight_are_plain(c->p))
                        c->p += 8;
                if (c->p == c->end)
                        return refuse(c, c->p, "unfinished string");

                switch (*c->p) {
                case '"':
                        c->p++;
                        return true;
                case '\\':
                        if (!check_escape(c))
                                return false;
                        break;
                case 0x00 ... 0x1f:
                        return refuse(c, c->p, "control character in a string");
                case 0x20 ... 0x21:
                case 0x23 ... 0x5b:
                case 0x5d ... 0x7f:
                        c->p++;
                        break;
                default:
                        length = utf8_sequence(c->p, (size_t) (c->end - c->p));
                        if (length == 0)
                                return refuse(c, c->p, "invalid UTF-8");
                        c->p += length;
                }
        }
}

/* The next character of a name that check_string() took, or 0 at its closing quote (no name holds U+0000). */
static uint32_t name_next(const uint8_t **p) {
        const uint8_t *s = *p;
        size_t length;
        uint32_t code;

        if (*s == '"')
                return 0;

        if (*s == '\\' && s[1] == 'u') {
                code = (uint32_t) read_hex4(s + 2, s + 6);
                *p += 6;
                if (code >= 0xd800 && code <= 0xdbff) {
                        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t) read_hex4(s + 8, s + 12) - 0xdc00);
                        *p += 6;
                }
                return code;
        }

        if (*s == '\\') {
                static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
                const char *letter = strchr(letters, s[1]);

                *p += 2;
                return letter ? (uint32_t) meanings[letter - letters] : s[1];
        }

        length = *s < 0x80 ? 1 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
        code = length == 1 ? *s : *s & (0xffu >> (length + 1));
        for (size_t i = 1; i < length; i++)
                code = code << 6 | (s[i] & 0x3f);
        *p += length;
        return code;
}

static bool names_equal(const uint8_t *a, const uint8_t *b) {
        uint32_t code;

        do {
                code = name_next(&a);
                if (code != name_next(&b))
                        return false;
        } while (code != 0);
        return true;
}

static uint64_t name_hash(const Checker *c, const uint8_t *name) {
        uint64_t hash = 1;
        uint32_t code;

        while ((code = name_next(&name)) != 0) {
                unsigned __int128 product = (unsigned __int128) hash * c->hash_point + code;

                hash = (uint64_t) (product & HASH_PRIME) + (uint64_t) (product >> 61);
                hash = (hash & HASH_PRIME) + (hash >> 61);
        }
        return hash == HASH_PRIME ? 0 : hash;
}

/* Checks a name and enters it among those of its object, which begin at `first`. */
static bool check_name(Checker *c, size_t first) {
        const uint8_t *quote = c->p;
        uint64_t hash;

        if (!skip_byte(c, '"'))
                return refuse(c, c->p, "name expected");
        if (!check_string(c))
                return false;
        if (c->names - first == JSON_MEMBERS_MAX)
                return refuse(c, quote, "too many members in an object");

        hash = name_hash(c, quote + 1);
        for (size_t i = first; i < c->names; i++)
                if (c->name_hashes[i] == hash && names_equal(c->name_starts[i], quote + 1))
                        return refuse(c, quote, "duplicate name");

        c->name_hashes[c->names] = hash;
        c->name_starts[c->names] = quote + 1;
        c->names++;
        return true;
}

/* c->p stands behind the opening brace. */
static bool check_object(Checker *c) {
        size_t first = c->names;

        skip_space(c);
        if (skip_byte(c, '}'))
                return true;

        for (;;) {
                if (!check_name(c, first))
                        return false;
                skip_space(c);
                if (!skip_byte(c, ':'))
                        return refuse(c, c->p, "colon expected");
                if (!check_value(c))
                        return false;
                if (skip_byte(c, '}'))
                        break;
                if (!skip_byte(c, ','))
                        return refuse(c, c->p, "comma or closing brace expected");
                skip_space(c);
        }

        c->names = first;
        return true;
}

/* c->p stands behind the opening bracket. */
static bool check_array(Checker *c) {
        skip_space(c);
        if (skip_byte(c, ']'))
                return true;

        for (;;) {
                if (!check_value(c))
                        return false;
                if (skip_byte(c, ']'))
                        return true;
                if (!skip_byte(c, ','))
                        return refuse(c, c->p, "comma or closing bracket expected");
        }
}

static bool check_integer_range(Checker *c, const uint8_t *number, const uint8_t *digits) {
        int64_t value = 0;

        for (const uint8_t *p = digits; p < c->p; p++) {
                value = value * 10 + (*p - '0');
                if (value > JSON_INTEGER_MAX)
                        return refuse(c, number, "integer beyond 2^53");
        }
        return true;
}

/* A number with a fraction or an exponent: only too large an exponent makes it infinite. */
static bool check_real_range(Checker *c, const uint8_t *number) {
        char text[JSON_NUMBER_BYTES_MAX + 1];
        size_t size = (size_t) (c->p - number);

        memcpy(text, number, size);
        text[size] = 0;
        return isfinite(strtod(text, NULL)) || refuse(c, number, "number out of range");
}

static bool check_number(Checker *c) {
        const uint8_t *number = c->p, *digits;
        bool integer = true;

        (void) skip_byte(c, '-');
        digits = c->p;
        if (!is_digit(c))
                return refuse(c, number, "value expected");
        skip_digits(c);
        if (*digits == '0' && c->p - digits > 1)
                return refuse(c, number, "number with a leading zero");

        if (skip_byte(c, '.')) {
                integer = false;
                if (!is_digit(c))
                        return refuse(c, number, "fraction without digits");
                skip_digits(c);
        }

        if (skip_byte(c, 'e') || skip_byte(c, 'E')) {
                integer = false;
                (void) (skip_byte(c, '+') || skip_byte(c, '-'));
                if (!is_digit(c))
                        return refuse(c, number, "exponent without digits");
                skip_digits(c);
        }

        if (integer)
                return check_integer_range(c, number, digits);
        if (c->p - number > JSON_NUMBER_BYTES_MAX)
                return refuse(c, number, "number too long");
        return check_real_range(c, number);
}

static bool check_word(Checker *c, const char *word, size_t length) {
        if ((size_t) (c->end - c->p) < length || memcmp(c->p, word, length) != 0)
                return refuse(c, c->p, "value expected");
        c->p += length;
        return true;
}

static bool check_nested(Checker *c) {
        bool object = *c->p == '{', good;

        if (c->depth == JSON_DEPTH_MAX)
                return refuse(c, c->p, "nested too deeply");

        c->depth++;
        c->p++;
        good = object ? check_object(c) : check_array(c);
        c->depth--;
        return good;
}

static bool check_bare_value(Checker *c) {
        switch (*c->p) {
        case '{':
        case '[':
                return check_nested(c);
        case '"':
                c->p++;
                return check_string(c);
        case 't':
                return check_word(c, "true", 4);
        case 'f':
                return check_word(c, "false", 5);
        case 'n':
                return check_word(c, "null", 4);
        default:
                return check_number(c);
        }
}

/* A value with the space around it. */
static bool check_value(Checker *c) {
        skip_space(c);
        if (c->p == c->end)
                return refuse(c, c->p, "value expected");
        if (c->elements == JSON_ELEMENTS_MAX)
                return refuse(c, c->p, "too many values");
        c->elements++;
        if (!check_bare_value(c))
                return false;
        skip_space(c);
        return true;
}

/* The kernel hands each process 16 random bytes; nothing else shows them to a peer. */
static uint64_t random_hash_point(void) {
        const void *random = (const void *) getauxval(AT_RANDOM);
        uint64_t point = 0;

        if (random)
                memcpy(&point, random, sizeof(point));
        return point % (HASH_PRIME - 256) + 256;
}

int json_check(const char *text, size_t size, JsonError *error) {
        Checker c;  /* 128 KiB, of which a usual text touches a few lines: not to be zeroed */

        c.text = c.p = (const uint8_t *) text;
        c.end = c.p + size;
        c.depth = c.elements = c.names = 0;
        c.reason = NULL;
        c.hash_point = random_hash_point();

        if (check_value(&c) && (c.p == c.end || refuse(&c, c.p, "text behind the value")))
                return 0;

        if (error)
                *error = (JsonError) { (size_t) (c.p - c.text), c.reason };
        return -EBADMSG;
}
