/* Where atelierctl writes images: names, whole files, nothing written over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "image-output.h"

static void assert_name(const char *file, size_t index, size_t count, const char *expected) {
        ImageOutput output = { .file = file };
        _cleanup_free_ char *name = image_output_name(&output, index, count, "webp");

        assert_string_equal(name, expected);
}

static void test_one_image_has_the_name_that_was_given(void **state) {
        (void) state;
        assert_name("picture.png", 0, 1, "picture.png");
        assert_name("a/picture", 0, 1, "a/picture");
        assert_name("-", 0, 1, "-");
}

static void test_several_images_are_numbered(void **state) {
        (void) state;
        assert_name("picture.png", 0, 2, "picture-1.png");
        assert_name("picture.PNG", 1, 2, "picture-2.PNG");
        assert_name("a.b/picture", 1, 2, "a.b/picture-2.webp");
        assert_name("picture.txt", 0, 2, "picture.txt-1.webp");
        assert_name("a/.png", 0, 2, "a/.png-1.webp");
}

typedef struct Fixture {
        char folder[64];
        char *path;
        int image;
} Fixture;

/* Larger than what is copied at once. */
#define IMAGE_BYTES (200 * 1024)

static int set_up(void **state) {
        Fixture *f = calloc(1, sizeof(*f));
        _cleanup_free_ char *bytes = malloc(IMAGE_BYTES);

        for (size_t i = 0; i < IMAGE_BYTES; i++)
                bytes[i] = (char) (i * 7 / 3);
        (void) strcpy(f->folder, "/tmp/test-ctl-image-output-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        f->path = text_format("%s/picture.png", f->folder);
        f->image = memfd_create("image", MFD_CLOEXEC);
        assert_int_equal(fd_write_all(f->image, bytes, IMAGE_BYTES), 0);
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        Fixture *f = *state;

        (void) unlink(f->path);
        assert_int_equal(rmdir(f->folder), 0);  /* nothing else is left in it */
        f->image = fd_close(f->image);
        free(f->path);
        free(f);
        return 0;
}

static void put_file(Fixture *f, const char *text) {
        int fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        (void) fd_close(fd);
}

static void assert_is_the_image(Fixture *f) {
        _cleanup_free_ char *data = NULL, *expected = malloc(IMAGE_BYTES);
        size_t size;

        assert_int_equal(fd_pread_all(f->image, expected, IMAGE_BYTES, 0), IMAGE_BYTES);
        assert_int_equal(file_read(AT_FDCWD, f->path, 2 * IMAGE_BYTES, &data, &size), 0);
        assert_int_equal(size, IMAGE_BYTES);
        assert_memory_equal(data, expected, size);
}

static void test_an_image_is_written_whole(void **state) {
        Fixture *f = *state;
        ImageOutput output = { .file = f->path };

        assert_int_equal(image_output_check_place(&output), EXIT_SUCCESS);
        assert_int_equal(image_output_check_names(&output, 1), EXIT_SUCCESS);
        assert_int_equal(image_output_write(&output, f->path, f->image), 0);
        assert_is_the_image(f);
}

static void test_what_is_there_is_not_written_over(void **state) {
        Fixture *f = *state;
        ImageOutput output = { .file = f->path };
        _cleanup_free_ char *data = NULL;

        put_file(f, "precious");
        assert_int_equal(image_output_check_names(&output, 1), EXIT_FAILURE);
        assert_int_equal(image_output_write(&output, f->path, f->image), -EEXIST);
        assert_int_equal(file_read(AT_FDCWD, f->path, 64, &data, NULL), 0);
        assert_string_equal(data, "precious");
}

static void test_force_writes_over_it(void **state) {
        Fixture *f = *state;
        ImageOutput output = { .file = f->path, .force = true };

        put_file(f, "old");
        assert_int_equal(image_output_check_names(&output, 1), EXIT_SUCCESS);
        assert_int_equal(image_output_write(&output, f->path, f->image), 0);
        assert_is_the_image(f);
}

static void test_each_of_several_names_is_looked_at(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *base = text_format("%s/x", f->folder), *second = text_format("%s/x-2.webp", f->folder);
        ImageOutput output = { .file = base };
        int fd = open(second, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        (void) fd_close(fd);
        assert_int_equal(image_output_check_names(&output, 1), EXIT_SUCCESS);
        assert_int_equal(image_output_check_names(&output, 2), EXIT_FAILURE);
        assert_int_equal(unlink(second), 0);
        assert_int_equal(image_output_check_names(&output, 2), EXIT_SUCCESS);
}

static void test_folders_are_looked_at_before(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *absent = text_format("%s/absent/x.png", f->folder);

        assert_int_equal(image_output_check_place(&(ImageOutput) { .file = absent }), EXIT_FAILURE);
        assert_int_equal(image_output_check_names(&(ImageOutput){ .file = f->folder, .force = true }, 1),
                         EXIT_FAILURE);
        assert_int_equal(image_output_check_place(&(ImageOutput) { .file = "" }), 2);
        assert_int_equal(image_output_check_names(&(ImageOutput) { .file = "-" }, 2), 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_image_has_the_name_that_was_given),
                cmocka_unit_test(test_several_images_are_numbered),
                cmocka_unit_test_setup_teardown(test_an_image_is_written_whole, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_there_is_not_written_over, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_force_writes_over_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_each_of_several_names_is_looked_at, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_folders_are_looked_at_before, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
