/* Base64 (RFC 4648, standard alphabet), in pieces of any size. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"

#define BASE64_ENCODED_SIZE(bytes) (((size_t) (bytes) + 2) / 3 * 4)

/* Encodes into `text` (BASE64_ENCODED_SIZE(size) bytes, no NUL); padded only if size is no multiple of 3. */
size_t base64_encode(const uint8_t *data, size_t size, char *text);

typedef struct Base64Decoder {
        uint32_t bits;
        unsigned count;   /* characters of the current group */
        unsigned padding; /* '=' seen */
} Base64Decoder;

/* Decodes `size` characters into `data` (size / 4 * 3 + 3 bytes). Returns the bytes written; -EBADMSG for a
 * character that is not of the alphabet or follows the padding. */
ssize_t base64_decode(Base64Decoder *decoder, const char *text, size_t size, uint8_t *data);

/* At the end: 0, or -EBADMSG when a group is cut short. */
int base64_decode_finish(const Base64Decoder *decoder);
