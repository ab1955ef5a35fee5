/* Names of archives, and what is found in their folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>

#include "archive-fixture.h"
#include "archive-partial.h"

#define HASH "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define NAME "atelier-20241123T020000Z-" HASH ".tar.zst"

static void touch(void **state, const char *name) {
        _cleanup_close_ int fd = openat(folder_fd(state), name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
}

static void test_format(void **state) {
        ArchiveName name;

        (void) state;
        archive_name_format(&name, FIXTURE_TIME + 999999, HASH);
        assert_string_equal(name.text, NAME);
        assert_string_equal(name.sha256, HASH);
        assert_int_equal(name.created_at, FIXTURE_TIME);
}

static void test_parse_gives_back_what_was_formatted(void **state) {
        ArchiveName name;

        (void) state;
        assert_int_equal(archive_name_parse(&name, NAME), 0);
        assert_string_equal(name.text, NAME);
        assert_string_equal(name.sha256, HASH);
        assert_int_equal(name.created_at, FIXTURE_TIME);
}

static void test_parse_refuses_everything_else(void **state) {
        static const char *const wrong[] = {
                "",
                "atelier-",
                "." NAME,
                NAME "x",
                "folder/" NAME,
                "atelier-20241123T020000Z-" HASH ".tar.zsT",
                "atelier-20241123T020000Z-" HASH ".tar",
                "atelier-20241123T020000Z-" "0" HASH ".tar.zst",
                "atelier-20241123T020000Z-Ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.tar.zst",
                "atelier-20241123T020000Z_" HASH ".tar.zst",
                "atelier-20241123T020000+" HASH ".tar.zst",
                "atelier-2024-123T020000Z-" HASH ".tar.zst",
                "atelier-20240631T020000Z-" HASH ".tar.zst",
                "atelier-20241323T020000Z-" HASH ".tar.zst",
                "atelier-20241123T240000Z-" HASH ".tar.zst",
                "atelier-20241123T026000Z-" HASH ".tar.zst",
                "atelier-19691123T020000Z-" HASH ".tar.zst",
        };
        ArchiveName name;

        (void) state;
        for (size_t i = 0; i < ELEMENTS(wrong); i++)
                assert_int_equal(archive_name_parse(&name, wrong[i]), -EINVAL);
}

static void test_list_is_newest_first(void **state) {
        _cleanup_free_ ArchiveName *names = NULL;
        size_t count;

        touch(state, "atelier-20231123T020000Z-" HASH ".tar.zst");
        touch(state, NAME);
        touch(state, "atelier-20241122T020000Z-" HASH ".tar.zst");
        assert_int_equal(archive_name_list(folder_fd(state), &names, &count), 0);
        assert_int_equal(count, 3);
        assert_string_equal(names[0].text, NAME);
        assert_true(strncmp(names[1].text, "atelier-20241122", 16) == 0);
        assert_true(strncmp(names[2].text, "atelier-20231123", 16) == 0);
}

static void test_list_grows(void **state) {
        _cleanup_free_ ArchiveName *names = NULL;
        size_t count;

        for (unsigned i = 0; i < 60; i++) {
                ArchiveName name;

                archive_name_format(&name, FIXTURE_TIME + i * USEC_PER_SEC, HASH);
                touch(state, name.text);
        }
        assert_int_equal(archive_name_list(folder_fd(state), &names, &count), 0);
        assert_int_equal(count, 60);
        for (unsigned i = 0; i < 60; i++)
                assert_int_equal(names[i].created_at, FIXTURE_TIME + (59 - i) * USEC_PER_SEC);
}

static void test_list_passes_over_what_is_not_an_archive(void **state) {
        _cleanup_free_ ArchiveName *names = NULL;
        size_t count;

        touch(state, "notes.txt");
        touch(state, ".atelier-20241123T020000Z-abcdef.partial");
        assert_int_equal(mkdirat(folder_fd(state), "atelier-20231123T020000Z-" HASH ".tar.zst", 0700), 0);
        assert_int_equal(symlinkat("notes.txt", folder_fd(state), NAME), 0);
        assert_int_equal(archive_name_list(folder_fd(state), &names, &count), 0);
        assert_int_equal(count, 0);
}

static void test_partials_are_removed_and_nothing_else(void **state) {
        char partial[ARCHIVE_NAME_MAX];
        unsigned removed;

        archive_partial_name(partial, FIXTURE_TIME, "abcdefgh");
        assert_string_equal(partial, ".atelier-20241123T020000Z-abcdef.partial");
        touch(state, partial);
        touch(state, ".atelier-20241123T020001Z-000000.partial");
        touch(state, NAME);
        touch(state, ".atelier-20241123T020001Z-0000000.partial");
        touch(state, ".atelier-20241123T020001Z-000000.partia");
        touch(state, ".atelier-mine.partial");
        assert_int_equal(archive_remove_partials(folder_fd(state), &removed), 0);
        assert_int_equal(removed, 2);
        assert_int_equal(folder_entries(state), 4);
        assert_int_equal(archive_remove_partials(folder_fd(state), &removed), 0);
        assert_int_equal(removed, 0);
}

static void test_folder_that_is_none(void **state) {
        _cleanup_free_ ArchiveName *names = NULL;
        size_t count;

        (void) state;
        assert_int_equal(archive_name_list(-1, &names, &count), -EBADF);
        assert_int_equal(archive_remove_partials(-1, NULL), -EBADF);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_parse_gives_back_what_was_formatted),
                cmocka_unit_test(test_parse_refuses_everything_else),
                cmocka_unit_test_setup_teardown(test_list_is_newest_first, archive_folder_setup,
                                                archive_folder_teardown),
                cmocka_unit_test_setup_teardown(test_list_grows, archive_folder_setup, archive_folder_teardown),
                cmocka_unit_test_setup_teardown(test_list_passes_over_what_is_not_an_archive, archive_folder_setup,
                                                archive_folder_teardown),
                cmocka_unit_test_setup_teardown(test_partials_are_removed_and_nothing_else, archive_folder_setup,
                                                archive_folder_teardown),
                cmocka_unit_test(test_folder_that_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
