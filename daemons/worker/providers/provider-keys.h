/* A provider's own keys: in order of preference, each good until the provider has said otherwise.
 *
 * The first that is good is used. One that the provider refuses is set aside and later tried again, both where its
 * account is used up, since somebody may have paid, and where the provider says that it does not know it (401):
 * providers have said so of good keys in their own outages, and nobody shall have to wake up for that. Keys are
 * numbered from 1 as the settings list them, the missing ones too, so that a message means the same to whoever reads
 * the file; their texts are in locked pages of their own. */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/time.h"

#define KEYS_MAX 8                               /* of one provider; PROVIDER_KEYS_MAX of the settings */
#define KEY_SPENT_USEC (10 * USEC_PER_MINUTE)
#define KEY_REFUSED_USEC (5 * USEC_PER_MINUTE)

typedef enum KeyFault {
        KEY_FAULT_NONE,
        KEY_FAULT_REFUSED,       /* the provider does not know it */
        KEY_FAULT_SPENT,         /* its quota or money is used up */
} KeyFault;

typedef struct ProviderKey {
        char *text;              /* NULL: missing */
        size_t bytes;            /* with the final zero */
        KeyFault fault;
        usec_t until;            /* monotonic, of a fault */
} ProviderKey;

typedef struct ProviderKeys {
        ProviderKey keys[KEYS_MAX];
        unsigned count;
} ProviderKeys;

/* The next key; NULL or "" is one that is missing. -E2BIG past KEYS_MAX, -ENOMEM and others of mmap(). */
int provider_keys_add(ProviderKeys *keys, const char *text);
void provider_keys_done(ProviderKeys *keys);

/* Is there any text? */
bool provider_keys_present(const ProviderKeys *keys);

/* Number of the key to use at `now`; 0: each is missing or set aside. */
unsigned provider_keys_choose(const ProviderKeys *keys, usec_t now);

/* What is wrong with the key of that number at `now`. */
KeyFault provider_keys_fault(const ProviderKeys *keys, unsigned number, usec_t now);

/* The provider has refused it. False: it was set aside already. */
bool provider_keys_set_aside(ProviderKeys *keys, unsigned number, KeyFault fault, usec_t now);

/* "key 1 of 2 refused, key 2 of 2 missing", behind a comma where there is text already; nothing where all are good.
 * -ENOMEM. */
int provider_keys_describe(const ProviderKeys *keys, usec_t now, Buffer *text);
