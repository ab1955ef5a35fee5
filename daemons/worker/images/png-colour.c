/* The problem: a grey rectangle is a good file, and is paid for. Pictures are looked at in the worker's loop, which may not stand
 * still for what a peer has packed.
 *
 * The model: the rows are unpacked one by one, up to the first pixel that differs from the first one. In a real picture that one
 * comes early, and most are not unpacked at all, as their files are larger than a quarter of their pixels: what has one colour is
 * packed to less than a hundredth. Filters are not undone: as long as all pixels so far are of one colour, what each filter makes
 * of a further one is known, and the row is compared with that. One row and zlib's window are all that is kept. */
#include "images/png-colour.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/fd.h"

#define HEADER_OFFSET 16            /* behind the signature, and the length and type of IHDR */
#define HEADER_BYTES 13
#define FIRST_CHUNK_OFFSET 33       /* behind IHDR */
#define CHUNK_HEAD_BYTES 8
#define CRC_BYTES 4
#define INPUT_BYTES 4096
#define PACKED_SHARE 4              /* of its pixels, that a file has at most to be looked at, … */
#define PACKED_BYTES_MIN 4096       /* … beside this much of other chunks */
#define PIXEL_BYTES_MAX 8
#define FILTER_MAX 4

typedef struct Pixels {
        int fd;
        off_t offset;               /* of what is read next */
        size_t chunk_left;          /* of the IDAT that is being read */
        uint8_t input[INPUT_BYTES];
        z_stream packed;
        size_t pixel_bytes, row_bytes;
        uint8_t *row;               /* row_bytes + 1: the first is the filter */
} Pixels;

static uint32_t read_be32(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static void pixels_done(Pixels *pixels) {
        (void) inflateEnd(&pixels->packed);
        free(pixels->row);
}

/* Goes to the next IDAT. */
static int find_data(Pixels *pixels) {
        uint8_t head[CHUNK_HEAD_BYTES];

        for (;;) {
                ssize_t n = fd_pread_all(pixels->fd, head, sizeof(head), pixels->offset);

                if (n < (ssize_t) sizeof(head))
                        return n < 0 ? (int) n : -EBADMSG;
                pixels->offset += CHUNK_HEAD_BYTES;
                pixels->chunk_left = read_be32(head);
                if (memcmp(head + 4, "IDAT", 4) == 0 && pixels->chunk_left > 0)
                        return 0;
                if (memcmp(head + 4, "IEND", 4) == 0)
                        return -EBADMSG;
                pixels->offset += (off_t) pixels->chunk_left + CRC_BYTES;
        }
}

static int read_input(Pixels *pixels) {
        ssize_t n;
        int r;

        if (pixels->chunk_left == 0) {
                r = find_data(pixels);
                if (r < 0)
                        return r;
        }
        n = fd_pread_all(pixels->fd, pixels->input, MIN(sizeof(pixels->input), pixels->chunk_left), pixels->offset);
        if (n <= 0)
                return n < 0 ? (int) n : -EBADMSG;
        pixels->offset += n;
        pixels->chunk_left -= (size_t) n;
        if (pixels->chunk_left == 0)
                pixels->offset += CRC_BYTES;
        pixels->packed.next_in = pixels->input;
        pixels->packed.avail_in = (uInt) n;
        return 0;
}

static int read_row(Pixels *pixels) {
        pixels->packed.next_out = pixels->row;
        pixels->packed.avail_out = (uInt) pixels->row_bytes + 1;
        while (pixels->packed.avail_out > 0) {
                int r = pixels->packed.avail_in == 0 ? read_input(pixels) : 0;

                if (r < 0)
                        return r;
                r = inflate(&pixels->packed, Z_NO_FLUSH);
                if (r != Z_OK && !(r == Z_STREAM_END && pixels->packed.avail_out == 0))
                        return -EBADMSG;
        }
        return 0;
}

/* What the filter makes of a sample of a picture whose pixels all have `colour` (ISO/IEC 15948, 9.2). On the edges the pixel to
 * the left, or the row above, counts as 0. */
static uint8_t filtered(uint8_t filter, uint8_t colour, bool first_row, bool first_pixel) {
        uint8_t left = first_pixel ? 0 : colour, above = first_row ? 0 : colour;

        switch (filter) {
        case 0:
                return colour;
        case 1:
                return (uint8_t) (colour - left);
        case 2:
                return (uint8_t) (colour - above);
        case 3:
                return (uint8_t) (colour - (left + above) / 2);
        default:  /* Paeth: where there is but one neighbour, that one */
                return first_row && first_pixel ? colour : 0;
        }
}

/* The first pixel of the picture is not changed by any filter, as it has no neighbours. */
static bool row_has_colour(const Pixels *pixels, const uint8_t *colour, bool first_row) {
        const uint8_t *row = pixels->row + 1;
        uint8_t filter = pixels->row[0];
        size_t step = pixels->pixel_bytes;

        for (size_t i = 0; i < step; i++) {
                if (row[i] != filtered(filter, colour[i], first_row, true))
                        return false;
                if (pixels->row_bytes > step && row[step + i] != filtered(filter, colour[i], first_row, false))
                        return false;
        }
        return pixels->row_bytes <= 2 * step || memcmp(row + step, row + 2 * step, pixels->row_bytes - 2 * step) == 0;
}

static int compare_rows(Pixels *pixels, unsigned height) {
        uint8_t colour[PIXEL_BYTES_MAX];

        for (unsigned y = 0; y < height; y++) {
                int r;

                r = read_row(pixels);
                if (r >= 0 && pixels->row[0] > FILTER_MAX)
                        r = -EBADMSG;
                if (r < 0)
                        return r;
                if (y == 0)
                        memcpy(colour, pixels->row + 1, pixels->pixel_bytes);
                if (!row_has_colour(pixels, colour, y == 0))
                        return 0;
        }
        return 1;
}

/* 0: not one that is looked at. */
static size_t pixel_size(const uint8_t header[static HEADER_BYTES]) {
        static const uint8_t samples[] = { [0] = 1, [2] = 3, [3] = 1, [4] = 2, [6] = 4 };
        uint8_t depth = header[8], type = header[9], interlace = header[12];

        if ((depth != 8 && depth != 16) || type >= ELEMENTS(samples) || interlace != 0)
                return 0;
        return samples[type] * depth / 8u;
}

int png_is_single_colour(int fd, const ImageFacts *facts) {
        uint8_t header[HEADER_BYTES];
        Pixels pixels = { .fd = fd, .offset = FIRST_CHUNK_OFFSET };
        uint64_t size;
        ssize_t n;
        int r;

        if (facts->format != IMAGE_PNG)
                return 0;
        n = fd_pread_all(fd, header, sizeof(header), HEADER_OFFSET);
        if (n < (ssize_t) sizeof(header))
                return n < 0 ? (int) n : -EBADMSG;
        pixels.pixel_bytes = pixel_size(header);
        pixels.row_bytes = pixels.pixel_bytes * facts->width;
        size = (uint64_t) pixels.row_bytes * facts->height;
        if (size == 0 || size > PNG_COLOUR_BYTES_MAX || facts->size_bytes > PACKED_BYTES_MIN + size / PACKED_SHARE)
                return 0;
        pixels.row = calloc(1, pixels.row_bytes + 1);
        if (!pixels.row || inflateInit(&pixels.packed) != Z_OK)
                r = -ENOMEM;
        else
                r = compare_rows(&pixels, facts->height);
        pixels_done(&pixels);
        return r;
}
