/* A thread that computes the SHA-256 of all that passes through a ring of blocks. */
#pragma once

#include "base/hash.h"
#include "block-ring.h"

typedef struct BlockHash BlockHash;

/* Uses the ring as `user`, from its first block to its end. The ring outlives it. */
int block_hash_new(BlockHash **ret, BlockRing *ring, unsigned user);

/* Waits for the thread: the ring must have ended or failed. */
BlockHash *block_hash_free(BlockHash *hash);
DEFINE_CLEANUP(BlockHash *, block_hash_free);

/* Waits for the thread, thus for the end of the ring. The ring's error, if it has one. */
int block_hash_finish(BlockHash *hash, char text[static SHA256_TEXT_MAX]);
