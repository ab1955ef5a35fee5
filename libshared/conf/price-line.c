#include "conf/price-line.h"

#include <errno.h>
#include <string.h>

#include "base/image-size.h"
#include "base/text.h"

#define AMOUNT_MAX 32
#define KIND_MAX 32

const char *const token_kind_names[N_TOKEN_KINDS] = {
        [TOKEN_TEXT_INPUT] = "text_input",
        [TOKEN_TEXT_INPUT_CACHED] = "text_input_cached",
        [TOKEN_IMAGE_INPUT] = "image_input",
        [TOKEN_IMAGE_INPUT_CACHED] = "image_input_cached",
        [TOKEN_TEXT_OUTPUT] = "text_output",
        [TOKEN_IMAGE_OUTPUT] = "image_output",
};

/* The next word, and where the text behind it and its blanks begins. */
static int take_word(const char **line, char *word, size_t word_max) {
        size_t length = strcspn(*line, " ");

        if (length == 0 || length >= word_max)
                return -EINVAL;
        memcpy(word, *line, length);
        word[length] = 0;
        *line += length + strspn(*line + length, " ");
        return 0;
}

/* The last word: an amount that says that it is one. */
static int take_amount(const char *line, micros_t *ret) {
        char amount[AMOUNT_MAX];
        int r;

        if (strchr(line, ' '))
                return -EINVAL;
        r = take_word(&line, amount, sizeof(amount));
        if (r < 0)
                return r;
        return amount[0] != '$' || money_parse(amount, ret) < 0 ? -EINVAL : 0;
}

static bool is_size(const char *text) {
        unsigned width, height;

        return text_equal(text, "*") || text_equal(text, "auto") || image_size_parse(text, &width, &height);
}

int price_line_parse_image(const char *line, ImagePrice *ret) {
        ImagePrice price = {};
        int r;

        r = take_word(&line, price.size, sizeof(price.size));
        if (r >= 0)
                r = take_word(&line, price.quality, sizeof(price.quality));
        if (r >= 0)
                r = take_amount(line, &price.amount);
        if (r < 0 || !is_size(price.size))
                return -EINVAL;

        *ret = price;
        return 0;
}

int price_line_parse_tokens(const char *line, TokenKind *ret_kind, micros_t *ret_amount) {
        char kind[KIND_MAX];
        micros_t amount = 0;
        int r;

        r = take_word(&line, kind, sizeof(kind));
        if (r >= 0)
                r = take_amount(line, &amount);
        if (r < 0)
                return r;
        for (size_t i = 0; i < N_TOKEN_KINDS; i++)
                if (text_equal(kind, token_kind_names[i])) {
                        *ret_kind = (TokenKind) i;
                        *ret_amount = amount;
                        return 0;
                }
        return -EINVAL;
}
