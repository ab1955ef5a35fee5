/* One price as a line of text, the way etc/prices.conf lists them.
 *
 * An image: "SIZE QUALITY $AMOUNT". SIZE is WIDTHxHEIGHT, "auto", or "*" for every size without a line of its own;
 * QUALITY is a value of the field, or "*" likewise. A token kind: "KIND $AMOUNT", the amount for a million tokens. */
#pragma once

#include "base/macro.h"
#include "base/money.h"

#define PRICE_SIZE_MAX 16      /* with its NUL */
#define PRICE_QUALITY_MAX 32

typedef enum TokenKind {
        TOKEN_TEXT_INPUT,
        TOKEN_TEXT_INPUT_CACHED,
        TOKEN_IMAGE_INPUT,
        TOKEN_IMAGE_INPUT_CACHED,
        TOKEN_TEXT_OUTPUT,
        TOKEN_IMAGE_OUTPUT,
        N_TOKEN_KINDS,
} TokenKind;

extern const char *const token_kind_names[N_TOKEN_KINDS];   /* "text_input", … */

typedef struct ImagePrice {
        char size[PRICE_SIZE_MAX];
        char quality[PRICE_QUALITY_MAX];
        micros_t amount;       /* for one image */
} ImagePrice;

/* -EINVAL for text that is no such line. */
int price_line_parse_image(const char *line, ImagePrice *ret);
int price_line_parse_tokens(const char *line, TokenKind *ret_kind, micros_t *ret_amount);
