#include "keys/image-link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define VERSION_LINE "atelier-image-link-1"
#define SIGNED_TEXT_MAX (IMAGE_LINK_PATH_MAX + sizeof(VERSION_LINE))

static int sign(const uint8_t *secret, const char *sha256, ImageFormat format, uint64_t expires,
                char signature[static SHA256_TEXT_MAX]) {
        uint8_t digest[SHA256_BYTES];
        char text[SIGNED_TEXT_MAX];
        int length, r;

        length = snprintf(text, sizeof(text), VERSION_LINE "\n/v1/images/%s.%s\n%" PRIu64 "\n", sha256,
                          image_format_name(format), expires);
        assert(length > 0 && (size_t) length < sizeof(text));
        r = hmac_sha256(secret, IMAGE_LINK_SECRET_BYTES, text, (size_t) length, digest);
        if (r < 0)
                return r;
        sha256_format(digest, signature);
        explicit_bzero(digest, sizeof(digest));
        return 0;
}

int image_link_format(const uint8_t secret[static IMAGE_LINK_SECRET_BYTES], const char *sha256, ImageFormat format,
                      uint64_t expires, char path[static IMAGE_LINK_PATH_MAX]) {
        char signature[SHA256_TEXT_MAX];
        int length, r;

        r = sign(secret, sha256, format, expires, signature);
        if (r < 0)
                return r;
        length = snprintf(path, IMAGE_LINK_PATH_MAX, "/v1/images/%s.%s?expires=%" PRIu64 "&signature=%s", sha256,
                          image_format_name(format), expires, signature);
        assert(length > 0 && length < IMAGE_LINK_PATH_MAX);
        return 0;
}

/* The one way in which the number may be written. */
static bool parse_expires(const char *text, uint64_t *ret) {
        return text && *text != '0' && text_to_unsigned(text, IMAGE_LINK_EXPIRES_MAX, ret) >= 0;
}

int image_link_check(const uint8_t secret[static IMAGE_LINK_SECRET_BYTES], const char *sha256, ImageFormat format,
                     const char *expires, const char *signature, usec_t now) {
        char right[SHA256_TEXT_MAX];
        uint64_t until;
        bool equal;
        int r;

        if (!parse_expires(expires, &until) || !signature || strlen(signature) != SHA256_TEXT_MAX - 1)
                return IMAGE_LINK_INVALID;
        r = sign(secret, sha256, format, until, right);
        if (r < 0)
                return r;

        equal = memory_equal_constant_time(right, signature, SHA256_TEXT_MAX - 1);
        explicit_bzero(right, sizeof(right));
        if (!equal)
                return IMAGE_LINK_INVALID;
        return now < until * USEC_PER_SEC ? 0 : IMAGE_LINK_EXPIRED;
}
