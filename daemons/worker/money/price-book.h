/* What images cost: at most before they are made, and exactly afterwards. Pure: no clock, no I/O.
 *
 * Amounts are integers of micro-dollars; the lines of one request are summed exactly and rounded up once. What has no
 * price is refused, never free: only a provider of the kind sandbox costs nothing where no entry says otherwise. */
#pragma once

#include "base/buffer.h"
#include "conf/price-line.h"
#include "conf/settings.h"

enum {
        PRICE_MISSING = 1,            /* `reason` says which entry or line of prices.conf would be needed */
};

typedef struct PriceBook PriceBook;

typedef struct PricedRequest {
        const char *provider, *model; /* as in prices.conf */
        const char *size, *quality;   /* NULL or "auto": as the provider likes */
        uint64_t n;                   /* images */
        uint64_t partial_images;      /* of each image, in a stream */
        uint64_t input_images;        /* of an edit, its mask counted as one */
        uint64_t prompt_bytes;        /* of UTF-8; no tokenizer makes more tokens than that */
} PricedRequest;

typedef struct TokenUsage {
        uint64_t tokens[N_TOKEN_KINDS];
} TokenUsage;

/* Of settings that have been checked; keeps nothing of them. -ENOMEM. */
int price_book_new(PriceBook **ret, const Settings *settings);
PriceBook *price_book_free(PriceBook *book);
DEFINE_CLEANUP(PriceBook *, price_book_free);

/* The ceiling, to be reserved: the dearest that `auto` may become, and a token for each byte of the prompt, and the most that
 * is known of an image to be worked on. 0,
 * PRICE_MISSING, -ERANGE when it is more than MICROS_MAX, -ENOMEM. */
int price_book_quote(const PriceBook *book, const PricedRequest *request, usec_t now, micros_t *ret, Buffer *reason);

/* What was charged, as far as prices tell. With `usage`, as the provider has counted it, and a price for each kind
 * that occurs: by tokens. Otherwise as quoted, request->n being the images that came: rather too much than too little.
 * Errors as above. */
int price_book_settle(const PriceBook *book, const PricedRequest *request, const TokenUsage *usage, usec_t now,
                      micros_t *ret, Buffer *reason);

/* One line of a sum: `count` of what is priced at `amount` for `per` of them. */
typedef struct PriceItem {
        const char *what;             /* "image", or the name of a token kind; static */
        char size[PRICE_SIZE_MAX];    /* of an image: the line of prices.conf; "" for tokens */
        char quality[PRICE_QUALITY_MAX];
        uint64_t count;
        micros_t amount;
        uint64_t per;                 /* 1 or 1,000,000 */
} PriceItem;

#define PRICE_ITEMS_MAX N_TOKEN_KINDS
_Static_assert(PRICE_ITEMS_MAX >= 4, "images, the prompt, images that came with it and partial images");

/* What price_book_settle() sums up, with its errors but the sum's own -ERANGE; nothing where it is free. */
int price_book_itemise(const PriceBook *book, const PricedRequest *request, const TokenUsage *usage, usec_t now,
                       PriceItem items[static PRICE_ITEMS_MAX], size_t *ret_n, Buffer *reason);
