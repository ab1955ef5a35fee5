/* Pictures of one colour, as PNG packs them, and such as nearly are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "images/png-colour.h"

#define EDGE 40
#define FILE_BYTES_MAX (4 * 1024 * 1024)

/* A PNG under construction. */
typedef struct Png {
        unsigned width, height;
        uint8_t depth, type, interlace, filter;
        size_t pixel_bytes;
        uint8_t *pixels;             /* of the rows, unfiltered */
        size_t idat_bytes;           /* of a chunk */
        int level;
} Png;

static void put_be32(uint8_t *p, uint32_t value) {
        for (int i = 0; i < 4; i++)
                p[i] = (uint8_t) (value >> (24 - 8 * i));
}

static void write_chunk(int fd, const char *type, const uint8_t *data, size_t size) {
        uint8_t head[8], tail[4];
        uint32_t crc;

        put_be32(head, (uint32_t) size);
        memcpy(head + 4, type, 4);
        crc = (uint32_t) crc32(crc32(0, head + 4, 4), data, (uInt) size);
        put_be32(tail, crc);
        assert_int_equal(write(fd, head, 8), 8);
        assert_int_equal(write(fd, data, size), size);
        assert_int_equal(write(fd, tail, 4), 4);
}

static uint8_t predict(const Png *png, unsigned y, size_t i) {
        size_t row = png->width * png->pixel_bytes;
        const uint8_t *line = png->pixels + y * row;
        int left = i < png->pixel_bytes ? 0 : line[i - png->pixel_bytes];
        int above = y == 0 ? 0 : line[(ssize_t) i - (ssize_t) row];
        int corner = y == 0 || i < png->pixel_bytes ? 0 : line[(ssize_t) (i - png->pixel_bytes) - (ssize_t) row];
        int p = left + above - corner;

        switch (png->filter) {
        case 0:
                return 0;
        case 1:
                return (uint8_t) left;
        case 2:
                return (uint8_t) above;
        case 3:
                return (uint8_t) ((left + above) / 2);
        default:
                if (abs(p - left) <= abs(p - above) && abs(p - left) <= abs(p - corner))
                        return (uint8_t) left;
                return (uint8_t) (abs(p - above) <= abs(p - corner) ? above : corner);
        }
}

static int write_png(const Png *png, ImageFacts *facts) {
        size_t row = png->width * png->pixel_bytes, size = (row + 1) * png->height;
        uint8_t header[13] = {}, *raw = malloc(size), *packed = malloc(FILE_BYTES_MAX);
        uLongf packed_size = FILE_BYTES_MAX;
        int fd = memfd_create("png", MFD_CLOEXEC);

        assert_true(fd >= 0 && raw && packed);
        put_be32(header, png->width);
        put_be32(header + 4, png->height);
        header[8] = png->depth;
        header[9] = png->type;
        header[12] = png->interlace;
        for (unsigned y = 0; y < png->height; y++) {
                raw[y * (row + 1)] = png->filter;
                for (size_t i = 0; i < row; i++)
                        raw[y * (row + 1) + 1 + i] = (uint8_t) (png->pixels[y * row + i] - predict(png, y, i));
        }
        assert_int_equal(compress2(packed, &packed_size, raw, size, png->level), Z_OK);
        assert_int_equal(write(fd, "\x89PNG\r\n\x1a\n", 8), 8);
        write_chunk(fd, "IHDR", header, sizeof(header));
        write_chunk(fd, "tEXt", (const uint8_t *) "of no matter", 12);
        for (size_t at = 0; at < packed_size; at += png->idat_bytes)
                write_chunk(fd, "IDAT", packed + at, MIN(png->idat_bytes, packed_size - at));
        write_chunk(fd, "IEND", header, 0);
        *facts = (ImageFacts) {
                .format = IMAGE_PNG,
                .width = png->width,
                .height = png->height,
                .size_bytes = (uint64_t) lseek(fd, 0, SEEK_END),
        };
        free(raw);
        free(packed);
        return fd;
}

static int judge(const Png *png) {
        ImageFacts facts;
        int fd = write_png(png, &facts), r;

        r = png_is_single_colour(fd, &facts);
        (void) close(fd);
        return r;
}

static Png make(uint8_t type, uint8_t depth, size_t pixel_bytes, unsigned width, unsigned height) {
        Png png = { .width = width, .height = height, .depth = depth, .type = type, .pixel_bytes = pixel_bytes,
                    .idat_bytes = 100, .level = 6 };

        png.pixels = malloc(width * height * pixel_bytes);
        assert_non_null(png.pixels);
        for (size_t i = 0; i < width * height * pixel_bytes; i++)
                png.pixels[i] = (uint8_t) (17 + 40 * (i % pixel_bytes));
        return png;
}

static const struct {
        uint8_t type, depth;
        size_t pixel_bytes;
} kinds[] = { { 0, 8, 1 }, { 2, 8, 3 }, { 3, 8, 1 }, { 4, 8, 2 }, { 6, 8, 4 }, { 0, 16, 2 }, { 2, 16, 6 }, { 4, 16, 4 }, { 6, 16, 8 } };

static void test_one_colour_is_found_whatever_its_kind_and_filter(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                for (uint8_t filter = 0; filter <= 4; filter++) {
                        Png png = make(kinds[i].type, kinds[i].depth, kinds[i].pixel_bytes, EDGE, EDGE);

                        png.filter = filter;
                        assert_int_equal(judge(&png), 1);
                        free(png.pixels);
                }
}

static void test_a_bit_of_any_pixel_is_another_colour(void **state) {
        static const size_t places[] = { 0, 1, EDGE - 1, EDGE, EDGE * EDGE / 2, EDGE * EDGE - 1 };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                for (size_t place = 0; place < ELEMENTS(places); place++)
                        for (uint8_t filter = 0; filter <= 4; filter++) {
                                Png png = make(kinds[i].type, kinds[i].depth, kinds[i].pixel_bytes, EDGE, EDGE);

                                png.filter = filter;
                                png.pixels[places[place] * png.pixel_bytes + png.pixel_bytes - 1] ^= 1;
                                assert_int_equal(judge(&png), 0);
                                free(png.pixels);
                        }
}

static void test_stripes_differ_in_either_direction(void **state) {
        Png png = make(2, 8, 3, EDGE, EDGE);

        (void) state;
        for (size_t i = 0; i < EDGE * EDGE; i++)
                png.pixels[3 * i] = (uint8_t) (i / EDGE);
        assert_int_equal(judge(&png), 0);
        for (size_t i = 0; i < EDGE * EDGE; i++)
                png.pixels[3 * i] = (uint8_t) (i % EDGE);
        assert_int_equal(judge(&png), 0);
        free(png.pixels);
}

static void test_one_pixel_has_one_colour(void **state) {
        Png png = make(2, 8, 3, 1, 1);

        (void) state;
        assert_int_equal(judge(&png), 1);
        free(png.pixels);
}

/* Rows without a pixel that has a neighbour to the left, pictures without a row that has one above. */
static void test_narrow_pictures(void **state) {
        static const struct {
                unsigned width, height;
        } edges[] = { { 1, 2 }, { 1, EDGE }, { 2, 1 }, { 2, 2 }, { 3, 2 }, { EDGE, 1 } };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(edges); i++)
                for (size_t kind = 0; kind < ELEMENTS(kinds); kind++)
                        for (uint8_t filter = 0; filter <= 4; filter++) {
                                Png png = make(kinds[kind].type, kinds[kind].depth, kinds[kind].pixel_bytes, edges[i].width,
                                               edges[i].height);

                                png.filter = filter;
                                assert_int_equal(judge(&png), 1);
                                png.pixels[edges[i].width * edges[i].height * png.pixel_bytes - 1] ^= 1;
                                assert_int_equal(judge(&png), 0);
                                free(png.pixels);
                        }
}

static void test_what_is_not_looked_at_is_not_suspected(void **state) {
        Png png = make(2, 8, 3, EDGE, EDGE);
        ImageFacts facts;
        int fd;

        (void) state;
        png.interlace = 1;
        assert_int_equal(judge(&png), 0);
        png.interlace = 0;
        png.depth = 4;
        assert_int_equal(judge(&png), 0);
        png.depth = 8;

        fd = write_png(&png, &facts);
        facts.format = IMAGE_JPEG;
        assert_int_equal(png_is_single_colour(fd, &facts), 0);
        facts.format = IMAGE_PNG;
        facts.size_bytes = 4096 + EDGE * EDGE * 3 / 4;
        assert_int_equal(png_is_single_colour(fd, &facts), 1);
        facts.size_bytes++;
        assert_int_equal(png_is_single_colour(fd, &facts), 0);
        (void) close(fd);
        free(png.pixels);
}

static void test_larger_than_the_limit_is_not_unpacked(void **state) {
        enum { WIDTH = 8192 };
        Png png = make(0, 8, 1, WIDTH, 16);
        ImageFacts facts;
        int fd = write_png(&png, &facts);

        (void) state;
        facts.height = PNG_COLOUR_BYTES_MAX / WIDTH;
        assert_int_equal(png_is_single_colour(fd, &facts), -EBADMSG);  /* it was, and there is not so much */
        facts.height++;
        assert_int_equal(png_is_single_colour(fd, &facts), 0);
        (void) close(fd);
        free(png.pixels);
}

static void test_broken_data_is_an_error(void **state) {
        Png png = make(2, 8, 3, EDGE, EDGE);
        ImageFacts facts;
        int fd = write_png(&png, &facts);

        (void) state;
        facts.height++;
        assert_int_equal(png_is_single_colour(fd, &facts), -EBADMSG);
        facts.height--;
        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, 8 + 25 + 24 + 8), 4);  /* the head of what is packed */
        assert_int_equal(png_is_single_colour(fd, &facts), -EBADMSG);
        assert_int_equal(ftruncate(fd, 70), 0);
        assert_int_equal(png_is_single_colour(fd, &facts), -EBADMSG);
        assert_int_equal(ftruncate(fd, 20), 0);
        assert_int_equal(png_is_single_colour(fd, &facts), -EBADMSG);
        (void) close(fd);
        free(png.pixels);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_colour_is_found_whatever_its_kind_and_filter),
                cmocka_unit_test(test_a_bit_of_any_pixel_is_another_colour),
                cmocka_unit_test(test_stripes_differ_in_either_direction),
                cmocka_unit_test(test_one_pixel_has_one_colour),
                cmocka_unit_test(test_narrow_pictures),
                cmocka_unit_test(test_what_is_not_looked_at_is_not_suspected),
                cmocka_unit_test(test_larger_than_the_limit_is_not_unpacked),
                cmocka_unit_test(test_broken_data_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
