#include "base/money.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#define DECIMALS 6
#define DIGITS_MAX 40       /* of a number that a provider reports; more is no amount of money */
#define EXPONENT_MAX 40

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* A decimal number as its digits and where the point stands among them. */
typedef struct Decimal {
        char digits[DIGITS_MAX];
        int count;
        int point;          /* digits before the point; may be negative or past the count */
} Decimal;

static int scan_digits(const char **text, Decimal *decimal) {
        int seen = 0;

        for (; is_digit(**text); (*text)++, seen++) {
                if (decimal->count == 0 && **text == '0') {
                        decimal->point--;    /* leading zeros say nothing but where the point is */
                        continue;
                }
                if (decimal->count == DIGITS_MAX)
                        return -ERANGE;
                decimal->digits[decimal->count++] = **text;
        }
        return seen;
}

static int scan_exponent(const char **text, Decimal *decimal) {
        char *end;
        long exponent;

        if (**text != 'e' && **text != 'E')
                return 0;
        (*text)++;
        if (!is_digit((*text)[**text == '+' || **text == '-']))
                return -EINVAL;
        errno = 0;
        exponent = strtol(*text, &end, 10);
        if (errno != 0 || exponent > EXPONENT_MAX || exponent < -EXPONENT_MAX)
                return -ERANGE;
        decimal->point += (int) exponent;
        *text = end;
        return 0;
}

static int scan(const char *text, bool exponent, Decimal *ret) {
        Decimal decimal = {};
        int before, after = 0, r = 0;

        before = scan_digits(&text, &decimal);
        if (before < 0)
                return before;
        decimal.point += before;
        if (*text == '.') {
                text++;
                after = scan_digits(&text, &decimal);
                if (after < 0)
                        return after;
                if (after == 0)
                        return -EINVAL;
        }
        if (before + after == 0)
                return -EINVAL;
        if (exponent)
                r = scan_exponent(&text, &decimal);
        if (r < 0)
                return r;
        if (*text)
                return -EINVAL;
        *ret = decimal;
        return 0;
}

/* The number in micros; *ret_rest tells whether anything is left behind the last of them. */
static int to_micros(const Decimal *decimal, micros_t *ret, bool *ret_rest) {
        int wanted = decimal->point + DECIMALS;
        micros_t value = 0;

        for (int i = 0; i < wanted; i++) {
                if (decimal->count == 0)
                        break;
                value = value * 10 + (i < decimal->count ? decimal->digits[i] - '0' : 0);
                if (value > MICROS_MAX)
                        return -ERANGE;
        }
        *ret_rest = false;
        for (int i = wanted > 0 ? wanted : 0; i < decimal->count; i++)
                *ret_rest |= decimal->digits[i] != '0';
        *ret = value;
        return 0;
}

/* More decimals than micros have are refused, be they zeros. */
static bool too_fine(const char *text) {
        const char *point = strchr(text, '.');

        return point && strlen(point + 1) > DECIMALS;
}

int money_parse(const char *text, micros_t *ret) {
        Decimal decimal;
        micros_t value;
        bool rest;
        int r;

        if (*text == '$')
                text++;
        r = scan(text, false, &decimal);
        if (r < 0)
                return r;
        if (too_fine(text))
                return -EINVAL;
        r = to_micros(&decimal, &value, &rest);
        if (r < 0)
                return r;
        *ret = value;
        return 0;
}

int money_parse_rounding_up(const char *text, micros_t *ret) {
        Decimal decimal;
        micros_t value;
        bool rest;
        int r;

        r = scan(text, true, &decimal);
        if (r >= 0)
                r = to_micros(&decimal, &value, &rest);
        if (r < 0)
                return r;
        if (rest && value == MICROS_MAX)
                return -ERANGE;
        *ret = value + rest;
        return 0;
}

char *money_format(micros_t amount, char buffer[static MONEY_TEXT_MAX]) {
        uint64_t magnitude = amount < 0 ? -(uint64_t) amount : (uint64_t) amount;
        size_t length;

        (void) snprintf(buffer, MONEY_TEXT_MAX, "%s$%" PRIu64 ".%06" PRIu64, amount < 0 ? "-" : "",
                        magnitude / (uint64_t) MICROS_PER_DOLLAR, magnitude % (uint64_t) MICROS_PER_DOLLAR);
        length = strlen(buffer);
        for (int dropped = 0; dropped < DECIMALS - 2 && buffer[length - 1] == '0'; dropped++)
                buffer[--length] = 0;
        return buffer;
}

static int check_range(micros_t value, micros_t *ret) {
        if (value > MICROS_MAX || value < -MICROS_MAX)
                return -ERANGE;
        *ret = value;
        return 0;
}

int money_add(micros_t a, micros_t b, micros_t *ret) {
        micros_t sum;

        if (__builtin_add_overflow(a, b, &sum))
                return -ERANGE;
        return check_range(sum, ret);
}

int money_multiply(micros_t amount, uint64_t n, micros_t *ret) {
        micros_t product;

        if (__builtin_mul_overflow(amount, n, &product))
                return -ERANGE;
        return check_range(product, ret);
}
