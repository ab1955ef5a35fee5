#include "base/hash.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

struct Sha256 {
        EVP_MD_CTX *context;
};

int sha256_new(Sha256 **ret) {
        _cleanup_(sha256_freep) Sha256 *hash = NULL;

        hash = calloc(1, sizeof(*hash));
        if (!hash)
                return -ENOMEM;
        hash->context = EVP_MD_CTX_new();
        if (!hash->context)
                return -ENOMEM;
        if (EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1)
                return -ENOTSUP;

        *ret = TAKE_PTR(hash);
        return 0;
}

Sha256 *sha256_free(Sha256 *hash) {
        if (!hash)
                return NULL;
        EVP_MD_CTX_free(hash->context);
        free(hash);
        return NULL;
}

int sha256_add(Sha256 *hash, const void *data, size_t size) {
        return EVP_DigestUpdate(hash->context, data, size) == 1 ? 0 : -EIO;
}

void sha256_format(const uint8_t digest[static SHA256_BYTES], char text[static SHA256_TEXT_MAX]) {
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < SHA256_BYTES; i++) {
                text[2 * i] = digits[digest[i] >> 4];
                text[2 * i + 1] = digits[digest[i] & 15];
        }
        text[2 * SHA256_BYTES] = 0;
}

int sha256_finish(Sha256 *hash, char text[static SHA256_TEXT_MAX]) {
        uint8_t digest[SHA256_BYTES];

        if (EVP_DigestFinal_ex(hash->context, digest, NULL) != 1 ||
            EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1)
                return -EIO;

        sha256_format(digest, text);
        return 0;
}

int sha256_text(const void *data, size_t size, char text[static SHA256_TEXT_MAX]) {
        uint8_t digest[SHA256_BYTES];

        if (EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;

        sha256_format(digest, text);
        return 0;
}

bool sha256_text_valid(const char *text) {
        return strlen(text) == 2 * SHA256_BYTES && strspn(text, "0123456789abcdef") == 2 * SHA256_BYTES;
}

int hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, uint8_t digest[static SHA256_BYTES]) {
        assert(key_size <= INT_MAX);

        return HMAC(EVP_sha256(), key, (int) key_size, data, size, digest, NULL) ? 0 : -EIO;
}

bool memory_equal_constant_time(const void *a, const void *b, size_t size) {
        return CRYPTO_memcmp(a, b, size) == 0;
}
