/* A JSON body with images in base64, read piece by piece from open files: the memory for it does not grow with the
 * images. Its size is known before the first byte. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"

#define IMAGE_STREAM_IMAGES_MAX 16
#define IMAGE_STREAM_BLOCK_BYTES 32768 /* a good size of one read: 24 KiB of a file */

typedef struct ImageStream ImageStream;

int image_stream_new(ImageStream **ret);
ImageStream *image_stream_free(ImageStream *stream);
DEFINE_CLEANUP(ImageStream *, image_stream_free);

/* Take text (or NULL: -ENOMEM) and fd over, also on failure. -E2BIG past IMAGE_STREAM_IMAGES_MAX images. */
int image_stream_add_text(ImageStream *stream, char *text);
int image_stream_add_file(ImageStream *stream, int fd);

uint64_t image_stream_size(const ImageStream *stream);

/* Up to `size` bytes from `position`; 0 at the end. Errors of pread(2); -EIO when a file has become shorter. */
ssize_t image_stream_read(const ImageStream *stream, uint64_t position, char *data, size_t size);
