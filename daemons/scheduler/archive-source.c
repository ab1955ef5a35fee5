#include "archive-source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "block-hash.h"
#include "block-ring.h"

/* Users of the ring. */
enum {
        USER_CALLER,
        USER_HASH,
        N_USERS,
};

struct ArchiveSource {
        int fd;
        int direct_fd;            /* the same file with O_DIRECT, -1 where that cannot be */
        BlockRing *ring;
        BlockHash *hash;
        ArchiveProgress *progress;
        pthread_t thread;
        bool running, ended;
        off_t offset;             /* the reading thread's own */
};

/* A second description of the open file, by the name that /proc gives it; the file's own name may change. */
static int open_direct(int fd) {
        char path[sizeof("/proc/self/fd/") + 11];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* Asks for no page: a read with RWF_NOWAIT would have the kernel fill the cache behind our back. */
static bool is_cached(const ArchiveSource *source) {
        unsigned char pages[BLOCK_BYTES / BLOCK_ALIGN_BYTES];
        size_t count = BLOCK_BYTES / (size_t) sysconf(_SC_PAGESIZE);
        bool cached;
        void *map;

        map = mmap(NULL, BLOCK_BYTES, PROT_READ, MAP_SHARED, source->fd, source->offset);
        if (map == MAP_FAILED)
                return false;
        cached = count <= sizeof(pages) && mincore(map, BLOCK_BYTES, pages) == 0;
        for (size_t i = 0; i < count && cached; i++)
                cached = pages[i] & 1;
        (void) munmap(map, BLOCK_BYTES);
        return cached;
}

/* From the cache if the whole block is there, else from the disk if that can be, else as any file. */
static ssize_t read_block(ArchiveSource *source, Block *block) {
        if (source->direct_fd >= 0 && !is_cached(source)) {
                ssize_t n;

                do
                        n = pread(source->direct_fd, block->data, BLOCK_BYTES, source->offset);
                while (n < 0 && errno == EINTR);
                if (n == (ssize_t) BLOCK_BYTES)
                        return n;
                source->direct_fd = fd_close(source->direct_fd);  /* the end, or not possible after all */
        }
        return fd_pread_all(source->fd, block->data, BLOCK_BYTES, source->offset);
}

static int read_blocks(ArchiveSource *source) {
        for (;;) {
                Block *block;
                ssize_t n;
                int r;

                r = block_ring_room(source->ring, &block);
                if (r < 0)
                        return r;
                n = read_block(source, block);
                if (n <= 0)
                        return (int) n;

                block->size = (size_t) n;
                block_ring_push(source->ring);
                source->offset += n;
                if (source->progress)
                        atomic_fetch_add_explicit(&source->progress->done, (unsigned long long) n,
                                                  memory_order_relaxed);
        }
}

static void *thread_main(void *userdata) {
        ArchiveSource *source = userdata;
        int r;

        r = read_blocks(source);
        if (r < 0)
                block_ring_fail(source->ring, r);
        else
                block_ring_end(source->ring);
        return NULL;
}

int archive_source_new(ArchiveSource **ret, int fd, ArchiveProgress *progress) {
        _cleanup_(archive_source_freep) ArchiveSource *source = NULL;
        int r;

        source = calloc(1, sizeof(*source));
        if (!source)
                return -ENOMEM;
        source->fd = fd;
        source->direct_fd = open_direct(fd);
        source->progress = progress;
        r = block_ring_new(&source->ring, N_USERS);
        if (r < 0)
                return r;

        r = block_hash_new(&source->hash, source->ring, USER_HASH);
        if (r < 0)
                return r;
        r = block_ring_thread(&source->thread, thread_main, source);
        if (r < 0)
                return r;
        source->running = true;

        *ret = TAKE_PTR(source);
        return 0;
}

ArchiveSource *archive_source_free(ArchiveSource *source) {
        if (!source)
                return NULL;

        if (source->ring && !source->ended)
                block_ring_fail(source->ring, -ECANCELED);
        if (source->running)
                (void) pthread_join(source->thread, NULL);
        block_hash_free(source->hash);
        block_ring_free(source->ring);
        source->direct_fd = fd_close(source->direct_fd);
        free(source);
        return NULL;
}

int archive_source_next(ArchiveSource *source, const uint8_t **ret, size_t *ret_size) {
        Block *block;
        int r;

        r = block_ring_next(source->ring, USER_CALLER, &block);
        if (r > 0) {
                *ret = block->data;
                *ret_size = block->size;
        }
        source->ended |= r == 0;
        return r;
}

int archive_source_finish(ArchiveSource *source, char sha256[static SHA256_TEXT_MAX]) {
        assert(source->ended);

        return block_hash_finish(source->hash, sha256);
}
