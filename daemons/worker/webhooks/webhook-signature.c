#include "webhooks/webhook-signature.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/text.h"

#define SECRET_TEXT_MAX BASE64_ENCODED_SIZE(WEBHOOK_SECRET_BYTES_MAX)

ssize_t webhook_secret_parse(const char *secret, uint8_t key[static WEBHOOK_SECRET_BYTES_MAX]) {
        const char *text = text_after(secret, WEBHOOK_SECRET_PREFIX) ?: secret;
        uint8_t bytes[SECRET_TEXT_MAX / 4 * 3 + 3];
        Base64Decoder decoder = {};
        ssize_t size;

        if (strlen(text) > SECRET_TEXT_MAX)
                return -EINVAL;
        size = base64_decode(&decoder, text, strlen(text), bytes);
        if (size < 0 || base64_decode_finish(&decoder) < 0 || size < WEBHOOK_SECRET_BYTES_MIN ||
            size > WEBHOOK_SECRET_BYTES_MAX)
                size = -EINVAL;
        else
                memcpy(key, bytes, (size_t) size);
        explicit_bzero(bytes, sizeof(bytes));
        return size;
}

int webhook_sign(const uint8_t *key, size_t key_size, const char *id, int64_t timestamp, const char *body,
                 char ret[static WEBHOOK_SIGNATURE_MAX]) {
        _cleanup_free_ char *content = text_format("%s.%" PRIi64 ".%s", id, timestamp, body);
        uint8_t digest[SHA256_BYTES];
        size_t size;
        int r;

        if (!content)
                return -ENOMEM;
        r = hmac_sha256(key, key_size, content, strlen(content), digest);
        if (r < 0)
                return r;
        (void) strcpy(ret, "v1,");
        size = base64_encode(digest, sizeof(digest), ret + 3);
        ret[3 + size] = 0;
        return 0;
}
