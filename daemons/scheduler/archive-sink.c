#include "archive-sink.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "block-hash.h"
#include "block-ring.h"

/* Users of the ring. */
enum {
        USER_WRITE,
        USER_HASH,
        N_USERS,
};

struct ArchiveSink {
        int fd;
        BlockRing *ring;
        BlockHash *hash;
        Block *block;      /* being filled */
        pthread_t thread;
        bool running, ended;

        /* The writing thread's own. */
        off_t offset;
        bool direct;
        int result;        /* to be read once it has ended */
};

static void set_direct(ArchiveSink *sink, bool direct) {
        int flags = fcntl(sink->fd, F_GETFL);

        if (flags < 0 || fcntl(sink->fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) < 0)
                direct = false;
        sink->direct = direct;
}

/* O_DIRECT takes whole aligned pieces only: the end of the file, and what a short write leaves over, go through the
 * page cache. */
static int write_block(ArchiveSink *sink, const Block *block) {
        for (size_t done = 0; done < block->size;) {
                ssize_t n;

                if (sink->direct && (block->size % BLOCK_ALIGN_BYTES != 0 || done % BLOCK_ALIGN_BYTES != 0))
                        set_direct(sink, false);
                n = pwrite(sink->fd, block->data + done, block->size - done, sink->offset);
                if (n < 0 && errno == EINVAL && sink->direct)
                        set_direct(sink, false);
                else if (n < 0 && errno != EINTR)
                        return -errno;
                else if (n > 0) {
                        done += (size_t) n;
                        sink->offset += n;
                }
        }
        return 0;
}

static int write_blocks(ArchiveSink *sink) {
        Block *block;
        int r;

        while ((r = block_ring_next(sink->ring, USER_WRITE, &block)) > 0) {
                r = write_block(sink, block);
                if (r < 0) {
                        block_ring_fail(sink->ring, r);
                        return r;
                }
        }
        return r;
}

static void *thread_main(void *userdata) {
        ArchiveSink *sink = userdata;

        sink->result = write_blocks(sink);
        return NULL;
}

int archive_sink_new(ArchiveSink **ret, int fd) {
        _cleanup_(archive_sink_freep) ArchiveSink *sink = NULL;
        int r;

        sink = calloc(1, sizeof(*sink));
        if (!sink)
                return -ENOMEM;
        sink->fd = fd;
        r = block_ring_new(&sink->ring, N_USERS);
        if (r < 0)
                return r;
        set_direct(sink, true);

        r = block_hash_new(&sink->hash, sink->ring, USER_HASH);
        if (r < 0)
                return r;
        r = block_ring_thread(&sink->thread, thread_main, sink);
        if (r < 0)
                return r;
        sink->running = true;

        *ret = TAKE_PTR(sink);
        return 0;
}

static void join(ArchiveSink *sink) {
        if (sink->running)
                (void) pthread_join(sink->thread, NULL);
        sink->running = false;
}

ArchiveSink *archive_sink_free(ArchiveSink *sink) {
        if (!sink)
                return NULL;

        if (sink->ring && !sink->ended)
                block_ring_fail(sink->ring, -ECANCELED);
        join(sink);
        block_hash_free(sink->hash);
        block_ring_free(sink->ring);
        free(sink);
        return NULL;
}

static void push(ArchiveSink *sink) {
        sink->block = NULL;
        block_ring_push(sink->ring);
}

int archive_sink_room(ArchiveSink *sink, uint8_t **ret, size_t *ret_size) {
        int r;

        if (!sink->block) {
                Block *block;

                r = block_ring_room(sink->ring, &block);
                if (r < 0)
                        return r;
                sink->block = block;
        }

        *ret = sink->block->data + sink->block->size;
        *ret_size = BLOCK_BYTES - sink->block->size;
        return 0;
}

void archive_sink_advance(ArchiveSink *sink, size_t size) {
        sink->block->size += size;
        if (sink->block->size == BLOCK_BYTES)
                push(sink);
}

int archive_sink_finish(ArchiveSink *sink, char sha256[static SHA256_TEXT_MAX]) {
        int r;

        if (sink->block && sink->block->size > 0)
                push(sink);
        block_ring_end(sink->ring);
        sink->ended = true;

        join(sink);
        if (sink->result < 0)
                return sink->result;
        r = block_hash_finish(sink->hash, sha256);
        if (r < 0)
                return r;
        return fsync(sink->fd) < 0 ? -errno : 0;
}
