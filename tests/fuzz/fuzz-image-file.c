/* Any bytes as an image: whole, and in pieces of a length that the first byte says, they are judged alike, and what
 * passes has a format and edges within their limits. */
#include <string.h>

#include "images/image-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool kept) {
        if (!kept)
                abort();
}

static ImageFile *check(const uint8_t *data, size_t size, size_t piece, const char **reason) {
        ImageFile *file = NULL;
        int added = 0;

        require(image_file_new(&file) == 0);
        for (size_t i = 0; i < size && added >= 0; i += piece)
                added = image_file_add(file, data + i, MIN(piece, size - i));
        require((image_file_finish(file, reason) < 0) == (*reason != NULL));
        require(added >= 0 || *reason);
        return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(image_file_freep) ImageFile *whole = NULL, *pieces = NULL;
        const char *whole_reason, *pieces_reason;

        if (size < 2)
                return 0;
        whole = check(data + 1, size - 1, size, &whole_reason);
        pieces = check(data + 1, size - 1, data[0] % 32 + 1, &pieces_reason);

        require(whole_reason == pieces_reason);
        if (whole_reason)
                return 0;
        require(image_format_name(image_file_format(whole)));
        require(image_file_width(whole) >= 1 && image_file_width(whole) <= IMAGE_EDGE_MAX);
        require(image_file_height(whole) >= 1 && image_file_height(whole) <= IMAGE_EDGE_MAX);
        require(image_file_width(whole) == image_file_width(pieces));
        require(image_file_height(whole) == image_file_height(pieces));
        return 0;
}
