/* Any bytes as a PNG whose pixels are unpacked, believed to have the edges that their header says, up to a limit: whatever they
 * are, it is one colour, not one, or an error. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "images/png-colour.h"

#define EDGE_OFFSET 16
#define EDGE_MAX 512  /* rows are as long as they say, and the target shall be quick */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned edge_at(const uint8_t *data, size_t offset) {
        unsigned edge = ((unsigned) data[offset + 2] << 8 | data[offset + 3]) % (EDGE_MAX + 1);

        return MAX(edge, 1u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        ImageFacts facts = { .format = IMAGE_PNG, .size_bytes = size };
        int fd, r;

        if (size < EDGE_OFFSET + 8)
                return 0;
        facts.width = edge_at(data, EDGE_OFFSET);
        facts.height = edge_at(data, EDGE_OFFSET + 4);
        fd = memfd_create("png", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t) size)
                abort();
        r = png_is_single_colour(fd, &facts);
        if (r != 0 && r != 1 && r != -EBADMSG)
                abort();
        (void) close(fd);
        return 0;
}
