/* Any text as base64: cut in two anywhere it decodes as in one piece, never beyond its room, and what decodes is found
 * again when it is encoded. The first byte says where the cut is. */
#include <string.h>

#include "base/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool kept) {
        if (!kept)
                abort();
}

static ssize_t decode(Base64Decoder *decoder, const char *text, size_t size, uint8_t **ret) {
        /* Just the room that is promised to be enough. */
        *ret = malloc(size / 4 * 3 + 3);
        require(*ret);
        return base64_decode(decoder, text, size, *ret);
}

/* Only the last group's unused bits may differ. */
static void require_same_text(const uint8_t *bytes, size_t n, const char *text, size_t size) {
        _cleanup_free_ char *encoded = malloc(BASE64_ENCODED_SIZE(n) + 1);

        require(encoded);
        require(base64_encode(bytes, n, encoded) == size);
        require(size < 4 || memcmp(encoded, text, size - 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ uint8_t *whole = NULL, *head = NULL, *tail = NULL;
        Base64Decoder one = {}, two = {};
        const char *text = (const char *) data + 1;
        ssize_t n, n_head, n_tail;
        size_t cut;

        if (size == 0)
                return 0;
        size--;
        cut = MIN((size_t) data[0], size);

        n = decode(&one, text, size, &whole);
        n_head = decode(&two, text, cut, &head);
        if (n_head < 0) {
                require(n < 0);
                return 0;
        }
        n_tail = decode(&two, text + cut, size - cut, &tail);
        require((n < 0) == (n_tail < 0));
        if (n < 0)
                return 0;

        require(n == n_head + n_tail);
        require(memcmp(whole, head, (size_t) n_head) == 0 && memcmp(whole + n_head, tail, (size_t) n_tail) == 0);
        require(base64_decode_finish(&one) == base64_decode_finish(&two));
        if (base64_decode_finish(&one) == 0)
                require_same_text(whole, (size_t) n, text, size);
        return 0;
}
