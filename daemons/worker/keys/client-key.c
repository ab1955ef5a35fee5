#include "keys/client-key.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"

#define DIGITS "0123456789abcdef"
#define RANDOM_BYTES ((CLIENT_KEY_ID_DIGITS + CLIENT_KEY_SECRET_DIGITS) / 2)
#define ID_OFFSET (sizeof(CLIENT_KEY_PREFIX) - 1)
#define SECRET_OFFSET (ID_OFFSET + CLIENT_KEY_ID_DIGITS + 1)
#define CHECK_OFFSET (SECRET_OFFSET + CLIENT_KEY_SECRET_DIGITS)

static char *write_hex(char *p, const uint8_t *bytes, size_t digits) {
        for (size_t i = 0; i < digits; i++)
                *p++ = DIGITS[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
        return p;
}

int client_key_mint(const char *id, char token[static CLIENT_KEY_TOKEN_MAX]) {
        char sum[SHA256_TEXT_MAX], *p;
        uint8_t bytes[RANDOM_BYTES];
        int r;

        /* So few bytes come whole once the generator is seeded (getrandom(2)). */
        if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
                return -EIO;
        p = stpcpy(token, CLIENT_KEY_PREFIX);
        p = id ? stpcpy(p, id) : write_hex(p, bytes, CLIENT_KEY_ID_DIGITS);
        *p++ = '_';
        p = write_hex(p, bytes + CLIENT_KEY_ID_DIGITS / 2, CLIENT_KEY_SECRET_DIGITS);
        explicit_bzero(bytes, sizeof(bytes));

        r = sha256_text(token, CHECK_OFFSET, sum);
        if (r < 0)
                return r;
        *(char *) mempcpy(p, sum, CLIENT_KEY_CHECK_DIGITS) = 0;
        return 0;
}

bool client_key_list_contains(const char *list, const char *name) {
        size_t length = strlen(name);

        for (const char *p = list; *p;) {
                size_t n = strcspn(p, ",");

                if (n == length && memcmp(p, name, n) == 0)
                        return true;
                p += n + (p[n] == ',');
        }
        return false;
}

bool client_key_is_ours(const char *token) {
        return token && text_after(token, CLIENT_KEY_PREFIX);
}

static bool is_hex(const char *text, size_t digits) {
        return strspn(text, DIGITS) >= digits;
}

/* What is compared here is no secret: the check follows from the token itself. */
static bool check_is_right(const char *token) {
        char sum[SHA256_TEXT_MAX];

        return sha256_text(token, CHECK_OFFSET, sum) >= 0 &&
               memcmp(token + CHECK_OFFSET, sum, CLIENT_KEY_CHECK_DIGITS) == 0;
}

bool client_key_parse(const char *token, char id[static CLIENT_KEY_ID_MAX]) {
        if (!client_key_is_ours(token) || strlen(token) != CLIENT_KEY_TOKEN_MAX - 1 ||
            !is_hex(token + ID_OFFSET, CLIENT_KEY_ID_DIGITS) || token[SECRET_OFFSET - 1] != '_' ||
            !is_hex(token + SECRET_OFFSET, CLIENT_KEY_SECRET_DIGITS + CLIENT_KEY_CHECK_DIGITS) ||
            !check_is_right(token))
                return false;

        *(char *) mempcpy(id, token + ID_OFFSET, CLIENT_KEY_ID_DIGITS) = 0;
        return true;
}

int client_key_hash(const char *token, const uint8_t server_secret[static CLIENT_KEY_SERVER_SECRET_BYTES],
                    uint8_t hash[static SHA256_BYTES]) {
        return hmac_sha256(server_secret, CLIENT_KEY_SERVER_SECRET_BYTES, token + ID_OFFSET, CHECK_OFFSET - ID_OFFSET,
                           hash);
}

bool client_key_id_valid(const char *id) {
        return id && strlen(id) == CLIENT_KEY_ID_DIGITS && is_hex(id, CLIENT_KEY_ID_DIGITS);
}

/* C1 controls, U+0080 to U+009F, are 0xc2 and a byte below 0xa0. */
static bool is_control(const char *p) {
        const uint8_t *bytes = (const uint8_t *) p;

        return bytes[0] < ' ' || bytes[0] == 0x7f || (bytes[0] == 0xc2 && bytes[1] < 0xa0);
}

bool client_key_name_valid(const char *name) {
        size_t size = name ? strlen(name) : 0;

        if (size == 0 || size > CLIENT_KEY_NAME_BYTES_MAX || !utf8_valid(name, size))
                return false;
        for (; *name; name++)
                if (is_control(name))
                        return false;
        return true;
}
