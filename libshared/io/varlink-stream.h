/* Varlink's transport: messages ended by NUL on a connected Unix socket, each with the file descriptors that came with
 * its first byte. Knows nothing of JSON. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "io/varlink.h"

/* File descriptors of one message. They belong to whoever holds the struct; -1 marks one that was taken out. */
typedef struct VarlinkFds {
        int fds[VARLINK_FDS_MAX];
        size_t n;
} VarlinkFds;

void varlink_fds_close(VarlinkFds *fds);
int varlink_fds_push(VarlinkFds *fds, int fd);  /* a duplicate of fd; -E2BIG past VARLINK_FDS_MAX */
void varlink_fds_move(VarlinkFds *to, VarlinkFds *from);

typedef struct VarlinkStream VarlinkStream;

int varlink_stream_new(VarlinkStream **ret, int fd);  /* takes fd over, also on failure; it is made non-blocking */
VarlinkStream *varlink_stream_free(VarlinkStream *stream);
DEFINE_CLEANUP(VarlinkStream *, varlink_stream_free);

int varlink_stream_fd(const VarlinkStream *stream);

/* From now on a message that comes with descriptors is -EBADMSG, and the kernel keeps them from us. */
void varlink_stream_refuse_fds(VarlinkStream *stream);

enum {
        VARLINK_STREAM_READ = 1,   /* bytes were read: look for messages */
        VARLINK_STREAM_ENDED = 2,  /* the peer sends no more; it may still listen */
};

/* One read. 0 when nothing was there, or an outcome as above. -EBADMSG: descriptors in the middle of a message, or
 * more of them than VARLINK_FDS_MAX; -EMSGSIZE: a message past VARLINK_MESSAGE_BYTES_MAX; -ENOMEM; errors of
 * recvmsg(2). To be called when varlink_stream_next() has nothing more. */
int varlink_stream_read(VarlinkStream *stream);

/* The next whole message: its text (text[size] is NUL) lives until the next call of this or of varlink_stream_read(),
 * its descriptors go to the caller. */
bool varlink_stream_next(VarlinkStream *stream, const char **ret_text, size_t *ret_size, VarlinkFds *ret_fds);

size_t varlink_stream_unparsed(const VarlinkStream *stream);  /* bytes read but not handed out */

/* Sends a message, its NUL included in data; what the socket does not take at once is kept for
 * varlink_stream_flush(). The descriptors are taken over, also on failure. -ENOBUFS past VARLINK_OUTPUT_BYTES_MAX,
 * -ENOMEM, errors of sendmsg(2); after any of them the stream is of no more use for sending. */
int varlink_stream_send(VarlinkStream *stream, const void *data, size_t size, VarlinkFds *fds);
int varlink_stream_flush(VarlinkStream *stream);
size_t varlink_stream_unsent(const VarlinkStream *stream);  /* bytes */
