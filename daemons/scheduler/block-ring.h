/* Large blocks that one thread fills and one or two others use, each at its own pace.
 *
 * A ring of BLOCK_RING_BLOCKS aligned blocks, each numbered by its place in the stream. Every user sees every block,
 * in order; a block is filled anew once all have given it back. So hashing, input or output, and packing of one file
 * run beside each other without a copy, and memory stays that of the ring. The first error that any side reports ends
 * the waiting of all. */
#pragma once

#include <pthread.h>

#include "base/macro.h"

#define BLOCK_BYTES ((size_t) 1024 * 1024)
#define BLOCK_ALIGN_BYTES ((size_t) 4096)  /* what O_DIRECT asks for, and a page */
#define BLOCK_RING_BLOCKS 4
#define BLOCK_RING_USERS_MAX 2

typedef struct BlockRing BlockRing;

typedef struct Block {
        uint8_t *data;
        size_t size;
} Block;

int block_ring_new(BlockRing **ret, unsigned n_users);
BlockRing *block_ring_free(BlockRing *ring);
DEFINE_CLEANUP(BlockRing *, block_ring_free);

/* For the thread that fills: waits for an empty block; hands it to the users; says that there are no more. */
int block_ring_room(BlockRing *ring, Block **ret);
void block_ring_push(BlockRing *ring);
void block_ring_end(BlockRing *ring);

/* For user 0 or 1: gives back the block it had and waits for the next. 1, or 0 at the end, or the error. */
int block_ring_next(BlockRing *ring, unsigned user, Block **ret);

/* `error` is a negative errno. The first one stays. */
void block_ring_fail(BlockRing *ring, int error);

/* A thread that takes no signals: those are the loop's. */
int block_ring_thread(pthread_t *ret, void *(*main)(void *userdata), void *userdata);
