/* Whatever stands around it, a secret in one of the shapes that secret_mask() knows does not survive; what comes
 * out is UTF-8, and bounded. */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/secret-mask.h"
#include "base/text.h"

#define CANARY "c4N4ryAbCdEf0123456789GhIjKlMnOpQrStUvWxYz01"
#define CANARY_START "c4N4ry"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const shapes[] = {
        "Bearer " CANARY,
        "sk-" CANARY,
        "sk-or-v1-" CANARY,
        "xoxb-" CANARY,
        "https://hooks.slack.com/services/T00/B00/" CANARY,
        "AKIA" CANARY,
        "password=" CANARY,
        "api_key: " CANARY,
        "\"api_key\": \"" CANARY "\"",
        "Authorization: Digest " CANARY,
        "https://user:" CANARY "@host/",
        "the key " CANARY,
        "-----BEGIN PRIVATE KEY-----\n" CANARY "\n-----END PRIVATE KEY-----",
};

static void require(bool kept) {
        if (!kept)
                abort();
}

static void require_sound(const char *masked, size_t size) {
        size_t length;

        require(masked);
        length = strlen(masked);
        require(utf8_valid(masked, length));
        require(length <= 12 * size);
}

/* The first byte chooses the shape, the second how much of the rest stands before it, on lines of its own. */
static void plant(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_free_ char *masked = NULL;
        size_t before = (size - 2) * data[1] / 255;

        require(buffer_append(&text, data + 2, before) >= 0);
        require(buffer_printf(&text, "\n%s ", shapes[data[0] % ELEMENTS(shapes)]) >= 0);
        require(buffer_append(&text, data + 2 + before, size - 2 - before) >= 0);
        masked = secret_mask((const char *) text.data, text.size);
        require_sound(masked, text.size);
        require(!strstr(masked, CANARY_START));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *masked = NULL;

        masked = secret_mask((const char *) data, size);
        require_sound(masked, size);
        /* What the input itself spells out would be found again. */
        if (size >= 2 && !memmem(data, size, CANARY_START, strlen(CANARY_START)))
                plant(data, size);
        return 0;
}
