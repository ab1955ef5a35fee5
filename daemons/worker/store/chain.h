/* Chains of hashes of the store, as they are checked. */
#pragma once

#include "store/store.h"

/* What a step comes to, beside 0 (the end) and a negative errno. */
enum {
        CHAIN_BROKEN = 1, /* *problem says where */
        CHAIN_MORE = 2,
};

typedef struct ChainKind {
        const char *counts;  /* what the reply calls the number of those that were looked at */
        int (*new)(void **ret);
        void (*free)(void *chain);  /* may be NULL */
        int (*step)(void *chain, Store *store, char **problem);
        int64_t (*count)(const void *chain);
} ChainKind;
