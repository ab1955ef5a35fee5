/* The body is a row of parts, each a text or a file. What stands at a position follows from the position alone: the
 * part, the group of four characters in it, the three bytes of the file behind that. No state is carried from read to
 * read, so a read may begin and end anywhere. */
#include "image-stream.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/fd.h"

#define PARTS_MAX (2 * IMAGE_STREAM_IMAGES_MAX + 1)
#define GROUP_BYTES 3 /* of a file … */
#define GROUP_TEXT 4 /* … in characters */
#define CHUNK_GROUPS (IMAGE_STREAM_BLOCK_BYTES / GROUP_TEXT)

typedef struct StreamPart {
        char *text; /* NULL: a file */
        int fd;
        uint64_t file_bytes;
        uint64_t size; /* in the body */
} StreamPart;

struct ImageStream {
        StreamPart parts[PARTS_MAX];
        size_t n_parts;
        uint64_t size;
};

int image_stream_new(ImageStream **ret) {
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

ImageStream *image_stream_free(ImageStream *stream) {
        if (!stream)
                return NULL;

        for (size_t i = 0; i < stream->n_parts; i++) {
                free(stream->parts[i].text);
                (void) fd_close(stream->parts[i].fd);
        }
        free(stream);
        return NULL;
}

static int add_part(ImageStream *stream, const StreamPart *part) {
        if (stream->n_parts == PARTS_MAX)
                return -E2BIG;

        stream->parts[stream->n_parts++] = *part;
        stream->size += part->size;
        return 0;
}

int image_stream_add_text(ImageStream *stream, char *text) {
        _cleanup_free_ char *owned = text;
        int r;

        if (!owned)
                return -ENOMEM;
        r = add_part(stream, &(StreamPart){ .text = owned, .fd = -1, .size = strlen(owned) });
        if (r >= 0)
                owned = NULL;
        return r;
}

int image_stream_add_file(ImageStream *stream, int fd) {
        _cleanup_close_ int owned = fd;
        struct stat st;
        int r;

        if (fstat(owned, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADF;

        r = add_part(stream, &(StreamPart){
                                     .fd = owned,
                                     .file_bytes = (uint64_t) st.st_size,
                                     .size = BASE64_ENCODED_SIZE(st.st_size),
                             });
        if (r >= 0)
                owned = -1;
        return r;
}

uint64_t image_stream_size(const ImageStream *stream) {
        return stream->size;
}

/* Encodes `groups` groups from the first-th into `text`; the file's last one may be of fewer bytes. */
static ssize_t encode_groups(const StreamPart *part, uint64_t first, size_t groups, char *text) {
        uint8_t data[CHUNK_GROUPS * GROUP_BYTES];
        uint64_t offset = first * GROUP_BYTES;
        size_t wanted = (size_t) MIN((uint64_t) groups * GROUP_BYTES, part->file_bytes - offset);
        ssize_t got;

        got = fd_pread_all(part->fd, data, wanted, (off_t) offset);
        if (got < 0)
                return got;
        if ((size_t) got < wanted)
                return -EIO;
        return (ssize_t) base64_encode(data, wanted, text);
}

static ssize_t read_file(const StreamPart *part, uint64_t offset, char *data, size_t size) {
        uint64_t first = offset / GROUP_TEXT;
        size_t skip = offset % GROUP_TEXT, groups = MIN(size / GROUP_TEXT, (size_t) CHUNK_GROUPS);
        char group[GROUP_TEXT];
        ssize_t r;

        groups = (size_t) MIN((uint64_t) groups, part->size / GROUP_TEXT - first);

        if (skip == 0 && groups > 0)
                return encode_groups(part, first, groups, data);

        r = encode_groups(part, first, 1, group);
        if (r < 0)
                return r;
        size = MIN(size, GROUP_TEXT - skip);
        memcpy(data, group + skip, size);
        return (ssize_t) size;
}

static ssize_t read_part(const StreamPart *part, uint64_t offset, char *data, size_t size) {
        if (!part->text)
                return read_file(part, offset, data, size);

        size = MIN(size, (size_t) (part->size - offset));
        memcpy(data, part->text + offset, size);
        return (ssize_t) size;
}

ssize_t image_stream_read(const ImageStream *stream, uint64_t position, char *data, size_t size) {
        size_t filled = 0;

        for (size_t i = 0; i < stream->n_parts && filled < size; i++) {
                const StreamPart *part = &stream->parts[i];

                while (position < part->size && filled < size) {
                        ssize_t r = read_part(part, position, data + filled, size - filled);

                        if (r < 0)
                                return r;
                        filled += (size_t) r;
                        position += (uint64_t) r;
                }
                position -= part->size;
        }
        return (ssize_t) filled;
}
