/* Varlink's transport: messages ended by NUL on a connected Unix socket.
 *
 * Input is one buffer: [consumed | whole messages and the begin of one | free]. `begin` is where the next message
 * starts and `scanned` how far has been searched for NUL, so that no byte is searched twice however small the pieces
 * are. Consumed bytes are dropped only when more room is needed or nothing is left, so that a buffer full of small
 * messages is not moved for each of them.
 *
 * Descriptors come with the first byte of a message, in a sendmsg() of that message alone. The kernel ends a recvmsg()
 * behind the piece that carried descriptors, but puts pieces without any in front of it: hence what a read brings
 * belongs to the last message that begins in it. Reads happen only when no whole message is left, so at most two sets
 * wait: one of the message that is not whole yet, one of a message that begins with the next read.
 *
 * Output goes to the socket at once; only what it does not take is copied into a queue, one chunk a message, since
 * descriptors must not be glued to another message. Both sides are bounded. */
#include "io/varlink-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/fd.h"

#define READ_BYTES_MIN 4096
#define BUFFER_KEPT_BYTES_MAX (16 * 1024)  /* a larger buffer is given back once it is empty */
#define FD_SETS_MAX 2

typedef struct Chunk Chunk;

struct Chunk {
        Chunk *next;
        VarlinkFds fds;  /* go with the first byte */
        size_t size, sent;
        uint8_t data[];
};

typedef struct FdSet {
        size_t offset;  /* in the input buffer: where their message begins */
        VarlinkFds fds;
} FdSet;

struct VarlinkStream {
        int fd;
        bool refuses_fds;

        Buffer input;
        size_t begin, scanned;
        FdSet fd_sets[FD_SETS_MAX];
        size_t n_fd_sets;

        Chunk *output, **output_end;
        size_t unsent;
};

void varlink_fds_close(VarlinkFds *fds) {
        for (size_t i = 0; i < fds->n; i++)
                fd_close(fds->fds[i]);
        fds->n = 0;
}

int varlink_fds_push(VarlinkFds *fds, int fd) {
        int copy;

        if (fds->n >= VARLINK_FDS_MAX)
                return -E2BIG;

        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;

        fds->fds[fds->n++] = copy;
        return 0;
}

void varlink_fds_move(VarlinkFds *to, VarlinkFds *from) {
        to->n = from->n;
        memcpy(to->fds, from->fds, from->n * sizeof(int));
        from->n = 0;
}

int varlink_stream_new(VarlinkStream **ret, int fd) {
        _cleanup_(varlink_stream_freep) VarlinkStream *stream = NULL;
        int r;

        stream = malloc(sizeof(*stream));
        if (!stream) {
                fd_close(fd);
                return -ENOMEM;
        }
        *stream = (VarlinkStream) { .fd = fd, .input = BUFFER_INIT(VARLINK_MESSAGE_BYTES_MAX + 1) };
        stream->output_end = &stream->output;

        r = fd_set_nonblocking(fd);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(stream);
        return 0;
}

static void stream_drop_chunk(VarlinkStream *stream) {
        Chunk *chunk = stream->output;

        stream->unsent -= chunk->size - chunk->sent;
        stream->output = chunk->next;
        if (!stream->output)
                stream->output_end = &stream->output;
        varlink_fds_close(&chunk->fds);
        free(chunk);
}

VarlinkStream *varlink_stream_free(VarlinkStream *stream) {
        if (!stream)
                return NULL;

        while (stream->output)
                stream_drop_chunk(stream);
        for (size_t i = 0; i < stream->n_fd_sets; i++)
                varlink_fds_close(&stream->fd_sets[i].fds);
        buffer_done(&stream->input);
        fd_close(stream->fd);
        free(stream);
        return NULL;
}

int varlink_stream_fd(const VarlinkStream *stream) {
        return stream->fd;
}

size_t varlink_stream_unparsed(const VarlinkStream *stream) {
        return stream->input.size - stream->begin;
}

size_t varlink_stream_unsent(const VarlinkStream *stream) {
        return stream->unsent;
}

/* ---------------------------------------------------------------- input */

static int stream_make_room(VarlinkStream *stream) {
        size_t rest = varlink_stream_unparsed(stream), room;

        if (stream->begin > 0) {
                buffer_consume(&stream->input, stream->begin);
                for (size_t i = 0; i < stream->n_fd_sets; i++)
                        stream->fd_sets[i].offset -= stream->begin;
                stream->scanned -= stream->begin;
                stream->begin = 0;
        }
        if (rest > VARLINK_MESSAGE_BYTES_MAX)
                return -EMSGSIZE;

        /* Doubling with the size of what is there keeps the copies of a large message few. */
        room = MAX(rest, (size_t) READ_BYTES_MIN);
        return buffer_reserve(&stream->input, MIN(room, VARLINK_MESSAGE_BYTES_MAX + 1 - rest));
}

/* Takes descriptors out of a control message; those beyond what a message may have are closed. */
static void fds_collect(VarlinkFds *fds, const struct cmsghdr *control) {
        size_t n = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        const uint8_t *data = CMSG_DATA(control);

        for (size_t i = 0; i < n; i++) {
                int fd;

                memcpy(&fd, data + i * sizeof(int), sizeof(int));
                if (fds->n < VARLINK_FDS_MAX)
                        fds->fds[fds->n++] = fd;
                else
                        fd_close(fd);
        }
}

/* Where the message begins that the last `n` bytes' descriptors belong to; -EBADMSG when none begins there. */
static int stream_place_fds(const VarlinkStream *stream, size_t n, size_t *ret_offset) {
        const uint8_t *data = stream->input.data, *end;
        size_t start = stream->input.size - n;

        /* The final byte may be the NUL of the very message. */
        end = memrchr(data + start, 0, n - 1);
        if (end)
                *ret_offset = (size_t) (end - data) + 1;
        else if (start == stream->begin || data[start - 1] == 0)
                *ret_offset = start;
        else
                return -EBADMSG;
        return 0;
}

static int stream_keep_fds(VarlinkStream *stream, size_t n, VarlinkFds *fds) {
        size_t offset = 0;
        int r;

        r = stream_place_fds(stream, n, &offset);
        if (r < 0)
                return r;
        if (stream->n_fd_sets >= FD_SETS_MAX)
                return -EBADMSG;

        FdSet *set = &stream->fd_sets[stream->n_fd_sets++];
        set->offset = offset;
        varlink_fds_move(&set->fds, fds);
        return 0;
}

void varlink_stream_refuse_fds(VarlinkStream *stream) {
        stream->refuses_fds = true;
}

int varlink_stream_read(VarlinkStream *stream) {
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * VARLINK_FDS_MAX)];
        } control;
        _cleanup_(varlink_fds_close) VarlinkFds fds = {};
        struct iovec iov;
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = stream->refuses_fds ? NULL : &control,
                .msg_controllen = stream->refuses_fds ? 0 : sizeof(control),
        };
        ssize_t n;
        int r;

        r = stream_make_room(stream);
        if (r < 0)
                return r;

        iov.iov_base = stream->input.data + stream->input.size;
        iov.iov_len = MIN(stream->input.allocated, (size_t) VARLINK_MESSAGE_BYTES_MAX + 1) - stream->input.size;
        n = recvmsg(stream->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                        fds_collect(&fds, c);
        if (message.msg_flags & MSG_CTRUNC)
                return -EBADMSG;
        if (n == 0)
                return VARLINK_STREAM_ENDED;

        stream->input.size += (size_t) n;
        if (fds.n > 0) {
                r = stream_keep_fds(stream, (size_t) n, &fds);
                if (r < 0)
                        return r;
        }
        return VARLINK_STREAM_READ;
}

/* When nothing is left the buffer starts at its begin again, or goes if it has become large. */
static void stream_forget_consumed(VarlinkStream *stream) {
        if (varlink_stream_unparsed(stream) > 0)
                return;

        stream->begin = stream->scanned = stream->input.size = 0;
        if (stream->input.allocated > BUFFER_KEPT_BYTES_MAX)
                buffer_done(&stream->input);
}

bool varlink_stream_next(VarlinkStream *stream, const char **ret_text, size_t *ret_size, VarlinkFds *ret_fds) {
        Buffer *input = &stream->input;
        const uint8_t *end = NULL;

        if (stream->scanned < input->size)
                end = memchr(input->data + stream->scanned, 0, input->size - stream->scanned);
        if (!end) {
                stream->scanned = input->size;
                stream_forget_consumed(stream);
                return false;
        }

        *ret_text = (const char *) input->data + stream->begin;
        *ret_size = (size_t) (end - input->data) - stream->begin;
        ret_fds->n = 0;
        if (stream->n_fd_sets > 0 && stream->fd_sets[0].offset == stream->begin) {
                varlink_fds_move(ret_fds, &stream->fd_sets[0].fds);
                stream->fd_sets[0] = stream->fd_sets[1];
                stream->n_fd_sets--;
        }

        stream->begin = stream->scanned = (size_t) (end - input->data) + 1;
        return true;
}

/* ---------------------------------------------------------------- output */

static ssize_t stream_write(VarlinkStream *stream, const uint8_t *data, size_t size, VarlinkFds *fds) {
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * VARLINK_FDS_MAX)];
        } control;
        struct iovec iov = { .iov_base = (void *) data, .iov_len = size };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (fds->n > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * fds->n);
                memset(&control, 0, message.msg_controllen);
                control.header = (struct cmsghdr) {
                        .cmsg_len = CMSG_LEN(sizeof(int) * fds->n),
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                };
                memcpy(CMSG_DATA(&control.header), fds->fds, sizeof(int) * fds->n);
        }

        n = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;

        varlink_fds_close(fds);
        return n;
}

static int stream_queue(VarlinkStream *stream, const uint8_t *data, size_t size, VarlinkFds *fds) {
        Chunk *chunk;

        if (size > VARLINK_OUTPUT_BYTES_MAX - stream->unsent)
                return -ENOBUFS;

        chunk = malloc(offsetof(Chunk, data) + size);
        if (!chunk)
                return -ENOMEM;
        chunk->next = NULL;
        chunk->size = size;
        chunk->sent = 0;
        varlink_fds_move(&chunk->fds, fds);
        memcpy(chunk->data, data, size);

        *stream->output_end = chunk;
        stream->output_end = &chunk->next;
        stream->unsent += size;
        return 0;
}

int varlink_stream_send(VarlinkStream *stream, const void *data, size_t size, VarlinkFds *fds) {
        ssize_t n = 0;
        int r = 0;

        if (!stream->output)
                n = stream_write(stream, data, size, fds);
        if (n < 0)
                r = (int) n;
        else if ((size_t) n < size)
                r = stream_queue(stream, (const uint8_t *) data + n, size - (size_t) n, fds);

        varlink_fds_close(fds);
        return r;
}

int varlink_stream_flush(VarlinkStream *stream) {
        Chunk *chunk;

        while ((chunk = stream->output)) {
                ssize_t n;

                n = stream_write(stream, chunk->data + chunk->sent, chunk->size - chunk->sent, &chunk->fds);
                if (n < 0)
                        return (int) n;
                chunk->sent += (size_t) n;
                stream->unsent -= (size_t) n;
                if (chunk->sent < chunk->size)
                        return 0;
                stream_drop_chunk(stream);
        }
        return 0;
}
