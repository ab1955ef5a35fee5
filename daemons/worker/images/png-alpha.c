#include "images/png-alpha.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/fd.h"

#define COLOUR_TYPE_OFFSET 25
#define COLOUR_TYPE_ALPHA 4        /* a bit of it */
#define FIRST_CHUNK_OFFSET 8
#define CHUNK_HEAD_BYTES 8         /* length and type, before the data */
#define CHUNK_FRAME_BYTES 12       /* with the CRC behind it */

/* tRNS comes before the pixels. */
static int has_transparent_colour(int fd) {
        off_t offset = FIRST_CHUNK_OFFSET;

        for (;;) {
                uint8_t head[CHUNK_HEAD_BYTES];
                ssize_t n = fd_pread_all(fd, head, sizeof(head), offset);

                if (n < (ssize_t) sizeof(head))
                        return n < 0 ? (int) n : 0;
                if (memcmp(head + 4, "tRNS", 4) == 0)
                        return 1;
                if (memcmp(head + 4, "IDAT", 4) == 0)
                        return 0;
                offset += ((off_t) head[0] << 24 | (off_t) head[1] << 16 | (off_t) head[2] << 8 | head[3]) +
                          CHUNK_FRAME_BYTES;
        }
}

int png_has_alpha(int fd) {
        uint8_t colour_type;
        ssize_t n = fd_pread_all(fd, &colour_type, 1, COLOUR_TYPE_OFFSET);

        if (n < 1)
                return n < 0 ? (int) n : -EBADMSG;
        return colour_type & COLOUR_TYPE_ALPHA ? 1 : has_transparent_colour(fd);
}
