/* The configuration as a snapshot hands it out: which files, under which names, and that they stay what they were. */
#include "conf-folder.h"

#include "config-files.h"

static ConfigFiles *open_files(ConfFolder *folder) {
        ConfigFiles *files;

        assert_int_equal(config_files_new(&files, folder->path), 0);
        return files;
}

static void check_names(const ConfigFiles *files, const char *const *names, size_t count) {
        assert_int_equal(config_files_count(files), count);
        for (size_t i = 0; i < count; i++)
                assert_string_equal(config_files_name(files, i), names[i]);
}

static void check_content(const ConfigFiles *files, size_t index, const char *text) {
        _cleanup_close_ int fd = config_files_open(files, index);
        char data[64] = {};

        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(fd_pread_all(fd, data, sizeof(data) - 1, 0), strlen(text));
        assert_string_equal(data, text);
}

static void test_files_come_ascending_by_flat_names(void **state) {
        static const char *const names[] = {
                "atelier.conf", "atelier.conf.d-10-a.conf", "atelier.conf.d-20-Site.conf", "models.conf",
                "prices.conf",
        };
        ConfFolder *folder = *state;
        _cleanup_(config_files_freep) ConfigFiles *files = NULL;

        folder_write(folder, "prices.conf", "prices");
        folder_write(folder, "models.conf", "models");
        folder_write(folder, "atelier.conf.d/20-Site.conf", "b");
        folder_write(folder, "atelier.conf.d/10-a.conf", "");
        folder_write(folder, "atelier.conf", "main");
        files = open_files(folder);
        check_names(files, names, ELEMENTS(names));
        check_content(files, 0, "main");
        check_content(files, 1, "");
        check_content(files, 2, "b");
        check_content(files, 3, "models");
        check_content(files, 3, "models");  /* as often as it is wanted */
        assert_int_equal(config_files_bytes(files), 4 + 0 + 1 + 6 + 6);
}

static void test_folder_without_files_has_none(void **state) {
        ConfFolder *folder = *state;
        _cleanup_free_ char *missing = text_format("%s/missing", folder->path);
        _cleanup_free_ char *drop_ins = text_format("%s/atelier.conf.d", folder->path);
        ConfigFiles *files = open_files(folder);

        check_names(files, NULL, 0);
        assert_int_equal(config_files_bytes(files), 0);
        (void) config_files_free(files);

        assert_int_equal(rmdir(drop_ins), 0);
        files = open_files(folder);
        check_names(files, NULL, 0);
        (void) config_files_free(files);

        assert_int_equal(config_files_new(&files, missing), 0);
        check_names(files, NULL, 0);
        (void) config_files_free(files);
}

/* What is no setting is not read, and so is not backed up; secrets lie beside. */
static void test_other_files_are_left_out(void **state) {
        static const char *const names[] = { "atelier.conf" };
        static const char *const others[] = {
                "key", "other.conf", "atelier.conf~", "atelier.conf.d/README", "atelier.conf.d/.hidden.conf",
                "atelier.conf.d/.conf", "atelier.conf.d/a.conf.bak",
        };
        ConfFolder *folder = *state;
        _cleanup_(config_files_freep) ConfigFiles *files = NULL;
        _cleanup_free_ char *inner = text_format("%s/atelier.conf.d/folder.conf", folder->path);
        _cleanup_free_ char *pipe = text_format("%s/models.conf", folder->path);

        folder_write(folder, "atelier.conf", "main");
        for (size_t i = 0; i < ELEMENTS(others); i++)
                folder_write(folder, others[i], "x");
        assert_int_equal(mkdir(inner, 0700), 0);
        assert_int_equal(mkfifo(pipe, 0600), 0);  /* and is not waited for */
        files = open_files(folder);
        check_names(files, names, ELEMENTS(names));
}

static void write_drop_in(ConfFolder *folder, const char *name) {
        _cleanup_free_ char *path = text_format("atelier.conf.d/%s", name);

        folder_write(folder, path, "x");
}

static void test_names_that_an_archive_cannot_take_are_left_out(void **state) {
        char longest[100 - sizeof("atelier.conf.d-") + 2], longer[sizeof(longest) + 1];
        ConfFolder *folder = *state;
        _cleanup_(config_files_freep) ConfigFiles *files = NULL;

        (void) memset(longest, 'a', sizeof(longest));
        (void) strcpy(longest + sizeof(longest) - sizeof(".conf"), ".conf");
        (void) memset(longer, 'a', sizeof(longer));
        (void) strcpy(longer + sizeof(longer) - sizeof(".conf"), ".conf");
        write_drop_in(folder, longest);
        write_drop_in(folder, longer);
        write_drop_in(folder, "a+b.conf");
        write_drop_in(folder, "a b.conf");
        write_drop_in(folder, "a\nb.conf");
        write_drop_in(folder, "\xc3\xa4.conf");
        files = open_files(folder);
        assert_int_equal(config_files_count(files), 1);
        assert_int_equal(strlen(config_files_name(files, 0)), 100);
        assert_non_null(text_after(config_files_name(files, 0), "atelier.conf.d-a"));
}

/* An editor replaces a file in between: what was announced comes, whole. */
static void test_what_was_announced_is_what_comes(void **state) {
        ConfFolder *folder = *state;
        _cleanup_(config_files_freep) ConfigFiles *files = NULL;
        _cleanup_free_ char *path = text_format("%s/atelier.conf", folder->path);
        _cleanup_free_ char *other = text_format("%s/other", folder->path);

        folder_write(folder, "atelier.conf", "before");
        files = open_files(folder);
        folder_write(folder, "other", "afterwards");
        assert_int_equal(rename(other, path), 0);
        assert_int_equal(config_files_bytes(files), strlen("before"));
        check_content(files, 0, "before");
}

static void test_link_is_followed_and_a_dangling_one_is_none(void **state) {
        static const char *const names[] = { "atelier.conf" };
        ConfFolder *folder = *state;
        _cleanup_(config_files_freep) ConfigFiles *files = NULL;
        _cleanup_free_ char *path = text_format("%s/atelier.conf", folder->path);
        _cleanup_free_ char *dangling = text_format("%s/atelier.conf.d/a.conf", folder->path);

        folder_write(folder, "elsewhere", "linked");
        assert_int_equal(symlink("elsewhere", path), 0);
        assert_int_equal(symlink("nowhere", dangling), 0);
        files = open_files(folder);
        check_names(files, names, ELEMENTS(names));
        check_content(files, 0, "linked");
}

static void test_as_many_drop_ins_as_are_read(void **state) {
        ConfFolder *folder = *state;
        _cleanup_(config_files_freep) ConfigFiles *files = NULL;

        folder_write(folder, "atelier.conf", "x");
        folder_write(folder, "models.conf", "x");
        for (unsigned i = 0; i < CONF_DROP_INS_MAX; i++) {
                char name[32];

                (void) snprintf(name, sizeof(name), "%03u.conf", i);
                write_drop_in(folder, name);
        }
        files = open_files(folder);
        assert_int_equal(config_files_count(files), CONF_DROP_INS_MAX + 2);
        assert_int_equal(config_files_bytes(files), CONF_DROP_INS_MAX + 2);
        for (size_t i = 1; i < config_files_count(files); i++)
                assert_true(strcmp(config_files_name(files, i - 1), config_files_name(files, i)) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, folder_setup, folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(files_come_ascending_by_flat_names),
                TEST(folder_without_files_has_none),
                TEST(other_files_are_left_out),
                TEST(names_that_an_archive_cannot_take_are_left_out),
                TEST(what_was_announced_is_what_comes),
                TEST(link_is_followed_and_a_dangling_one_is_none),
                TEST(as_many_drop_ins_as_are_read),
        };

        return cmocka_run_group_tests_name("config-files", tests, NULL, NULL);
}
