/* One money type: micros_t, millionths of a US dollar, as integers.
 *
 * A decimal text is exact or refused; only what a provider reports may have further digits, and is rounded up there,
 * so that what is booked is never less than what was charged. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t micros_t;

#define MICROS_PER_DOLLAR INT64_C(1000000)
#define MICROS_INFINITY INT64_MAX    /* no limit; no amount of its own */
#define MICROS_MAX (INT64_C(1000000000) * MICROS_PER_DOLLAR)  /* a thousand million dollars; sums of these fit */

/* Parses "0.04", "$1", "12.345678": digits, at most one point, at most six decimals, nothing else. -EINVAL, -ERANGE
 * past MICROS_MAX. */
int money_parse(const char *text, micros_t *ret);

/* The same for a decimal number as JSON writes it, with any number of decimals and an exponent ("4e-2"); what lies
 * between two micros is rounded up. */
int money_parse_rounding_up(const char *text, micros_t *ret);

/* "$4.10", "-$0.000025": two decimals, more where they are needed. Returns buffer. */
#define MONEY_TEXT_MAX 32
char *money_format(micros_t amount, char buffer[static MONEY_TEXT_MAX]);

/* a + b, or a * n, into *ret. -ERANGE when the sum leaves ±MICROS_MAX; *ret is then untouched. */
int money_add(micros_t a, micros_t b, micros_t *ret);
int money_multiply(micros_t amount, uint64_t n, micros_t *ret);
