/* Signatures of webhooks as Standard Webhooks has them (www.standardwebhooks.com, its specification): HMAC-SHA-256 with the
 * endpoint's secret over "ID.TIMESTAMP.BODY", in base64 behind "v1,". Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WEBHOOK_SECRET_PREFIX "whsec_"
#define WEBHOOK_SECRET_BYTES_MIN 24
#define WEBHOOK_SECRET_BYTES_MAX 64
#define WEBHOOK_SIGNATURE_MAX 48  /* "v1,", the base64 of 32 bytes, and the final zero */

/* The bytes of a secret, which is their base64 behind "whsec_" or alone: into `key`. Returns how many; -EINVAL: it is none, or too
 * short or too long. */
ssize_t webhook_secret_parse(const char *secret, uint8_t key[static WEBHOOK_SECRET_BYTES_MAX]);

/* `timestamp` in seconds since 1970. -EIO, -ENOMEM. */
int webhook_sign(const uint8_t *key, size_t key_size, const char *id, int64_t timestamp, const char *body,
                 char ret[static WEBHOOK_SIGNATURE_MAX]);
