/* What the bytes of an image say: PNG, JPEG or WebP, its size, and whether the file is whole.
 *
 * The checker is fed the file in pieces of any size and keeps a few bytes of it. It follows the file's structure
 * from the first byte to the last (chunks and their CRCs in PNG, segments in JPEG, RIFF chunks in WebP) and decodes
 * no pixel: it finds files that are cut, glued or something else, not bad drawings. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

typedef enum ImageFormat {
        IMAGE_PNG,
        IMAGE_JPEG,
        IMAGE_WEBP,
        _IMAGE_FORMATS,
        IMAGE_FORMAT_INVALID = -1,
} ImageFormat;

/* "png", "jpeg", "webp". NULL and IMAGE_FORMAT_INVALID for anything else. */
const char *image_format_name(ImageFormat format);
ImageFormat image_format_from_name(const char *name);

#define IMAGE_EDGE_MAX 65535  /* pixels; what JPEG can say */

typedef struct ImageFile ImageFile;

int image_file_new(ImageFile **ret);
ImageFile *image_file_free(ImageFile *file);
DEFINE_CLEANUP(ImageFile *, image_file_free);

/* Follows the next bytes. 0 or -EBADMSG; once bad, always bad. */
int image_file_add(ImageFile *file, const void *data, size_t size);

/* At the end. 0, or -EBADMSG when the file is bad or not whole; *reason (static text, may be NULL) says why. */
int image_file_finish(ImageFile *file, const char **reason);

/* Known after image_file_finish() returned 0. */
ImageFormat image_file_format(const ImageFile *file);
unsigned image_file_width(const ImageFile *file);
unsigned image_file_height(const ImageFile *file);
