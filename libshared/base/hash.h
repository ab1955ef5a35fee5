/* SHA-256 (FIPS 180-4), HMAC with it (RFC 2104), and comparisons that take the same time whatever differs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define SHA256_BYTES 32
#define SHA256_TEXT_MAX (2 * SHA256_BYTES + 1)  /* lower-case hexadecimal and NUL */

typedef struct Sha256 Sha256;

int sha256_new(Sha256 **ret);
Sha256 *sha256_free(Sha256 *hash);
DEFINE_CLEANUP(Sha256 *, sha256_free);

int sha256_add(Sha256 *hash, const void *data, size_t size);

/* Ends the computation; the object starts afresh. */
int sha256_finish(Sha256 *hash, char text[static SHA256_TEXT_MAX]);

/* All at once. */
int sha256_text(const void *data, size_t size, char text[static SHA256_TEXT_MAX]);

/* A digest as text. */
void sha256_format(const uint8_t digest[static SHA256_BYTES], char text[static SHA256_TEXT_MAX]);

/* True for 64 lower-case hexadecimal digits and nothing else. */
bool sha256_text_valid(const char *text);

/* HMAC-SHA-256. -EIO when OpenSSL fails. */
int hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, uint8_t digest[static SHA256_BYTES]);

bool memory_equal_constant_time(const void *a, const void *b, size_t size);
