/* A link by which one image may be opened until a time, by whoever has it and no key:
 *
 *     /v1/images/SHA256.FORMAT?expires=SECONDS&signature=HEX
 *
 * The signature is HMAC-SHA-256, in 64 lower-case hexadecimal digits, under a secret of the server, over
 *
 *     "atelier-image-link-1" LF "/v1/images/" SHA256 "." FORMAT LF SECONDS LF
 *
 * A hash has a fixed length, a format is one of three words, SECONDS (since 1970-01-01 UTC) are decimal digits that do not
 * begin with 0: two links never sign the same text. Nothing else is signed with that secret, and the first line names
 * the version: a link that says more some day has another, and is none of these.
 *
 * The method is not in it: the path is served to GET and HEAD alone. Nor is a host, since a link may come through several. */
#pragma once

#include <stdint.h>

#include "base/hash.h"
#include "base/time.h"
#include "images/image-file.h"

#define IMAGE_LINK_SECRET_BYTES 32

/* For how long one may be good, in seconds. */
#define IMAGE_LINK_SECONDS_MIN 60
#define IMAGE_LINK_SECONDS_DEFAULT 3600 /* OpenAI's links, and those of `response_format` */
#define IMAGE_LINK_SECONDS_MAX (7 * 24 * 3600)

#define IMAGE_LINK_PATH_MAX 256 /* with NUL */
#define IMAGE_LINK_EXPIRES_MAX (UINT64_MAX / USEC_PER_SEC)

enum {
        IMAGE_LINK_INVALID = 1, /* not signed by that secret, or not for this image */
        IMAGE_LINK_EXPIRED,     /* it was right */
};

/* Writes the path with its query. -EIO when OpenSSL fails. */
int image_link_format(const uint8_t secret[static IMAGE_LINK_SECRET_BYTES], const char *sha256, ImageFormat format,
                      uint64_t expires, char path[static IMAGE_LINK_PATH_MAX]);

/* Judges `expires` and `signature` as they stand in a link to the image; either may be NULL. 0, an outcome, or -EIO. The
 * signature is compared in constant time. A link is good as long as `now` is before `expires`. */
int image_link_check(const uint8_t secret[static IMAGE_LINK_SECRET_BYTES], const char *sha256, ImageFormat format,
                     const char *expires, const char *signature, usec_t now);
