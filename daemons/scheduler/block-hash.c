#include "block-hash.h"

#include <errno.h>

struct BlockHash {
        BlockRing *ring;
        Sha256 *sha256;
        pthread_t thread;
        unsigned user;
        bool running;
        int result;       /* the thread's, to be read once it has ended */
};

static int hash_blocks(BlockHash *hash) {
        Block *block;
        int r;

        while ((r = block_ring_next(hash->ring, hash->user, &block)) > 0) {
                r = sha256_add(hash->sha256, block->data, block->size);
                if (r < 0) {
                        block_ring_fail(hash->ring, r);
                        return r;
                }
        }
        return r;
}

static void *thread_main(void *userdata) {
        BlockHash *hash = userdata;

        hash->result = hash_blocks(hash);
        return NULL;
}

int block_hash_new(BlockHash **ret, BlockRing *ring, unsigned user) {
        _cleanup_(block_hash_freep) BlockHash *hash = NULL;
        int r;

        hash = calloc(1, sizeof(*hash));
        if (!hash)
                return -ENOMEM;
        hash->ring = ring;
        hash->user = user;
        r = sha256_new(&hash->sha256);
        if (r < 0)
                return r;
        r = block_ring_thread(&hash->thread, thread_main, hash);
        if (r < 0)
                return r;
        hash->running = true;

        *ret = TAKE_PTR(hash);
        return 0;
}

static void join(BlockHash *hash) {
        if (hash->running)
                (void) pthread_join(hash->thread, NULL);
        hash->running = false;
}

BlockHash *block_hash_free(BlockHash *hash) {
        if (!hash)
                return NULL;
        join(hash);
        sha256_free(hash->sha256);
        free(hash);
        return NULL;
}

int block_hash_finish(BlockHash *hash, char text[static SHA256_TEXT_MAX]) {
        join(hash);
        return hash->result < 0 ? hash->result : sha256_finish(hash->sha256, text);
}
