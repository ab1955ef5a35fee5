/* A client's key as text, and how it is remembered.
 *
 *     atl_0123456789abcdef_000102030405060708090a0b0c0d0e0f10111213c96c2814
 *         id               secret (160 bits)                       check
 *
 * All digits are hexadecimal and lower-case; the length is fixed. The id is no secret: it names the key in lists, jobs
 * and the journal. The check is the beginning of the SHA-256 of all that stands before it: who scans for leaked keys
 * can tell one from a chance likeness, and a mistyped key is refused without a look at the database.
 *
 * What is stored of the secret is HMAC-SHA-256 over id, "_" and secret, under a secret of the server that does not lie
 * in the database: a stolen database alone lets nobody try guesses, and a hash that is copied to another id is worth
 * nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/money.h"
#include "base/time.h"

#define CLIENT_KEY_PREFIX "atl_"
#define CLIENT_KEY_ID_DIGITS 16
#define CLIENT_KEY_SECRET_DIGITS 40
#define CLIENT_KEY_CHECK_DIGITS 8
#define CLIENT_KEY_ID_MAX (CLIENT_KEY_ID_DIGITS + 1)  /* with NUL, as the next */
#define CLIENT_KEY_TOKEN_MAX \
        (sizeof(CLIENT_KEY_PREFIX) + CLIENT_KEY_ID_DIGITS + 1 + CLIENT_KEY_SECRET_DIGITS + CLIENT_KEY_CHECK_DIGITS)
#define CLIENT_KEY_NAME_BYTES_MAX 100
#define CLIENT_KEY_SERVER_SECRET_BYTES 32

#define CLIENT_KEY_NO_BUDGET ((micros_t) -1)
#define CLIENT_KEY_MODELS_BYTES_MAX 1000    /* of all names, with the commas between them */
#define CLIENT_KEY_NETWORKS_BYTES_MAX 500   /* the same */
#define CLIENT_KEY_RATE_MAX 1000000         /* a minute */

/* Times are realtime; 0: never. */
typedef struct ClientKey {
        char id[CLIENT_KEY_ID_MAX];
        char name[CLIENT_KEY_NAME_BYTES_MAX + 1];
        char owner[CLIENT_KEY_NAME_BYTES_MAX + 1];             /* ""; who is to be asked about it */
        uint8_t hash[SHA256_BYTES];
        uint8_t former_hash[SHA256_BYTES];                     /* of the secret before the last rotation, … */
        usec_t former_until;                                   /* … which is as good until then */
        usec_t created_at, revoked_at, expires_at;
        usec_t used_at;                                        /* when images were last asked for, to a minute */
        micros_t daily_budget, monthly_budget;                 /* CLIENT_KEY_NO_BUDGET: none */
        char models[CLIENT_KEY_MODELS_BYTES_MAX + 1];          /* it may ask for, divided by commas; "": all */
        char networks[CLIENT_KEY_NETWORKS_BYTES_MAX + 1];      /* from where, as network-list.h has them; "": anywhere */
        unsigned requests_per_minute, images_per_minute;       /* 0: no limit of its own */
} ClientKey;

/* A new key from the kernel's generator; or a new secret for the key `id`. Whoever has shown the token wipes it. */
int client_key_mint(const char *id, char token[static CLIENT_KEY_TOKEN_MAX]);

/* Whether the list, divided by commas, has the name. */
bool client_key_list_contains(const char *list, const char *name);

/* Does it begin as ours do? Others are what clients send who can't do without one. NULL is none. */
bool client_key_is_ours(const char *token);

/* True, with the id, for a well-formed key whose check is right. */
bool client_key_parse(const char *token, char id[static CLIENT_KEY_ID_MAX]);

/* Of a token that client_key_parse() has taken. -EIO when OpenSSL fails. */
int client_key_hash(const char *token, const uint8_t server_secret[static CLIENT_KEY_SERVER_SECRET_BYTES],
                    uint8_t hash[static SHA256_BYTES]);

bool client_key_id_valid(const char *id);

/* 1 to CLIENT_KEY_NAME_BYTES_MAX bytes of UTF-8 without control characters. */
bool client_key_name_valid(const char *name);
