/* Images in base64, read in pieces of any size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fd.h"
#include "image-stream.h"

#define FILE_BYTES 100000

static int file_of(size_t size, uint8_t *data) {
        int fd = memfd_create("image", MFD_CLOEXEC);

        assert_true(fd >= 0);
        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t) (i * 31 + i / 251);
        assert_int_equal(fd_write_all(fd, data, size), 0);
        return fd;
}

static ImageStream *stream_of(int fd) {
        ImageStream *stream = NULL;

        assert_int_equal(image_stream_new(&stream), 0);
        assert_int_equal(image_stream_add_text(stream, strdup("<")), 0);
        assert_int_equal(image_stream_add_file(stream, fd), 0);
        assert_int_equal(image_stream_add_text(stream, strdup(">end")), 0);
        return stream;
}

/* Reads all in pieces of `piece` bytes. */
static char *read_all(const ImageStream *stream, size_t piece) {
        size_t size = image_stream_size(stream), filled = 0;
        char *text = calloc(1, size + 1);

        while (filled < size) {
                ssize_t r = image_stream_read(stream, filled, text + filled,
                                              piece < size - filled ? piece : size - filled);

                assert_true(r > 0);
                filled += (size_t) r;
        }
        assert_int_equal(image_stream_read(stream, filled, &(char){ 0 }, 1), 0);
        return text;
}

static void test_pieces_of_every_size_give_the_same_text(void **state) {
        static const size_t sizes[] = { 0, 1, 2, 3, 4, 299, 300, FILE_BYTES };
        static uint8_t data[FILE_BYTES];

        (void) state;
        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                _cleanup_(image_stream_freep) ImageStream *stream = stream_of(file_of(sizes[i], data));
                size_t encoded = BASE64_ENCODED_SIZE(sizes[i]);
                _cleanup_free_ char *expected = calloc(1, encoded + 6);

                expected[0] = '<';
                assert_int_equal(base64_encode(data, sizes[i], expected + 1), encoded);
                (void) strcpy(expected + 1 + encoded, ">end");
                assert_int_equal(image_stream_size(stream), strlen(expected));

                for (size_t piece = 1; piece<12; piece += sizes[i]> 1000 ? 5 : 1) {
                        _cleanup_free_ char *text = read_all(stream, piece);

                        assert_string_equal(text, expected);
                }
                for (size_t piece = 1000; piece < 2 * IMAGE_STREAM_BLOCK_BYTES; piece = piece * 3 + 1) {
                        _cleanup_free_ char *text = read_all(stream, piece);

                        assert_string_equal(text, expected);
                }
        }
}

static void test_file_that_became_shorter_is_an_error(void **state) {
        static uint8_t data[300];
        int fd = file_of(sizeof(data), data), other = dup(fd);
        _cleanup_(image_stream_freep) ImageStream *stream = stream_of(fd);
        char text[600];

        (void) state;
        assert_int_equal(ftruncate(other, 100), 0);
        assert_int_equal(image_stream_read(stream, 0, text, sizeof(text)), -EIO);
        (void) fd_close(other);
}

static void test_pipe_is_no_image(void **state) {
        ImageStream *stream = NULL;
        int fds[2];

        (void) state;
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(image_stream_new(&stream), 0);
        assert_int_equal(image_stream_add_file(stream, fds[0]), -EBADF);
        assert_int_equal(fd_set_nonblocking(fds[0]), -EBADF); /* it was taken over, and closed */
        (void) fd_close(fds[1]);
        (void) image_stream_free(stream);
}

static void test_images_at_the_limit_and_one_past_it(void **state) {
        _cleanup_(image_stream_freep) ImageStream *stream = NULL;
        uint8_t data[1];

        (void) state;
        assert_int_equal(image_stream_new(&stream), 0);
        for (int i = 0; i < IMAGE_STREAM_IMAGES_MAX; i++) {
                assert_int_equal(image_stream_add_text(stream, strdup("x")), 0);
                assert_int_equal(image_stream_add_file(stream, file_of(1, data)), 0);
        }
        assert_int_equal(image_stream_add_text(stream, strdup("x")), 0);
        assert_int_equal(image_stream_add_file(stream, file_of(1, data)), -E2BIG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pieces_of_every_size_give_the_same_text),
                cmocka_unit_test(test_file_that_became_shorter_is_an_error),
                cmocka_unit_test(test_pipe_is_no_image),
                cmocka_unit_test(test_images_at_the_limit_and_one_past_it),
        };

        return cmocka_run_group_tests_name("api-image-stream", tests, NULL, NULL);
}
