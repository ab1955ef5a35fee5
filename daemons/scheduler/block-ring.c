#include "block-ring.h"

#include <errno.h>
#include <signal.h>

#define THREAD_STACK_BYTES (256 * 1024)

struct BlockRing {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        Block blocks[BLOCK_RING_BLOCKS];
        uint64_t filled;                         /* blocks pushed since the beginning */
        uint64_t given_back[BLOCK_RING_USERS_MAX];
        bool holds[BLOCK_RING_USERS_MAX];        /* the user works on block given_back[user] */
        unsigned n_users;
        bool ended;
        int error;
};

int block_ring_new(BlockRing **ret, unsigned n_users) {
        _cleanup_(block_ring_freep) BlockRing *ring = NULL;

        assert(n_users >= 1 && n_users <= BLOCK_RING_USERS_MAX);

        ring = calloc(1, sizeof(*ring));
        if (!ring)
                return -ENOMEM;
        (void) pthread_mutex_init(&ring->lock, NULL);
        (void) pthread_cond_init(&ring->changed, NULL);
        ring->n_users = n_users;
        for (size_t i = 0; i < BLOCK_RING_BLOCKS; i++) {
                ring->blocks[i].data = aligned_alloc(BLOCK_ALIGN_BYTES, BLOCK_BYTES);
                if (!ring->blocks[i].data)
                        return -ENOMEM;
        }

        *ret = TAKE_PTR(ring);
        return 0;
}

BlockRing *block_ring_free(BlockRing *ring) {
        if (!ring)
                return NULL;
        for (size_t i = 0; i < BLOCK_RING_BLOCKS; i++)
                free(ring->blocks[i].data);
        (void) pthread_cond_destroy(&ring->changed);
        (void) pthread_mutex_destroy(&ring->lock);
        free(ring);
        return NULL;
}

static bool has_room(const BlockRing *ring) {
        for (unsigned i = 0; i < ring->n_users; i++)
                if (ring->filled - ring->given_back[i] >= BLOCK_RING_BLOCKS)
                        return false;
        return true;
}

int block_ring_room(BlockRing *ring, Block **ret) {
        int r;

        (void) pthread_mutex_lock(&ring->lock);
        while (ring->error == 0 && !has_room(ring))
                (void) pthread_cond_wait(&ring->changed, &ring->lock);
        *ret = &ring->blocks[ring->filled % BLOCK_RING_BLOCKS];
        (*ret)->size = 0;
        r = ring->error;
        (void) pthread_mutex_unlock(&ring->lock);
        return r;
}

void block_ring_push(BlockRing *ring) {
        (void) pthread_mutex_lock(&ring->lock);
        ring->filled++;
        (void) pthread_cond_broadcast(&ring->changed);
        (void) pthread_mutex_unlock(&ring->lock);
}

void block_ring_end(BlockRing *ring) {
        (void) pthread_mutex_lock(&ring->lock);
        ring->ended = true;
        (void) pthread_cond_broadcast(&ring->changed);
        (void) pthread_mutex_unlock(&ring->lock);
}

static void give_back(BlockRing *ring, unsigned user) {
        if (!ring->holds[user])
                return;
        ring->holds[user] = false;
        ring->given_back[user]++;
        (void) pthread_cond_broadcast(&ring->changed);
}

int block_ring_next(BlockRing *ring, unsigned user, Block **ret) {
        int r;

        (void) pthread_mutex_lock(&ring->lock);
        give_back(ring, user);
        while (ring->error == 0 && !ring->ended && ring->given_back[user] == ring->filled)
                (void) pthread_cond_wait(&ring->changed, &ring->lock);
        r = ring->error;
        if (r == 0 && ring->given_back[user] < ring->filled) {
                ring->holds[user] = true;
                *ret = &ring->blocks[ring->given_back[user] % BLOCK_RING_BLOCKS];
                r = 1;
        }
        (void) pthread_mutex_unlock(&ring->lock);
        return r;
}

void block_ring_fail(BlockRing *ring, int error) {
        assert(error < 0);

        (void) pthread_mutex_lock(&ring->lock);
        if (ring->error == 0)
                ring->error = error;
        (void) pthread_cond_broadcast(&ring->changed);
        (void) pthread_mutex_unlock(&ring->lock);
}

int block_ring_thread(pthread_t *ret, void *(*main)(void *userdata), void *userdata) {
        pthread_attr_t attributes;
        sigset_t all, before;
        int r;

        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        (void) pthread_attr_init(&attributes);
        (void) pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
        r = -pthread_create(ret, &attributes, main, userdata);
        (void) pthread_attr_destroy(&attributes);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r;
}
