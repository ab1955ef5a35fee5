/* Files of variables: what systemd takes is taken alike, and what is none is named with its line. */
#include "conf-folder.h"
#include "conf/conf-origins.h"
#include "conf/environment-file.h"
#include "conf/settings.h"

static void assert_variables(ConfFolder *folder, const char *text, const char *const *expected) {
        _cleanup_free_ char *path = text_format("%s/env", folder->path);
        Buffer errors = BUFFER_INIT(0);
        EnvironmentFile file;
        size_t i;

        folder_write(folder, "env", text);
        assert_int_equal(environment_file_read(&file, path, &errors), 0);
        assert_int_equal(errors.size, 0);
        for (i = 0; expected[i]; i++)
                assert_string_equal(file.variables[i], expected[i]);
        assert_int_equal(file.count, i);
        assert_null(file.variables[i]);
        environment_file_done(&file);
}

static void test_what_systemd_takes(void **state) {
        assert_variables(*state,
                         "# a comment\n"
                         "; another one \\\n"
                         "   that goes on = here\n"
                         "\n"
                         "PLAIN=value\n"
                         "  INDENTED = with blanks   \n"
                         "EMPTY=\n"
                         "QUOTED=\"  kept  \" \n"
                         "SINGLE='a \"b\" \\ c'\n"
                         "ESCAPED=\"a \\\"b\\\" \\\\ \\$ \\n\"\n"
                         "BARE=a\\ b\n"
                         "CONTINUED=one \\\n"
                         "two\n"
                         "LINES=\"one\n"
                         "two\"\n"
                         "EQUALS=a=b\n"
                         "HASH=a#b\n"
                         "WINDOWS=x\r\n"
                         "LAST=without an end",
                         (const char *const[]) { "PLAIN=value", "INDENTED=with blanks", "EMPTY=", "QUOTED=  kept  ",
                                                 "SINGLE=a \"b\" \\ c", "ESCAPED=a \"b\" \\ $ \\n", "BARE=a b",
                                                 "CONTINUED=one two", "LINES=one\ntwo", "EQUALS=a=b", "HASH=a#b", "WINDOWS=x",
                                                 "LAST=without an end", NULL });
        assert_variables(*state, "", (const char *const[]) { NULL });
        assert_variables(*state, "A=1\nB=2\nA=3\n", (const char *const[]) { "A=3", "B=2", NULL });
}

static void test_what_is_none_is_named_with_its_line(void **state) {
        ConfFolder *folder = *state;
        _cleanup_free_ char *path = text_format("%s/env", folder->path);
        Buffer errors = BUFFER_INIT(0);
        EnvironmentFile file;

        folder_write(folder, "env", "export A=1\nGOOD=1\n1ST=2\n=3\nnothing\nX=\"a\nb\nc\n");
        assert_int_equal(environment_file_read(&file, path, &errors), -EBADMSG);
        folder_keep_errors(folder, &errors);
        assert_string_equal(folder->errors, "env:1: no assignment; expected NAME=VALUE\n"
                                            "env:3: no assignment; expected NAME=VALUE\n"
                                            "env:4: no assignment; expected NAME=VALUE\n"
                                            "env:5: no assignment; expected NAME=VALUE\n"
                                            "env:6: a quote that is not closed; expected another one\n");
        assert_int_equal(file.count, 1);
        environment_file_done(&file);

        folder_write_bytes(folder, "env", "A=1\0B=2\n", 8);
        assert_int_equal(environment_file_read(&file, path, &errors), -EBADMSG);
        environment_file_done(&file);
        buffer_done(&errors);
}

static void test_limits(void **state) {
        ConfFolder *folder = *state;
        _cleanup_free_ char *path = text_format("%s/env", folder->path), *large = malloc(ENVIRONMENT_FILE_BYTES_MAX + 2);
        Buffer errors = BUFFER_INIT(0), text = BUFFER_INIT(0);
        EnvironmentFile file;

        memset(large, '#', ENVIRONMENT_FILE_BYTES_MAX + 1);
        folder_write_bytes(folder, "env", large, ENVIRONMENT_FILE_BYTES_MAX);
        assert_int_equal(environment_file_read(&file, path, &errors), 0);
        environment_file_done(&file);
        folder_write_bytes(folder, "env", large, ENVIRONMENT_FILE_BYTES_MAX + 1);
        assert_int_equal(environment_file_read(&file, path, &errors), -EFBIG);
        environment_file_done(&file);

        for (unsigned i = 0; i < ENVIRONMENT_FILE_VARIABLES_MAX; i++)
                assert_int_equal(buffer_printf(&text, "V%u=%u\n", i, i), 0);
        folder_write_bytes(folder, "env", text.data, text.size);
        assert_int_equal(environment_file_read(&file, path, &errors), 0);
        assert_int_equal(file.count, ENVIRONMENT_FILE_VARIABLES_MAX);
        environment_file_done(&file);
        assert_int_equal(buffer_append_text(&text, "ONE=more\n"), 0);
        folder_write_bytes(folder, "env", text.data, text.size);
        assert_int_equal(environment_file_read(&file, path, &errors), -E2BIG);
        environment_file_done(&file);
        assert_int_equal(environment_file_read(&file, "/no/such/file", &errors), -ENOENT);
        environment_file_done(&file);
        buffer_done(&text);
}

/* Settings that come of such a file are told with its lines, what is wrong and what is in force. */
static void test_places_of_settings(void **state) {
        ConfFolder *folder = *state;
        _cleanup_free_ char *path = text_format("%s/env", folder->path);
        _cleanup_(conf_origins_done) ConfOrigins origins = {};
        _cleanup_(settings_freep) Settings *settings = NULL;
        Buffer errors = BUFFER_INIT(0);
        ConfSources sources = { .folder = folder->path, .origins = &origins };
        EnvironmentFile file;

        folder_write(folder, "atelier.conf", "api = { idle_timeout = \"9s\"; };\nworker = { prompt_max = 20; };\n");
        folder_write(folder, "env", "ENV_NAME=staging\n\nRATE_LIMIT_PER_MINUTE=7\nOPENAI_API_KEY=sk-1\n");
        assert_int_equal(environment_file_read(&file, path, &errors), 0);
        sources.environment = file.variables;
        sources.places = file.places;
        assert_int_equal(settings_load(&settings, &sources, &errors), 0);
        assert_non_null(strstr(conf_origins_find(&origins, &settings->worker.requests_per_minute), "/env:3"));
        assert_non_null(strstr(conf_origins_find(&origins, &settings->api.idle_timeout), "/atelier.conf:1"));
        assert_non_null(strstr(conf_origins_find(&origins, &settings->worker.prompt_max), "/atelier.conf:2"));
        assert_null(conf_origins_find(&origins, &settings->worker.prompt_min));
        environment_file_done(&file);
        settings = settings_free(settings);

        folder_write(folder, "env", "RATE_LIMIT_PER_MINUTE=1\nPROMPT_MIN_LENGTH=21\n");
        assert_int_equal(environment_file_read(&file, path, &errors), 0);
        sources.environment = file.variables;
        sources.places = file.places;
        assert_int_equal(settings_load(&settings, &sources, &errors), -EBADMSG);
        folder_keep_errors(folder, &errors);
        assert_string_equal(folder->errors, "env:2: worker.prompt_min: above worker.prompt_max; expected at most that\n");
        environment_file_done(&file);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, folder_setup, folder_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_what_systemd_takes),
                TEST(test_what_is_none_is_named_with_its_line),
                TEST(test_limits),
                TEST(test_places_of_settings),
        };
#undef TEST

        return cmocka_run_group_tests(tests, NULL, NULL);
}
