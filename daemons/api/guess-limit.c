#include "guess-limit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/rate-limit.h"
#include "base/text.h"

#define SALT_DIGITS 32
#define NETWORK_BYTES 8 /* of an IPv6 address: a /64 */

typedef struct Guesser {
        char address[INET6_ADDRSTRLEN];
        usec_t full_at;
} Guesser;

typedef struct GoodToken {
        char hash[SHA256_TEXT_MAX];
        usec_t until;
} GoodToken;

/* Tokens are kept as hashes with a salt of this process: what is in memory is of no use to anybody else. */
struct GuessLimit {
        Map *guessers, *tokens;
        char salt[SALT_DIGITS + 1];
};

int guess_limit_new(GuessLimit **ret) {
        _cleanup_(guess_limit_freep) GuessLimit *limit = calloc(1, sizeof(*limit));
        unsigned char salt[SALT_DIGITS / 2];
        int r;

        if (!limit)
                return -ENOMEM;
        if (getrandom(salt, sizeof(salt), 0) != sizeof(salt))
                return -errno;
        for (size_t i = 0; i < sizeof(salt); i++)
                (void) sprintf(limit->salt + 2 * i, "%02x", salt[i]);
        r = map_new(&limit->guessers);
        if (r >= 0)
                r = map_new(&limit->tokens);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(limit);
        return 0;
}

static void forget_tokens(Map *tokens) {
        GoodToken *token;

        while (tokens && (token = map_first(tokens)))
                free(map_remove(tokens, token->hash));
}

GuessLimit *guess_limit_free(GuessLimit *limit) {
        Guesser *guesser;

        if (!limit)
                return NULL;
        while (limit->guessers && (guesser = map_first(limit->guessers)))
                free(map_remove(limit->guessers, guesser->address));
        forget_tokens(limit->tokens);
        (void) map_free(limit->guessers);
        (void) map_free(limit->tokens);
        free(limit);
        return NULL;
}

/* The /64 of an IPv6 address, and an IPv4 address as it is, in either notation. */
static void name_of(const char *address, char ret[static INET6_ADDRSTRLEN]) {
        struct in6_addr ipv6;

        (void) snprintf(ret, INET6_ADDRSTRLEN, "%s", address);
        if (inet_pton(AF_INET6, address, &ipv6) != 1)
                return;
        if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
                (void) inet_ntop(AF_INET, ipv6.s6_addr + 12, ret, INET6_ADDRSTRLEN);
                return;
        }
        memset(ipv6.s6_addr + NETWORK_BYTES, 0, sizeof(ipv6.s6_addr) - NETWORK_BYTES);
        (void) inet_ntop(AF_INET6, &ipv6, ret, INET6_ADDRSTRLEN);
}

static bool hash_token(const GuessLimit *limit, const char *token, char ret[static SHA256_TEXT_MAX]) {
        _cleanup_free_ char *text = text_format("%s%s", limit->salt, token);
        int r;

        if (!text)
                return false;
        r = sha256_text(text, strlen(text), ret);
        explicit_bzero(text, strlen(text));
        return r >= 0;
}

bool guess_limit_knows(const GuessLimit *limit, const char *token, usec_t now) {
        char hash[SHA256_TEXT_MAX];
        const GoodToken *good = token && hash_token(limit, token, hash) ? map_get(limit->tokens, hash) : NULL;

        return good && good->until > now;
}

bool guess_limit_admits(const GuessLimit *limit, const char *address, const char *token, unsigned per_minute, usec_t now,
                        usec_t *ret_retry) {
        RateClaim claim = { .per_minute = per_minute, .amount = 1 };
        char name[INET6_ADDRSTRLEN];
        const Guesser *guesser;
        usec_t full_at;

        if (per_minute == 0)
                return true;
        name_of(address, name);
        guesser = map_get(limit->guessers, name);
        if (!guesser)
                return true;
        full_at = guesser->full_at;
        rate_limit_claim(&claim, &full_at, now);
        if (!claim.refused || guess_limit_knows(limit, token, now))
                return true;
        *ret_retry = claim.retry_after;
        return false;
}

static void forget_nearest(Map *guessers) {
        Guesser *guesser, *nearest = NULL;
        size_t slot = 0;

        while ((guesser = map_next(guessers, &slot)))
                if (!nearest || guesser->full_at < nearest->full_at)
                        nearest = guesser;
        if (nearest)
                free(map_remove(guessers, nearest->address));
}

static Guesser *guesser_of(GuessLimit *limit, const char *address) {
        char name[INET6_ADDRSTRLEN];
        Guesser *guesser;

        name_of(address, name);
        guesser = map_get(limit->guessers, name);
        if (guesser)
                return guesser;
        if (map_size(limit->guessers) >= GUESS_ADDRESSES_MAX)
                forget_nearest(limit->guessers);
        guesser = calloc(1, sizeof(*guesser));
        if (!guesser)
                return NULL;
        (void) strcpy(guesser->address, name);
        if (map_put(limit->guessers, guesser->address, guesser) < 0) {
                free(guesser);
                return NULL;
        }
        return guesser;
}

void guess_limit_refused(GuessLimit *limit, const char *address, unsigned per_minute, usec_t now) {
        RateClaim claim = { .per_minute = per_minute, .amount = 1 };
        Guesser *guesser = per_minute > 0 ? guesser_of(limit, address) : NULL;

        if (guesser)
                rate_limit_claim(&claim, &guesser->full_at, now);
}

void guess_limit_good(GuessLimit *limit, const char *token, usec_t now) {
        char hash[SHA256_TEXT_MAX];
        GoodToken *good;

        if (!hash_token(limit, token, hash))
                return;
        good = map_get(limit->tokens, hash);
        if (!good) {
                if (map_size(limit->tokens) >= GUESS_TOKENS_MAX)
                        forget_tokens(limit->tokens);
                good = calloc(1, sizeof(*good));
                if (!good)
                        return;
                (void) strcpy(good->hash, hash);
                if (map_put(limit->tokens, good->hash, good) < 0) {
                        free(good);
                        return;
                }
        }
        good->until = now + GUESS_TOKEN_USEC;
}
