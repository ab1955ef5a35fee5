/* The problem: a provider's answer is paid for, and a file that is cut short, followed by garbage or no image at all
 * must not become a completed job. It arrives in pieces and may be 64 MiB long, so it is followed as it passes.
 *
 * The model: the checker alternates between passing over `skip` bytes (with a CRC where the format has one) and
 * collecting `want` bytes of a structure into `head`, which are then handed to `step`. JPEG's entropy-coded data,
 * whose length nobody announces, is searched for the next marker instead. `last` is set by the structure that must
 * be the final one; the file is whole when nothing of it is outstanding, and any further byte makes it bad.
 *
 * A format is a set of step functions; a new one adds its first bytes to step_first_bytes(). */
#include "images/image-file.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/text.h"

#define HEAD_BYTES_MAX 16

typedef int (*ImageStep)(ImageFile *file, const uint8_t *head);

struct ImageFile {
        ImageStep step;
        uint8_t head[HEAD_BYTES_MAX];
        size_t have, want;
        uint64_t skip;
        bool last;
        const char *reason;       /* why it is bad */

        ImageFormat format;
        unsigned width, height;

        uint32_t crc;             /* PNG: of the chunk so far */
        uint8_t chunk[4];         /* PNG: type of the chunk */
        bool has_pixels;          /* an IDAT, SOS, VP8 was there */
        uint64_t riff_left;       /* WebP: bytes of the RIFF chunk not yet announced by inner chunks */
        uint32_t chunk_left;      /* WebP: bytes of the chunk behind the head that is being collected */
        bool in_scan, after_ff;   /* JPEG: inside entropy-coded data; its last byte was 0xff */
};

static const char *const format_names[_IMAGE_FORMATS] = {
        [IMAGE_PNG] = "png",
        [IMAGE_JPEG] = "jpeg",
        [IMAGE_WEBP] = "webp",
};

const char *image_format_name(ImageFormat format) {
        return format >= 0 && format < _IMAGE_FORMATS ? format_names[format] : NULL;
}

ImageFormat image_format_from_name(const char *name) {
        for (int i = 0; i < _IMAGE_FORMATS; i++)
                if (text_equal(name, format_names[i]))
                        return (ImageFormat) i;
        return IMAGE_FORMAT_INVALID;
}

static uint32_t read_be16(const uint8_t *p) {
        return (uint32_t) p[0] << 8 | p[1];
}

static uint32_t read_be32(const uint8_t *p) {
        return read_be16(p) << 16 | read_be16(p + 2);
}

static uint32_t read_le16(const uint8_t *p) {
        return (uint32_t) p[1] << 8 | p[0];
}

static uint32_t read_le24(const uint8_t *p) {
        return (uint32_t) p[2] << 16 | read_le16(p);
}

static uint32_t read_le32(const uint8_t *p) {
        return read_le16(p + 2) << 16 | read_le16(p);
}

static int refuse(ImageFile *file, const char *reason) {
        if (!file->reason)
                file->reason = reason;
        return -EBADMSG;
}

/* Next: pass over `skip` bytes, collect `want` bytes and hand them to `step`. */
static int expect(ImageFile *file, uint64_t skip, size_t want, ImageStep step) {
        assert(want > 0 && want <= HEAD_BYTES_MAX);

        file->skip = skip;
        file->want = want;
        file->have = 0;
        file->step = step;
        return 0;
}

static int set_size(ImageFile *file, uint32_t width, uint32_t height) {
        if (width == 0 || height == 0)
                return refuse(file, "an edge of no pixels");
        if (width > IMAGE_EDGE_MAX || height > IMAGE_EDGE_MAX)
                return refuse(file, "an edge of more than 65535 pixels");

        file->width = width;
        file->height = height;
        return 0;
}

/* PNG (ISO/IEC 15948): signature, then chunks of length, type, data and CRC over type and data. */

static int step_png_chunk(ImageFile *file, const uint8_t *head);

static bool png_chunk_is(const ImageFile *file, const char *type) {
        return memcmp(file->chunk, type, sizeof(file->chunk)) == 0;
}

static int step_png_crc(ImageFile *file, const uint8_t *head) {
        if (read_be32(head) != file->crc)
                return refuse(file, "PNG chunk with a wrong CRC");

        if (png_chunk_is(file, "IEND")) {
                if (!file->has_pixels)
                        return refuse(file, "PNG without image data");
                file->last = true;
        }
        return expect(file, 0, 8, step_png_chunk);
}

static bool png_depth_valid(uint8_t colour_type, uint8_t depth) {
        switch (colour_type) {
        case 0:
                return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
        case 3:
                return depth == 1 || depth == 2 || depth == 4 || depth == 8;
        case 2:
        case 4:
        case 6:
                return depth == 8 || depth == 16;
        default:
                return false;
        }
}

static int step_png_header(ImageFile *file, const uint8_t *head) {
        int r;

        r = set_size(file, read_be32(head), read_be32(head + 4));
        if (r < 0)
                return r;
        if (!png_depth_valid(head[9], head[8]) || head[10] != 0 || head[11] != 0 || head[12] > 1)
                return refuse(file, "PNG header with unknown values");

        file->crc = (uint32_t) crc32(file->crc, head, 13);
        return expect(file, 0, 4, step_png_crc);
}

static int step_png_chunk(ImageFile *file, const uint8_t *head) {
        uint32_t length = read_be32(head);

        memcpy(file->chunk, head + 4, sizeof(file->chunk));
        file->crc = (uint32_t) crc32(0, file->chunk, sizeof(file->chunk));

        if (png_chunk_is(file, "IHDR") != (file->width == 0))
                return refuse(file, "PNG header missing or not first");
        if (length > INT32_MAX)
                return refuse(file, "PNG chunk longer than the format allows");

        if (png_chunk_is(file, "IHDR"))
                return length == 13 ? expect(file, 0, 13, step_png_header)
                                    : refuse(file, "PNG header of a wrong length");
        if (png_chunk_is(file, "IEND") && length != 0)
                return refuse(file, "PNG end chunk that is not empty");
        if (png_chunk_is(file, "IDAT"))
                file->has_pixels = true;
        return expect(file, length, 4, step_png_crc);
}

static int step_png_signature(ImageFile *file, const uint8_t *head) {
        if (memcmp(head, "NG\r\n\x1a\n", 6) != 0)
                return refuse(file, "not a PNG, JPEG or WebP file");

        file->format = IMAGE_PNG;
        return expect(file, 0, 8, step_png_chunk);
}

/* JPEG (ITU-T T.81): markers, most with a segment whose length includes itself; after SOS come entropy-coded bytes
 * up to the next marker, with 0xff stuffed by 0x00 and restart markers in between. */

enum {
        JPEG_TEM = 0x01,
        JPEG_SOF0 = 0xc0,
        JPEG_DHT = 0xc4,
        JPEG_JPG = 0xc8,
        JPEG_DAC = 0xcc,
        JPEG_SOF15 = 0xcf,
        JPEG_RST0 = 0xd0,
        JPEG_RST7 = 0xd7,
        JPEG_SOI = 0xd8,
        JPEG_EOI = 0xd9,
        JPEG_SOS = 0xda,
};

static int step_jpeg_marker(ImageFile *file, const uint8_t *head);

static bool jpeg_is_frame(uint8_t marker) {
        return marker >= JPEG_SOF0 && marker <= JPEG_SOF15 && marker != JPEG_DHT && marker != JPEG_JPG &&
               marker != JPEG_DAC;
}

/* Length, precision, height, width, components. */
static int step_jpeg_frame(ImageFile *file, const uint8_t *head) {
        uint32_t length = read_be16(head);
        int r;

        if (length < 8)
                return refuse(file, "JPEG frame header that is too short");
        if (file->width != 0)
                return refuse(file, "JPEG with two frames");
        r = set_size(file, read_be16(head + 5), read_be16(head + 3));
        if (r < 0)
                return r;
        return expect(file, length - 8, 2, step_jpeg_marker);
}

static int step_jpeg_scan(ImageFile *file, const uint8_t *head) {
        uint32_t length = read_be16(head);

        if (length < 6)
                return refuse(file, "JPEG scan header that is too short");
        if (file->width == 0)
                return refuse(file, "JPEG scan before its frame");

        file->has_pixels = true;
        file->in_scan = true;
        file->after_ff = false;
        return expect(file, length - 2, 2, step_jpeg_marker);
}

static int step_jpeg_segment(ImageFile *file, const uint8_t *head) {
        uint32_t length = read_be16(head);

        if (length < 2)
                return refuse(file, "JPEG segment that is too short");
        return expect(file, length - 2, 2, step_jpeg_marker);
}

static int step_jpeg_marker(ImageFile *file, const uint8_t *head) {
        uint8_t marker = head[1];

        if (head[0] != 0xff || marker == 0x00 || marker == JPEG_SOI)
                return refuse(file, "JPEG with bytes where a marker should be");

        if (marker == 0xff) {  /* fill byte: this 0xff may begin the marker */
                (void) expect(file, 0, 2, step_jpeg_marker);
                file->head[0] = 0xff;
                file->have = 1;
                return 0;
        }
        if (marker == JPEG_EOI) {
                if (!file->has_pixels)
                        return refuse(file, "JPEG without image data");
                file->last = true;
                return 0;
        }
        if (marker == JPEG_TEM || (marker >= JPEG_RST0 && marker <= JPEG_RST7))
                return expect(file, 0, 2, step_jpeg_marker);
        if (marker == JPEG_SOS)
                return expect(file, 0, 2, step_jpeg_scan);
        if (jpeg_is_frame(marker))
                return expect(file, 0, 8, step_jpeg_frame);
        return expect(file, 0, 2, step_jpeg_segment);
}

/* Searches entropy-coded data for the marker that ends it. Returns the bytes consumed. */
static ssize_t scan_jpeg(ImageFile *file, const uint8_t *data, size_t size) {
        size_t i = 0;

        while (i < size) {
                uint8_t head[2] = { 0xff };
                const uint8_t *ff;

                if (!file->after_ff) {
                        ff = memchr(data + i, 0xff, size - i);
                        if (!ff)
                                return (ssize_t) size;
                        i = (size_t) (ff - data) + 1;
                        file->after_ff = true;
                        continue;
                }

                head[1] = data[i++];
                if (head[1] == 0xff)
                        continue;
                file->after_ff = false;
                if (head[1] == 0x00 || (head[1] >= JPEG_RST0 && head[1] <= JPEG_RST7))
                        continue;

                file->in_scan = false;
                if (step_jpeg_marker(file, head) < 0)
                        return -EBADMSG;
                break;
        }
        return (ssize_t) i;
}

/* WebP (RFC 9649): RIFF, whose length says where the file ends, holding chunks padded to even lengths. */

static int step_webp_chunk(ImageFile *file, const uint8_t *head);

/* Behind what was collected of a chunk, `skip` bytes of it are left. */
static int expect_webp_chunk(ImageFile *file, uint64_t skip) {
        if (file->riff_left == 0) {
                if (!file->has_pixels)
                        return refuse(file, "WebP without image data");
                file->last = true;
        }
        return expect(file, skip, 8, step_webp_chunk);
}

static int expect_webp_head(ImageFile *file, uint32_t length, size_t want, ImageStep step) {
        if (length < want)
                return refuse(file, "WebP chunk that is too short");

        file->chunk_left = length + (length & 1) - (uint32_t) want;
        return expect(file, 0, want, step);
}

static int step_webp_lossy(ImageFile *file, const uint8_t *head) {
        int r;

        if (memcmp(head + 3, "\x9d\x01\x2a", 3) != 0)
                return refuse(file, "WebP without a key frame");
        r = set_size(file, read_le16(head + 6) & 0x3fff, read_le16(head + 8) & 0x3fff);
        return r < 0 ? r : expect_webp_chunk(file, file->chunk_left);
}

static int step_webp_lossless(ImageFile *file, const uint8_t *head) {
        uint32_t bits = read_le32(head + 1);
        int r;

        if (head[0] != 0x2f)
                return refuse(file, "WebP lossless data without its signature");
        r = set_size(file, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
        return r < 0 ? r : expect_webp_chunk(file, file->chunk_left);
}

static int step_webp_extended(ImageFile *file, const uint8_t *head) {
        int r;

        r = set_size(file, read_le24(head + 4) + 1, read_le24(head + 7) + 1);
        return r < 0 ? r : expect_webp_chunk(file, file->chunk_left);
}

static int step_webp_chunk(ImageFile *file, const uint8_t *head) {
        uint32_t length = read_le32(head + 4);
        uint64_t padded = (uint64_t) length + (length & 1);
        bool first = file->width == 0;

        if (file->riff_left < 8 || padded > file->riff_left - 8)
                return refuse(file, "WebP chunk that is longer than the file");
        file->riff_left -= 8 + padded;

        if (first && memcmp(head, "VP8X", 4) == 0)
                return expect_webp_head(file, length, 10, step_webp_extended);
        if (memcmp(head, "VP8 ", 4) == 0 || memcmp(head, "VP8L", 4) == 0) {
                file->has_pixels = true;
                if (first)
                        return head[3] == 'L' ? expect_webp_head(file, length, 5, step_webp_lossless)
                                              : expect_webp_head(file, length, 10, step_webp_lossy);
        }
        if (first)
                return refuse(file, "WebP that begins with an unknown chunk");
        if (memcmp(head, "ANMF", 4) == 0)
                file->has_pixels = true;
        return expect_webp_chunk(file, padded);
}

static int step_riff(ImageFile *file, const uint8_t *head) {
        uint32_t length = read_le32(head + 2);

        if (memcmp(head, "FF", 2) != 0 || memcmp(head + 6, "WEBP", 4) != 0)
                return refuse(file, "not a PNG, JPEG or WebP file");
        if (length < 4 + 8 || length % 2 != 0)
                return refuse(file, "WebP of an impossible length");

        file->format = IMAGE_WEBP;
        file->riff_left = length - 4;
        return expect(file, 0, 8, step_webp_chunk);
}

static int step_first_bytes(ImageFile *file, const uint8_t *head) {
        if (head[0] == 0x89 && head[1] == 'P')
                return expect(file, 0, 6, step_png_signature);
        if (head[0] == 'R' && head[1] == 'I')
                return expect(file, 0, 10, step_riff);
        if (head[0] == 0xff && head[1] == JPEG_SOI) {
                file->format = IMAGE_JPEG;
                return expect(file, 0, 2, step_jpeg_marker);
        }
        return refuse(file, "not a PNG, JPEG or WebP file");
}

int image_file_new(ImageFile **ret) {
        ImageFile *file;

        file = calloc(1, sizeof(*file));
        if (!file)
                return -ENOMEM;

        file->format = IMAGE_FORMAT_INVALID;
        (void) expect(file, 0, 2, step_first_bytes);
        *ret = file;
        return 0;
}

ImageFile *image_file_free(ImageFile *file) {
        free(file);
        return NULL;
}

static size_t pass_over(ImageFile *file, const uint8_t *data, size_t size) {
        size_t n = (size_t) MIN(file->skip, (uint64_t) size);

        if (file->format == IMAGE_PNG)
                file->crc = (uint32_t) crc32_z(file->crc, data, n);
        file->skip -= n;
        return n;
}

static ssize_t collect(ImageFile *file, const uint8_t *data, size_t size) {
        size_t n = MIN(file->want - file->have, size);
        uint8_t head[HEAD_BYTES_MAX];

        memcpy(file->head + file->have, data, n);
        file->have += n;
        if (file->have < file->want)
                return (ssize_t) n;

        memcpy(head, file->head, sizeof(head));
        file->have = 0;
        return file->step(file, head) < 0 ? -EBADMSG : (ssize_t) n;
}

int image_file_add(ImageFile *file, const void *data, size_t size) {
        const uint8_t *p = data;

        while (size > 0 && !file->reason) {
                ssize_t n;

                if (file->skip > 0)
                        n = (ssize_t) pass_over(file, p, size);
                else if (file->last)
                        return refuse(file, "bytes behind the end of the image");
                else if (file->in_scan)
                        n = scan_jpeg(file, p, size);
                else
                        n = collect(file, p, size);
                if (n < 0)
                        return (int) n;

                p += n;
                size -= (size_t) n;
        }
        return file->reason ? -EBADMSG : 0;
}

int image_file_finish(ImageFile *file, const char **reason) {
        int r = 0;

        if (!file->reason && (!file->last || file->skip > 0))
                file->reason = "image cut short";
        if (file->reason) {
                file->format = IMAGE_FORMAT_INVALID;
                r = -EBADMSG;
        }
        if (reason)
                *reason = file->reason;
        return r;
}

ImageFormat image_file_format(const ImageFile *file) {
        return file->format;
}

unsigned image_file_width(const ImageFile *file) {
        return file->width;
}

unsigned image_file_height(const ImageFile *file) {
        return file->height;
}
