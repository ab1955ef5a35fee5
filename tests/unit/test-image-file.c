/* What the bytes of an image say: whole files of each format, and every way in which they are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "images/image-file.h"
#include "sample-images.h"

typedef struct Sample {
        const uint8_t *data;
        size_t size;
        ImageFormat format;
} Sample;

static const Sample samples[] = {
        { sample_png, sizeof(sample_png), IMAGE_PNG },
        { sample_jpeg, sizeof(sample_jpeg), IMAGE_JPEG },
        { sample_jpeg_progressive, sizeof(sample_jpeg_progressive), IMAGE_JPEG },
        { sample_webp_lossy, sizeof(sample_webp_lossy), IMAGE_WEBP },
        { sample_webp_lossless, sizeof(sample_webp_lossless), IMAGE_WEBP },
        { sample_webp_extended, sizeof(sample_webp_extended), IMAGE_WEBP },
};

/* NULL when the bytes are a whole image, else why not. Fed in pieces of `piece` bytes. */
static const char *check(const uint8_t *data, size_t size, size_t piece) {
        _cleanup_(image_file_freep) ImageFile *file = NULL;
        const char *reason = "";
        int added = 0, finished;

        assert_int_equal(image_file_new(&file), 0);
        for (size_t i = 0; i < size && added >= 0; i += piece)
                added = image_file_add(file, data + i, MIN(piece, size - i));

        finished = image_file_finish(file, &reason);
        assert_int_equal(finished, reason ? -EBADMSG : 0);
        if (added < 0)
                assert_non_null(reason);
        if (finished == 0) {
                assert_int_equal(image_file_width(file), SAMPLE_WIDTH);
                assert_int_equal(image_file_height(file), SAMPLE_HEIGHT);
        }
        return reason;
}

static void test_samples_are_whole_in_any_fragmentation(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTS(samples); i++)
                for (size_t piece = 1; piece <= samples[i].size; piece++)
                        assert_null(check(samples[i].data, samples[i].size, piece));
}

static void test_formats_are_told_apart(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTS(samples); i++) {
                _cleanup_(image_file_freep) ImageFile *file = NULL;

                assert_int_equal(image_file_new(&file), 0);
                assert_int_equal(image_file_add(file, samples[i].data, samples[i].size), 0);
                assert_int_equal(image_file_finish(file, NULL), 0);
                assert_int_equal(image_file_format(file), samples[i].format);
        }
}

static void test_every_cut_is_seen(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTS(samples); i++)
                for (size_t size = 0; size < samples[i].size; size++)
                        assert_string_equal(check(samples[i].data, size, size + 1), "image cut short");
}

static void test_trailing_bytes_are_seen(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTS(samples); i++) {
                _cleanup_free_ uint8_t *longer = malloc(samples[i].size + 1);

                memcpy(longer, samples[i].data, samples[i].size);
                longer[samples[i].size] = 0;
                assert_string_equal(check(longer, samples[i].size + 1, 7), "bytes behind the end of the image");
                assert_string_equal(check(longer, samples[i].size + 1, samples[i].size),
                                    "bytes behind the end of the image");
        }
}

/* PNG has CRCs: no changed byte passes. */
static void test_every_flipped_bit_of_a_png_is_seen(void **state) {
        (void) state;
        for (size_t i = 0; i < 8 * sizeof(sample_png); i++) {
                uint8_t copy[sizeof(sample_png)];

                memcpy(copy, sample_png, sizeof(copy));
                copy[i / 8] ^= (uint8_t) (1 << i % 8);
                assert_non_null(check(copy, sizeof(copy), sizeof(copy)));
        }
}

static void set_be32(uint8_t *p, uint32_t value) {
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t) (value >> (24 - 8 * i));
}

/* The sample's header with other values and a right CRC. */
static const char *check_png_header(size_t offset, uint8_t value) {
        uint8_t copy[sizeof(sample_png)];

        memcpy(copy, sample_png, sizeof(copy));
        copy[16 + offset] = value;
        set_be32(copy + 29, (uint32_t) crc32(0, copy + 12, 17));
        return check(copy, sizeof(copy), sizeof(copy));
}

static void test_png_headers(void **state) {
        (void) state;
        assert_null(check_png_header(3, SAMPLE_WIDTH));
        assert_string_equal(check_png_header(3, 0), "an edge of no pixels");
        assert_string_equal(check_png_header(1, 1), "an edge of more than 65535 pixels");
        assert_string_equal(check_png_header(8, 3), "PNG header with unknown values");
        assert_string_equal(check_png_header(9, 5), "PNG header with unknown values");
        assert_string_equal(check_png_header(10, 1), "PNG header with unknown values");
        assert_string_equal(check_png_header(12, 2), "PNG header with unknown values");
}

static void test_png_without_pixels(void **state) {
        static const uint8_t end[] = { 0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82 };
        uint8_t png[33 + sizeof(end)];

        (void) state;
        memcpy(png, sample_png, 33);
        memcpy(png + 33, end, sizeof(end));
        assert_string_equal(check(png, sizeof(png), 5), "PNG without image data");
}

static void test_jpeg_structure(void **state) {
        static const uint8_t empty[] = { 0xff, 0xd8, 0xff, 0xd9 };
        static const uint8_t scan_first[] = { 0xff, 0xd8, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0xff, 0xd9 };
        static const uint8_t no_marker[] = { 0xff, 0xd8, 0x12, 0x34 };
        static const uint8_t short_segment[] = { 0xff, 0xd8, 0xff, 0xe0, 0, 1 };
        uint8_t filled[sizeof(sample_jpeg) + 3];

        (void) state;
        assert_string_equal(check(empty, sizeof(empty), 1), "JPEG without image data");
        assert_string_equal(check(scan_first, sizeof(scan_first), 3), "JPEG scan before its frame");
        assert_string_equal(check(no_marker, sizeof(no_marker), 4), "JPEG with bytes where a marker should be");
        assert_string_equal(check(short_segment, sizeof(short_segment), 2), "JPEG segment that is too short");

        /* Fill bytes before a marker are allowed. */
        memcpy(filled, sample_jpeg, 2);
        memset(filled + 2, 0xff, 3);
        memcpy(filled + 5, sample_jpeg + 2, sizeof(sample_jpeg) - 2);
        for (size_t piece = 1; piece < 10; piece++)
                assert_null(check(filled, sizeof(filled), piece));
}

static void test_webp_lengths(void **state) {
        uint8_t copy[sizeof(sample_webp_lossy)];

        (void) state;
        memcpy(copy, sample_webp_lossy, sizeof(copy));
        copy[16] += 2; /* the chunk claims more than the file */
        assert_string_equal(check(copy, sizeof(copy), 9), "WebP chunk that is longer than the file");

        memcpy(copy, sample_webp_lossy, sizeof(copy));
        copy[4]++;
        assert_string_equal(check(copy, sizeof(copy), 9), "WebP of an impossible length");

        memcpy(copy, sample_webp_lossy, sizeof(copy));
        copy[23] = 0;
        assert_string_equal(check(copy, sizeof(copy), 9), "WebP without a key frame");
}

static void test_what_is_no_image(void **state) {
        static const char *const texts[] = {
                "", "x", "GIF89a", "<html>", "PNG", "\x89PNG\r\n\x1a\r", "RIFF\x10\0\0\0WAVE"
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++)
                assert_non_null(check((const uint8_t *) texts[i],
                                      MAX(strlen(texts[i]), 12 * (size_t) (texts[i][0] == 'R')), 4));
}

static void test_once_bad_always_bad(void **state) {
        _cleanup_(image_file_freep) ImageFile *file = NULL;

        (void) state;
        assert_int_equal(image_file_new(&file), 0);
        assert_int_equal(image_file_add(file, "no", 2), -EBADMSG);
        assert_int_equal(image_file_add(file, sample_png, sizeof(sample_png)), -EBADMSG);
        assert_int_equal(image_file_finish(file, NULL), -EBADMSG);
        assert_int_equal(image_file_format(file), IMAGE_FORMAT_INVALID);
}

static void test_names(void **state) {
        (void) state;
        for (int i = 0; i < _IMAGE_FORMATS; i++)
                assert_int_equal(image_format_from_name(image_format_name((ImageFormat) i)), i);
        assert_int_equal(image_format_from_name("gif"), IMAGE_FORMAT_INVALID);
        assert_int_equal(image_format_from_name(NULL), IMAGE_FORMAT_INVALID);
        assert_null(image_format_name(IMAGE_FORMAT_INVALID));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_samples_are_whole_in_any_fragmentation),
                cmocka_unit_test(test_formats_are_told_apart),
                cmocka_unit_test(test_every_cut_is_seen),
                cmocka_unit_test(test_trailing_bytes_are_seen),
                cmocka_unit_test(test_every_flipped_bit_of_a_png_is_seen),
                cmocka_unit_test(test_png_headers),
                cmocka_unit_test(test_png_without_pixels),
                cmocka_unit_test(test_jpeg_structure),
                cmocka_unit_test(test_webp_lengths),
                cmocka_unit_test(test_what_is_no_image),
                cmocka_unit_test(test_once_bad_always_bad),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests_name("image-file", tests, NULL, NULL);
}
