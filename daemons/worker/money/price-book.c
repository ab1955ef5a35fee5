#include "money/price-book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define TOKENS_PER_PRICE 1000000     /* a token price is that of a million */
#define TOKENS_PER_INPUT_IMAGE 8192  /* more than high fidelity comes to, as OpenAI describes it for older models */
#define TOKENS_PER_PARTIAL_IMAGE 100 /* of output, as OpenAI counts them */

/* Micro-dollars times TOKENS_PER_PRICE: a sum of such lines is exact. */
typedef unsigned __int128 Fine;

typedef struct PriceEntry {
        char *provider, *model;
        usec_t since;
        ImagePrice *images;
        size_t n_images;
        micros_t tokens[N_TOKEN_KINDS];
        bool has_tokens[N_TOKEN_KINDS];
} PriceEntry;

struct PriceBook {
        PriceEntry *entries;
        size_t n_entries;
        char **free_providers;       /* ended by NULL */
};

/* ------------------------------------------------------------------ the book */

static size_t count_strings(char *const *strings) {
        size_t count = 0;

        while (strings && strings[count])
                count++;
        return count;
}

static int take_lines(PriceEntry *entry, const PriceConf *conf) {
        entry->n_images = count_strings(conf->per_image);
        entry->images = calloc(entry->n_images + 1, sizeof(*entry->images));
        if (!entry->images)
                return -ENOMEM;
        for (size_t i = 0; i < entry->n_images; i++) {
                int r = price_line_parse_image(conf->per_image[i], &entry->images[i]);

                if (r < 0)
                        return r;
        }
        for (char **line = conf->per_million_tokens; line && *line; line++) {
                TokenKind kind;
                micros_t amount;
                int r = price_line_parse_tokens(*line, &kind, &amount);

                if (r < 0)
                        return r;
                entry->tokens[kind] = amount;
                entry->has_tokens[kind] = true;
        }
        return 0;
}

static int take_entry(PriceEntry *entry, const PriceConf *conf) {
        entry->provider = strdup(conf->provider);
        entry->model = strdup(conf->model);
        entry->since = conf->since;
        return entry->provider && entry->model ? take_lines(entry, conf) : -ENOMEM;
}

static int take_free_providers(PriceBook *book, const ConfGroups *providers) {
        size_t count = 0;

        book->free_providers = calloc(providers->count + 1, sizeof(*book->free_providers));
        if (!book->free_providers)
                return -ENOMEM;
        for (size_t i = 0; i < providers->count; i++) {
                const ProviderConf *provider = providers->items[i];

                if (provider->kind != PROVIDER_SANDBOX)
                        continue;
                book->free_providers[count] = strdup(provider->name);
                if (!book->free_providers[count++])
                        return -ENOMEM;
        }
        return 0;
}

int price_book_new(PriceBook **ret, const Settings *settings) {
        _cleanup_(price_book_freep) PriceBook *book = calloc(1, sizeof(*book));
        const ConfGroups *prices = &settings->common.prices;
        int r;

        if (!book)
                return -ENOMEM;
        book->entries = calloc(prices->count + 1, sizeof(*book->entries));
        if (!book->entries)
                return -ENOMEM;
        r = take_free_providers(book, &settings->common.providers);
        while (r >= 0 && book->n_entries < prices->count) {
                r = take_entry(&book->entries[book->n_entries], prices->items[book->n_entries]);
                book->n_entries++;
        }
        if (r < 0)
                return r;

        *ret = TAKE_PTR(book);
        return 0;
}

PriceBook *price_book_free(PriceBook *book) {
        if (!book)
                return NULL;
        for (size_t i = 0; i < book->n_entries; i++) {
                free(book->entries[i].provider);
                free(book->entries[i].model);
                free(book->entries[i].images);
        }
        free(book->entries);
        for (char **name = book->free_providers; name && *name; name++)
                free(*name);
        free(book->free_providers);
        free(book);
        return NULL;
}

/* The newest that counts already. */
static const PriceEntry *find_entry(const PriceBook *book, const PricedRequest *request, usec_t now) {
        const PriceEntry *found = NULL;

        for (size_t i = 0; i < book->n_entries; i++) {
                const PriceEntry *entry = &book->entries[i];

                if (entry->since <= now && (!found || entry->since > found->since) &&
                    text_equal(entry->provider, request->provider) && text_equal(entry->model, request->model))
                        found = entry;
        }
        return found;
}

static bool is_free(const PriceBook *book, const char *provider) {
        for (char **name = book->free_providers; *name; name++)
                if (text_equal(*name, provider))
                        return true;
        return false;
}

/* ------------------------------------------------------------------ one image */

static bool is_auto(const char *value) {
        return !value || text_equal(value, "auto");
}

/* The line of a size and a quality, "auto" being one as any other: one of its own, else what "*" says. A line of the
 * size comes before one of the quality. */
static bool find_line(const PriceEntry *entry, const char *size, const char *quality, const ImagePrice **ret) {
        const char *const order[][2] = { { size, quality }, { size, "*" }, { "*", quality }, { "*", "*" } };

        for (size_t i = 0; i < ELEMENTS(order); i++)
                for (size_t j = 0; j < entry->n_images; j++)
                        if (text_equal(entry->images[j].size, order[i][0]) &&
                            text_equal(entry->images[j].quality, order[i][1])) {
                                *ret = &entry->images[j];
                                return true;
                        }
        return false;
}

static bool names_size(const PriceEntry *entry, const char *size) {
        for (size_t i = 0; i < entry->n_images; i++)
                if (text_equal(entry->images[i].size, size))
                        return true;
        return false;
}

/* Whether a line is written for just this, so that `auto` needs not be guessed. */
static bool has_line(const PriceEntry *entry, const char *size, const char *quality) {
        const char *named = is_auto(size) || names_size(entry, size) ? size : "*";

        for (size_t i = 0; i < entry->n_images; i++)
                if (text_equal(entry->images[i].size, named) &&
                    (text_equal(entry->images[i].quality, quality) ||
                     (!is_auto(quality) && text_equal(entry->images[i].quality, "*"))))
                        return true;
        return false;
}

/* The dearest that `auto` may become: of all that lines name, and of what "*" stands for. */
static bool find_ceiling(const PriceEntry *entry, const char *size, const char *quality, const ImagePrice **ret) {
        bool found = false;

        for (size_t i = 0; i < entry->n_images; i++) {
                const ImagePrice *line = &entry->images[i], *price;

                if (!find_line(entry, is_auto(size) ? line->size : size, is_auto(quality) ? line->quality : quality,
                               &price))
                        continue;
                if (!found || price->amount > (*ret)->amount)
                        *ret = price;
                found = true;
        }
        return found;
}

static int price_image(const PriceEntry *entry, const PricedRequest *request, const ImagePrice **ret, Buffer *reason) {
        const char *size = request->size ?: "auto", *quality = request->quality ?: "auto";
        int r;

        if (has_line(entry, size, quality) ? find_line(entry, size, quality, ret)
                                           : find_ceiling(entry, size, quality, ret))
                return 0;

        r = buffer_printf(reason, "There is no price for %s of %s in size %s and quality %s; expected a line \"%s %s "
                          "$AMOUNT\" in per_image of its entry in prices.conf.", request->model, request->provider,
                          size, quality, size, quality);
        return r < 0 ? r : PRICE_MISSING;
}

/* ------------------------------------------------------------------ sums */

static int round_up(Fine sum, micros_t *ret) {
        Fine micros = sum / TOKENS_PER_PRICE + (sum % TOKENS_PER_PRICE > 0);

        if (micros > (Fine) MICROS_MAX)
                return -ERANGE;
        *ret = (micros_t) micros;
        return 0;
}

/* Counts are of 64 bits and amounts of 50: a product stays below 2^127, and so does a sum of few. */
static int sum_items(const PriceItem *items, size_t n, micros_t *ret) {
        Fine sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += (Fine) items[i].count * (Fine) items[i].amount * (TOKENS_PER_PRICE / items[i].per);
        return round_up(sum, ret);
}

static PriceItem image_item(const ImagePrice *line, uint64_t n) {
        PriceItem item = {
                .what = "image",
                .count = MIN(n, (uint64_t) MICROS_MAX),
                .amount = line->amount,
                .per = 1,
        };

        (void) strcpy(item.size, line->size);
        (void) strcpy(item.quality, line->quality);
        return item;
}

/* What is none, or costs nothing, is no item. */
static void add_tokens(const PriceEntry *entry, TokenKind kind, uint64_t tokens, PriceItem *items, size_t *n) {
        if (tokens > 0 && entry->tokens[kind] > 0)
                items[(*n)++] = (PriceItem) {
                        .what = token_kind_names[kind],
                        .count = tokens,
                        .amount = entry->tokens[kind],
                        .per = TOKENS_PER_PRICE,
                };
}

static int no_entry(const PricedRequest *request, Buffer *reason) {
        int r = buffer_printf(reason, "There is no price for %s of %s; expected an entry for this provider and model "
                              "in prices.conf.", request->model, request->provider);

        return r < 0 ? r : PRICE_MISSING;
}

static int itemise_ceiling(const PriceEntry *entry, const PricedRequest *request,
                           PriceItem items[static PRICE_ITEMS_MAX], size_t *ret_n, Buffer *reason) {
        const ImagePrice *image;
        uint64_t partial_tokens, input_tokens;
        size_t n = 0;
        int r;

        r = price_image(entry, request, &image, reason);
        if (r != 0)
                return r;
        if (__builtin_mul_overflow(request->n, request->partial_images, &partial_tokens) ||
            __builtin_mul_overflow(partial_tokens, TOKENS_PER_PARTIAL_IMAGE, &partial_tokens) ||
            __builtin_mul_overflow(request->input_images, TOKENS_PER_INPUT_IMAGE, &input_tokens))
                return -ERANGE;

        items[n++] = image_item(image, request->n);
        add_tokens(entry, TOKEN_TEXT_INPUT, request->prompt_bytes, items, &n);
        add_tokens(entry, TOKEN_IMAGE_INPUT, input_tokens, items, &n);
        add_tokens(entry, TOKEN_IMAGE_OUTPUT, partial_tokens, items, &n);
        *ret_n = n;
        return 0;
}

static bool all_priced(const PriceEntry *entry, const TokenUsage *usage) {
        for (size_t i = 0; i < N_TOKEN_KINDS; i++)
                if (usage->tokens[i] > 0 && !entry->has_tokens[i])
                        return false;
        return true;
}

int price_book_itemise(const PriceBook *book, const PricedRequest *request, const TokenUsage *usage, usec_t now,
                       PriceItem items[static PRICE_ITEMS_MAX], size_t *ret_n, Buffer *reason) {
        const PriceEntry *entry = find_entry(book, request, now);

        *ret_n = 0;
        if (!entry)
                return is_free(book, request->provider) ? 0 : no_entry(request, reason);
        if (!usage || !all_priced(entry, usage))
                return itemise_ceiling(entry, request, items, ret_n, reason);
        for (TokenKind kind = 0; kind < N_TOKEN_KINDS; kind++)
                add_tokens(entry, kind, usage->tokens[kind], items, ret_n);
        return 0;
}

int price_book_quote(const PriceBook *book, const PricedRequest *request, usec_t now, micros_t *ret, Buffer *reason) {
        return price_book_settle(book, request, NULL, now, ret, reason);
}

int price_book_settle(const PriceBook *book, const PricedRequest *request, const TokenUsage *usage, usec_t now,
                      micros_t *ret, Buffer *reason) {
        PriceItem items[PRICE_ITEMS_MAX];
        size_t n;
        int r;

        r = price_book_itemise(book, request, usage, now, items, &n, reason);
        return r != 0 ? r : sum_items(items, n, ret);
}
