/* Sources and their order, presets, variables, errors with their places. */
#include "base/money.h"
#include "conf-folder.h"

typedef struct Demo {
        int environment;
        bool flag;
        int64_t number;
        char *text;
        char *url;
        char *secret;
        int color;
        uint64_t duration;
        uint64_t size;
        micros_t money;
        int64_t share;
        char **list;
        unsigned days;
} Demo;

static const char *const environment_values[] = { "development", "staging", "production", NULL };
static const char *const color_values[] = { "red", "green", "blue", NULL };
static const char *const day_values[] = { "monday", "tuesday", "friday", NULL };

static const ConfSetting top_settings[] = {
        { "environment", CONF_ENUM, offsetof(Demo, environment), "ENV_NAME", .values = environment_values,
          .fallback = "development", .help = "Environment." },
        { "flag", CONF_BOOL, offsetof(Demo, flag), "FLAG", .fallback = "true", .help = "Flag." },
        {},
};

static const ConfSetting demo_settings[] = {
        { "number", CONF_INTEGER, offsetof(Demo, number), "NUMBER", .min = -5, .max = 5000000000, .fallback = "7",
          .presets = { "10", "5", NULL }, .help = "Number." },
        { "text", CONF_STRING, offsetof(Demo, text), .min = 1, .max = 8, .help = "Text." },
        { "url", CONF_URL, offsetof(Demo, url), .help = "URL." },
        { "secret", CONF_SECRET, offsetof(Demo, secret), "SECRET", .help = "Secret." },
        { "color", CONF_ENUM, offsetof(Demo, color), .values = color_values, .fallback = "green", .help = "Color." },
        { "duration", CONF_DURATION, offsetof(Demo, duration), .min = 1000000, .max = 3600000000, .fallback = "30s",
          .help = "Duration." },
        { "size", CONF_SIZE, offsetof(Demo, size), .min = 1024, .max = 1048576, .fallback = "64K", .help = "Size." },
        { "money", CONF_MONEY, offsetof(Demo, money), .min = 1, .max = MICROS_INFINITY, .fallback = "$50",
          .help = "Money." },
        { "share", CONF_SHARE, offsetof(Demo, share), .min = 0, .max = 1000000, .fallback = "80%", .help = "Share." },
        { "list", CONF_STRINGS, offsetof(Demo, list), "LIST", .max = 3, .fallback = "a, b", .help = "List." },
        { "days", CONF_FLAGS, offsetof(Demo, days), "DAYS", .values = day_values, .fallback = "monday",
          .help = "Days." },
        {},
};

static const ConfTable top_table = { NULL, top_settings, sizeof(Demo) };
static const ConfTable demo_table = { "demo", demo_settings, sizeof(Demo) };

static int load_result(ConfFolder *folder, Demo *demo) {
        static const ConfTable *const tables[] = { &top_table, &demo_table };
        void *configs[] = { demo, demo };
        Buffer errors = BUFFER_INIT(0);
        ConfSources sources = folder_sources(folder);
        int r;

        *demo = (Demo) {};
        r = conf_load(&sources, tables, configs, 2, &errors);
        folder_keep_errors(folder, &errors);
        return r;
}

static void demo_done(Demo *demo) {
        conf_done(&top_table, demo);
        conf_done(&demo_table, demo);
}

#define _cleanup_demo_ _cleanup_(demo_done)

static void load(ConfFolder *folder, Demo *demo) {
        if (load_result(folder, demo) != 0)
                fail_msg("refused:\n%s", folder->errors);
}

static void assert_refused(ConfFolder *folder, const char *expected) {
        _cleanup_demo_ Demo demo;

        assert_int_equal(load_result(folder, &demo), -EBADMSG);
        assert_string_equal(folder->errors, expected);
}

static void assert_file_refused(ConfFolder *folder, const char *text, const char *expected) {
        folder_write(folder, "atelier.conf", text);
        assert_refused(folder, expected);
}

static void test_defaults_without_any_file(void **state) {
        _cleanup_demo_ Demo demo;

        load(*state, &demo);
        assert_true(demo.flag);
        assert_int_equal(demo.color, 1);
        assert_int_equal(demo.duration, 30000000);
        assert_int_equal(demo.size, 65536);
        assert_string_equal(demo.list[1], "b");
        assert_null(demo.list[2]);
        assert_int_equal(demo.days, 1);
        assert_null(demo.text);
}

static void test_missing_folder_is_no_error(void **state) {
        _cleanup_demo_ Demo demo;
        ConfFolder elsewhere = { .path = "/nonexistent" };

        (void) state;
        load(&elsewhere, &demo);
        assert_true(demo.flag);
        free(elsewhere.errors);
}

static void test_every_type_from_a_file(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(
                *state, "atelier.conf",
                "environment = \"staging\"; flag = false;\n"
                "demo = { number = -5; text = \"é\\\"x\"; url = \"https://a.example/v1/\"; secret = \"env:KEY\";\n"
                " color = \"Blue\"; duration = \"1h\"; size = \"1M\"; list = [ \"x,y\" ];\n"
                " days = ( \"tuesday\", \"friday\" ); };\n");
        load(*state, &demo);
        assert_int_equal(demo.environment, 1);
        assert_false(demo.flag);
        assert_int_equal(demo.number, -5);
        assert_string_equal(demo.text, "é\"x");
        assert_string_equal(demo.url, "https://a.example/v1");
        assert_string_equal(demo.secret, "env:KEY");
        assert_int_equal(demo.color, 2);
        assert_int_equal(demo.duration, 3600000000);
        assert_int_equal(demo.size, 1048576);
        assert_string_equal(demo.list[0], "x,y");
        assert_null(demo.list[1]);
        assert_int_equal(demo.days, 6);
}

static void test_bare_numbers_are_seconds_and_bytes(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(*state, "atelier.conf", "demo = { duration = 90; size = 2000; };");
        load(*state, &demo);
        assert_int_equal(demo.duration, 90000000);
        assert_int_equal(demo.size, 2000);
}

static void test_later_sources_win(void **state) {
        _cleanup_demo_ Demo models, atelier, first, second, variable;
        ConfFolder *folder = *state;

        folder_write(folder, "models.conf", "demo = { number = 1; };");
        load(folder, &models);
        folder_write(folder, "atelier.conf", "demo = { number = 2; };");
        load(folder, &atelier);
        folder_write(folder, "atelier.conf.d/20-b.conf", "demo = { number = 3; };");
        folder_write(folder, "atelier.conf.d/10-a.conf", "demo = { number = 99; };");
        load(folder, &first);
        folder_write(folder, "atelier.conf.d/30-c.conf", "demo = { number = 4; };");
        load(folder, &second);
        folder_set(folder, "NUMBER=5");
        load(folder, &variable);

        assert_int_equal(models.number, 1);
        assert_int_equal(atelier.number, 2);
        assert_int_equal(first.number, 3);
        assert_int_equal(second.number, 4);
        assert_int_equal(variable.number, 5);
}

static void test_drop_ins_are_visible_conf_files_only(void **state) {
        _cleanup_demo_ Demo demo;
        ConfFolder *folder = *state;

        folder_write(folder, "atelier.conf.d/a.conf.dpkg-old", "demo = { number = 1; };");
        folder_write(folder, "atelier.conf.d/.b.conf", "demo = { number = 2; };");
        folder_write(folder, "atelier.conf.d/c.conf~", "demo = { number = 3; };");
        load(folder, &demo);
        assert_int_equal(demo.number, 10);
}

static void test_preset_goes_first_whatever_names_the_environment(void **state) {
        _cleanup_demo_ Demo nothing, file, drop_in, variable;
        ConfFolder *folder = *state;

        load(folder, &nothing);
        folder_write(folder, "atelier.conf", "environment = \"staging\";");
        load(folder, &file);
        folder_write(folder, "models.conf", "demo = { text = \"x\"; };");
        folder_write(folder, "atelier.conf.d/z.conf", "environment = \"production\";");
        load(folder, &drop_in);
        folder_set(folder, "ENV_NAME=staging");
        load(folder, &variable);

        assert_int_equal(nothing.number, 10);
        assert_int_equal(file.number, 5);
        assert_int_equal(drop_in.number, 7);  /* no preset there: the default */
        assert_int_equal(variable.number, 5);
        assert_int_equal(variable.environment, 1);
}

static void test_file_wins_over_the_preset_of_a_later_environment(void **state) {
        _cleanup_demo_ Demo demo;
        ConfFolder *folder = *state;

        folder_write(folder, "models.conf", "demo = { number = 2; };");
        folder_set(folder, "ENV_NAME=staging");
        load(folder, &demo);
        assert_int_equal(demo.number, 2);
}

static void test_variables_of_each_shape(void **state) {
        _cleanup_demo_ Demo demo;
        ConfFolder *folder = *state;

        folder_set(folder, "FLAG=No");
        folder_set(folder, "LIST= x ,y, z ");
        folder_set(folder, "DAYS=friday,monday");
        folder_set(folder, "SECRET=file:/run/key");
        load(folder, &demo);
        assert_false(demo.flag);
        assert_string_equal(demo.list[0], "x");
        assert_string_equal(demo.list[2], "z");
        assert_null(demo.list[3]);
        assert_int_equal(demo.days, 5);
        assert_string_equal(demo.secret, "file:/run/key");
}

static void test_empty_variable_counts_as_unset(void **state) {
        _cleanup_demo_ Demo demo;

        folder_set(*state, "NUMBER=");
        folder_set(*state, "NUMBERS=3");
        load(*state, &demo);
        assert_int_equal(demo.number, 10);
}

static void test_wrong_variable_is_named(void **state) {
        folder_set(*state, "NUMBER=many");
        folder_set(*state, "FLAG=perhaps");
        assert_refused(*state,
                       "environment variable FLAG: flag: \"perhaps\" is not taken; expected true or false\n"
                       "environment variable NUMBER: demo.number: \"many\" is not taken; expected an integer from -5 "
                       "to 5000000000\n");
}

static void test_wrong_environment_is_an_error(void **state) {
        folder_set(*state, "ENV_NAME=prod");
        assert_refused(*state, "environment variable ENV_NAME: environment: \"prod\" is not taken; expected one of "
                               "\"development\", \"staging\", \"production\"\n");
}

static void test_integer_range(void **state) {
        _cleanup_demo_ Demo least, most;

        folder_write(*state, "atelier.conf", "demo = { number = -5; };");
        load(*state, &least);
        folder_write(*state, "atelier.conf", "demo = { number = 5000000000L; };");
        load(*state, &most);
        assert_int_equal(least.number, -5);
        assert_int_equal(most.number, 5000000000);
        assert_file_refused(*state, "demo = { number = -6; };",
                            "atelier.conf:1: demo.number: \"-6\" is out of range; expected an integer from -5 to "
                            "5000000000\n");
        assert_file_refused(*state, "demo = { number = 5000000001L; };",
                            "atelier.conf:1: demo.number: \"5000000001\" is out of range; expected an integer from -5 "
                            "to 5000000000\n");
}

static void test_integers_do_not_wrap(void **state) {
        assert_file_refused(*state, "flag = true;\ndemo = { number = 4294967297; };",
                            "atelier.conf:2: integer beyond 32 bits; expected a smaller one, or the suffix L\n");
}

static void test_comment_in_the_last_line(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(*state, "atelier.conf", "flag = false;\n# no newline behind this");
        load(*state, &demo);
        assert_false(demo.flag);
}

/* Neither the scan nor libconfig may open the other file. */
static void test_other_files_are_not_included(void **state) {
        ConfFolder *folder = *state;
        _cleanup_free_ char *text = NULL;

        folder_write(folder, "other", "flag = 5;");
        text = text_format("\n@include \"%s/other\"\n", folder->path);
        assert_file_refused(
                folder, text,
                "atelier.conf:2: \"@\" outside a string; expected settings (files cannot include others)\n");
}

static void test_size_range(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(*state, "atelier.conf", "demo = { size = \"1K\"; };");
        load(*state, &demo);
        assert_int_equal(demo.size, 1024);
        assert_file_refused(*state, "demo = { size = 1023; };",
                            "atelier.conf:1: demo.size: \"1023\" is out of range; expected a size such as \"64K\" or "
                            "\"1M\" from 1K to 1M\n");
        assert_file_refused(*state, "demo = { size = \"1025K\"; };",
                            "atelier.conf:1: demo.size: \"1025K\" is out of range; expected a size such as \"64K\" or "
                            "\"1M\" from 1K to 1M\n");
        assert_file_refused(*state, "demo = { size = \"64 KB\"; };",
                            "atelier.conf:1: demo.size: \"64 KB\" is not taken; expected a size such as \"64K\" or "
                            "\"1M\" from 1K to 1M\n");
}

static void check_money(ConfFolder *folder, const char *text, micros_t wanted) {
        _cleanup_free_ char *file = text_format("demo = { money = %s; };", text);
        _cleanup_demo_ Demo demo;

        folder_write(folder, "atelier.conf", file);
        load(folder, &demo);
        assert_int_equal(demo.money, wanted);
}

static void test_money(void **state) {
        check_money(*state, "\"$0.04\"", 40000);
        check_money(*state, "50", 50000000);
        check_money(*state, "\"0.000001\"", 1);
        check_money(*state, "\"1000000000\"", MICROS_MAX);
        check_money(*state, "\"infinity\"", MICROS_INFINITY);
        assert_file_refused(*state, "demo = { money = \"0\"; };",
                            "atelier.conf:1: demo.money: \"0\" is out of range; expected an amount such as \"$50\" or "
                            "\"0.04\" from $0.000001 to infinity\n");
        assert_file_refused(*state, "demo = { money = \"1000000000.01\"; };",
                            "atelier.conf:1: demo.money: \"1000000000.01\" is out of range; expected an amount such as "
                            "\"$50\" or \"0.04\" from $0.000001 to infinity\n");
        assert_file_refused(*state, "demo = { money = \"50 EUR\"; };",
                            "atelier.conf:1: demo.money: \"50 EUR\" is not taken; expected an amount such as \"$50\" or "
                            "\"0.04\" from $0.000001 to infinity\n");
}

static void check_share(ConfFolder *folder, const char *text, int64_t wanted) {
        _cleanup_free_ char *file = text_format("demo = { share = \"%s\"; };", text);
        _cleanup_demo_ Demo demo;

        folder_write(folder, "atelier.conf", file);
        load(folder, &demo);
        assert_int_equal(demo.share, wanted);
}

static void test_share(void **state) {
        check_share(*state, "0.80", 800000);
        check_share(*state, "80%", 800000);
        check_share(*state, "99.9999%", 999999);
        check_share(*state, "0", 0);
        check_share(*state, "100%", 1000000);
        assert_file_refused(*state, "demo = { share = \"100.0001%\"; };",
                            "atelier.conf:1: demo.share: \"100.0001%\" is out of range; expected a share such as \"80%\" "
                            "or \"0.8\" from 0% to 100%\n");
        for (const char *const *wrong = (const char *[]){ "%", "$0.8", "0.8 %", "1e-1", "99.99999%", NULL }; *wrong; wrong++) {
                _cleanup_free_ char *file = text_format("demo = { share = \"%s\"; };", *wrong);
                _cleanup_free_ char *said = text_format("atelier.conf:1: demo.share: \"%s\" is not taken; expected a share "
                                                        "such as \"80%%\" or \"0.8\" from 0%% to 100%%\n", *wrong);

                assert_file_refused(*state, file, said);
        }
}

static void test_duration_range(void **state) {
        static const char reason[] =
                "is out of range; expected a duration such as \"30s\" or \"1h 30min\" from 1s to 1h";
        _cleanup_free_ char *short_ = text_format("atelier.conf:1: demo.duration: \"999ms\" %s\n", reason);
        _cleanup_free_ char *long_ = text_format("atelier.conf:1: demo.duration: \"infinity\" %s\n", reason);

        assert_file_refused(*state, "demo = { duration = \"999ms\"; };", short_);
        assert_file_refused(*state, "demo = { duration = \"infinity\"; };", long_);
        assert_file_refused(*state, "demo = { duration = \"5 parsecs\"; };",
                            "atelier.conf:1: demo.duration: \"5 parsecs\" is not taken; expected a duration such as "
                            "\"30s\" or \"1h 30min\" from 1s to 1h\n");
}

static void test_list_limits(void **state) {
        _cleanup_demo_ Demo most, none;

        folder_write(*state, "atelier.conf", "demo = { list = [ \"1\", \"2\", \"3\" ]; };");
        load(*state, &most);
        folder_write(*state, "atelier.conf", "demo = { list = [ ]; };");
        load(*state, &none);
        assert_non_null(most.list[2]);
        assert_null(none.list[0]);
        assert_file_refused(*state, "demo = { list = [ \"1\", \"2\", \"3\", \"4\" ]; };",
                            "atelier.conf:1: demo.list: \"4 elements\" is out of range; expected a list of 0 to 3 "
                            "strings such as [ \"a\", \"b\" ]\n");
}

static void test_wrong_element_has_its_own_line(void **state) {
        assert_file_refused(
                *state, "demo = { days = [ \"monday\",\n \"sunday\" ]; };",
                "atelier.conf:2: demo.days: \"sunday\" is not taken; expected a list of some of \"monday\", "
                "\"tuesday\", \"friday\"\n");
        assert_file_refused(*state, "demo = { list = [ \"a\",\n \"\" ]; };",
                            "atelier.conf:2: demo.list: \"\" is not taken; expected a list of 0 to 3 strings such as "
                            "[ \"a\", \"b\" ]\n");
}

static void test_wrong_types(void **state) {
        assert_file_refused(*state,
                            "flag = 1;\n"
                            "environment = [ \"staging\" ];\n"
                            "demo = {\n"
                            "  number = \"7\";\n"
                            "  text = 5;\n"
                            "  list = \"a\";\n"
                            "  size = 1.5;\n"
                            "  days = { };\n"
                            "  color = true;\n"
                            "};\n",
                            "atelier.conf:1: flag: an integer is not taken; expected true or false\n"
                            "atelier.conf:2: environment: an array is not taken; expected one of \"development\", "
                            "\"staging\", \"production\"\n"
                            "atelier.conf:4: demo.number: a string is not taken; expected an integer from -5 to "
                            "5000000000\n"
                            "atelier.conf:5: demo.text: an integer is not taken; expected a string of 1 to 8 bytes "
                            "without control characters\n"
                            "atelier.conf:6: demo.list: a string is not taken; expected a list of 0 to 3 strings such "
                            "as [ \"a\", \"b\" ]\n"
                            "atelier.conf:7: demo.size: a fraction is not taken; expected a size such as \"64K\" or "
                            "\"1M\" from 1K to 1M\n"
                            "atelier.conf:8: demo.days: a group is not taken; expected a list of some of \"monday\", "
                            "\"tuesday\", \"friday\"\n"
                            "atelier.conf:9: demo.color: a bool is not taken; expected one of \"red\", \"green\", "
                            "\"blue\"\n");
}

static void test_section_that_is_no_group(void **state) {
        assert_file_refused(*state, "demo = 5;",
                            "atelier.conf:1: demo: an integer is not taken; expected a group of settings: "
                            "{ NAME = VALUE; … }\n");
}

static void test_unknown_settings_suggest_the_nearest(void **state) {
        assert_file_refused(*state, "flags = true;\ndemmo = { };\ndemo = { nmber = 1;\n port = 2; };\n",
                            "atelier.conf:1: flags: unknown setting; did you mean \"flag\"?\n"
                            "atelier.conf:2: demmo: unknown setting; did you mean \"demo\"?\n"
                            "atelier.conf:3: demo.nmber: unknown setting; did you mean \"number\"?\n"
                            "atelier.conf:4: demo.port: unknown setting; expected one of those in: atelierctl config show\n");
}

static void test_all_errors_of_all_files_at_once(void **state) {
        folder_write(*state, "models.conf", "demo = { text = \"far too long\"; };");
        folder_write(*state, "atelier.conf", "\n\ndemo = ;\n");
        folder_write(*state, "atelier.conf.d/a.conf", "\nflag = 3;\n");
        folder_set(*state, "NUMBER=x");
        assert_refused(*state,
                       "atelier.conf:3: syntax error; expected settings of the form NAME = VALUE;\n"
                       "models.conf:1: demo.text: \"far too long\" is out of range; expected a string of 1 to 8 bytes "
                       "without control characters\n"
                       "atelier.conf.d/a.conf:2: flag: an integer is not taken; expected true or false\n"
                       "environment variable NUMBER: demo.number: \"x\" is not taken; expected an integer from -5 to "
                       "5000000000\n");
}

static void test_setting_given_twice_in_a_file(void **state) {
        assert_file_refused(*state, "flag = true;\nflag = false;\n",
                            "atelier.conf:2: duplicate setting name; expected settings of the form NAME = VALUE;\n");
}

static void test_secret_itself_is_refused_and_not_shown(void **state) {
        folder_set(*state, "SECRET=sk-live-1234");
        assert_file_refused(*state, "demo = { secret = \"sk-live-5678\"; };",
                            "atelier.conf:1: demo.secret: the value (not shown) is not taken; expected "
                            SECRET_REFERENCE_EXPECTED "\n"
                            "environment variable SECRET: demo.secret: the value (not shown) is not taken; expected "
                            SECRET_REFERENCE_EXPECTED "\n");
}

static void test_control_characters_are_refused(void **state) {
        assert_file_refused(*state, "demo = { text = \"a\\nb\"; };",
                            "atelier.conf:1: demo.text: \"a\\x0ab\" is not taken; expected a string of 1 to 8 bytes "
                            "without control characters\n");
}

static void test_long_wrong_values_are_cut_in_messages(void **state) {
        ConfFolder *folder = *state;
        _cleanup_demo_ Demo demo;

        folder_write(folder, "atelier.conf",
                     "demo = { text = \"0123456789012345678901234567890123456789012345678901234567890123456789\"; };");
        assert_int_equal(load_result(folder, &demo), -EBADMSG);
        assert_non_null(strstr(folder->errors, " \"012345678901234567890123456789012345678901234567890123456789…\" "));
}

static void test_too_large_file(void **state) {
        _cleanup_free_ char *text = malloc(CONF_FILE_BYTES_MAX + 1);
        _cleanup_demo_ Demo demo;

        memset(text, ' ', CONF_FILE_BYTES_MAX + 1);
        folder_write_bytes(*state, "atelier.conf", text, CONF_FILE_BYTES_MAX);
        load(*state, &demo);
        folder_write_bytes(*state, "atelier.conf", text, CONF_FILE_BYTES_MAX + 1);
        assert_refused(*state, "atelier.conf: too large; expected at most 1048576 bytes\n");
}

static void test_folder_in_place_of_a_file(void **state) {
        ConfFolder *folder = *state;
        _cleanup_free_ char *path = text_format("%s/atelier.conf", folder->path);

        assert_int_equal(mkdir(path, 0700), 0);
        assert_refused(folder, "atelier.conf: cannot be read: Is a directory; expected a readable file\n");
}

static void test_fifo_in_place_of_a_file_does_not_block(void **state) {
        ConfFolder *folder = *state;
        _cleanup_free_ char *path = text_format("%s/atelier.conf", folder->path);

        assert_int_equal(mkfifo(path, 0600), 0);
        assert_refused(folder, "atelier.conf: cannot be read: Bad file descriptor; expected a readable file\n");
}

static void test_drop_ins_limit(void **state) {
        ConfFolder *folder = *state;
        _cleanup_demo_ Demo demo;

        for (int i = 0; i < CONF_DROP_INS_MAX; i++) {
                _cleanup_free_ char *name = text_format("atelier.conf.d/%03d.conf", i);

                folder_write(folder, name, "");
        }
        load(folder, &demo);
        folder_write(folder, "atelier.conf.d/one-more.conf", "");
        assert_refused(folder, "atelier.conf.d: 257 files; expected at most 256\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_defaults_without_any_file),
                TEST(test_missing_folder_is_no_error),
                TEST(test_every_type_from_a_file),
                TEST(test_bare_numbers_are_seconds_and_bytes),
                TEST(test_later_sources_win),
                TEST(test_drop_ins_are_visible_conf_files_only),
                TEST(test_preset_goes_first_whatever_names_the_environment),
                TEST(test_file_wins_over_the_preset_of_a_later_environment),
                TEST(test_variables_of_each_shape),
                TEST(test_empty_variable_counts_as_unset),
                TEST(test_wrong_variable_is_named),
                TEST(test_wrong_environment_is_an_error),
                TEST(test_integer_range),
                TEST(test_integers_do_not_wrap),
                TEST(test_comment_in_the_last_line),
                TEST(test_other_files_are_not_included),
                TEST(test_size_range),
                TEST(test_money),
                TEST(test_share),
                TEST(test_duration_range),
                TEST(test_list_limits),
                TEST(test_wrong_element_has_its_own_line),
                TEST(test_wrong_types),
                TEST(test_section_that_is_no_group),
                TEST(test_unknown_settings_suggest_the_nearest),
                TEST(test_all_errors_of_all_files_at_once),
                TEST(test_setting_given_twice_in_a_file),
                TEST(test_secret_itself_is_refused_and_not_shown),
                TEST(test_control_characters_are_refused),
                TEST(test_long_wrong_values_are_cut_in_messages),
                TEST(test_too_large_file),
                TEST(test_folder_in_place_of_a_file),
                TEST(test_fifo_in_place_of_a_file_does_not_block),
                TEST(test_drop_ins_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
