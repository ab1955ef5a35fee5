/* Aliases and ends of models in the settings: what is taken, and what is said of the rest. */
#include "conf-folder.h"

#include "conf/model-terms.h"
#include "conf/settings.h"

#define PROVIDERS "providers = ( { name = \"p\"; kind = \"sandbox\"; }, { name = \"q\"; kind = \"sandbox\"; } );\n"
#define TARGET \
        "{ name = \"real\"; provider = \"p\"; provider_model = \"theirs\"; sizes = [ \"auto\", \"64x64\" ];\n" \
        "qualities = [ \"low\", \"high\" ]; formats = [ \"png\" ]; images_max = 4; prompt_max = 100; }"

/* Its settings stand in line 4. */
static char *with_alias(const char *settings) {
        return text_format(PROVIDERS "models = ( " TARGET ",\n{ name = \"old\"; alias_of = \"real\"; %s } );",
                           settings);
}

static int load(ConfFolder *folder, const char *text, Settings **ret) {
        ConfSources sources = folder_sources(folder);
        Buffer errors = BUFFER_INIT(0);
        int r;

        folder_write(folder, "atelier.conf", text);
        r = settings_load(ret, &sources, &errors);
        folder_keep_errors(folder, &errors);
        return r;
}

static Settings *load_good(ConfFolder *folder, const char *text) {
        Settings *settings = NULL;

        if (load(folder, text, &settings) != 0)
                fail_msg("refused:\n%s", folder->errors);
        return settings;
}

static void assert_text_refused(ConfFolder *folder, const char *text, const char *expected) {
        Settings *settings = NULL;

        assert_int_equal(load(folder, text, &settings), -EBADMSG);
        assert_string_equal(folder->errors, expected);
}

static void assert_refused(ConfFolder *folder, const char *settings, const char *expected) {
        _cleanup_free_ char *text = with_alias(settings);
        _cleanup_free_ char *error = text_format("atelier.conf:4: models.old.%s\n", expected);

        assert_text_refused(folder, text, error);
}

#define SIZES "sizes = [ \"64x64\" ]; "

static void test_alias_has_the_provider_of_its_model(void **state) {
        _cleanup_free_ char *text = with_alias(SIZES);
        _cleanup_(settings_freep) Settings *settings = load_good(*state, text);
        const ModelConf *alias = settings_find_model(settings, "old");

        assert_string_equal(alias->provider, "p");
        assert_string_equal(alias->provider_model, "theirs");
        assert_true(settings_model_usable(settings, alias));
        assert_ptr_equal(settings_model_asked(settings, alias), settings_find_model(settings, "real"));
        assert_ptr_equal(settings_model_asked(settings, settings_find_model(settings, "real")),
                         settings_find_model(settings, "real"));
}

static void test_values_are_translated_or_stay(void **state) {
        _cleanup_free_ char *text =
                with_alias("sizes = [ \"8x8\", \"8x80\", \"64x64\" ]; translated_sizes = [ \"8x80 auto\", "
                           "\"8x8 64x64\" ]; qualities = [ \"low\", \"hd\" ]; translated_qualities = [ \"hd high\" ];");
        _cleanup_(settings_freep) Settings *settings = load_good(*state, text);
        const ModelConf *alias = settings_find_model(settings, "old");

        assert_string_equal(alias_size(alias, "8x8"), "64x64");
        assert_string_equal(alias_size(alias, "8x80"), "auto");
        assert_string_equal(alias_size(alias, "64x64"), "64x64");
        assert_null(alias_size(alias, NULL));
        assert_string_equal(alias_quality(alias, "hd"), "high");
        assert_string_equal(alias_quality(alias, "low"), "low");
}

static void test_alias_of_what_is_no_model(void **state) {
        assert_text_refused(*state, PROVIDERS "models = ( " TARGET ",\n"
                                    "{ name = \"a\"; alias_of = \"reel\"; " SIZES "},\n"
                                    "{ name = \"b\"; alias_of = \"elsewhere\"; " SIZES "} );",
                            "atelier.conf:4: models.a.alias_of: \"reel\" is no model; did you mean \"real\"?\n"
                            "atelier.conf:5: models.b.alias_of: \"elsewhere\" is no model; expected the name of one in "
                            "models\n");
}

static void test_alias_of_an_alias(void **state) {
        assert_text_refused(*state, PROVIDERS "models = ( " TARGET ",\n"
                                    "{ name = \"a\"; alias_of = \"real\"; " SIZES "},\n"
                                    "{ name = \"b\"; alias_of = \"a\"; " SIZES "},\n"
                                    "{ name = \"c\"; alias_of = \"c\"; " SIZES "} );",
                            "atelier.conf:5: models.b.alias_of: \"a\" is an alias itself; expected a model that is "
                            "none\n"
                            "atelier.conf:6: models.c.alias_of: \"c\" is an alias itself; expected a model that is "
                            "none\n");
}

static void test_alias_with_a_provider_of_its_own(void **state) {
        assert_refused(*state, SIZES "provider = \"q\";",
                       "provider: not that of real; expected none, or alias_of = \"\"");
        assert_refused(*state, SIZES "provider_model = \"mine\";",
                       "provider_model: not that of real; expected none, or alias_of = \"\"");
}

static void test_alias_becomes_a_model_again(void **state) {
        _cleanup_free_ char *text = with_alias(SIZES);
        _cleanup_(settings_freep) Settings *settings = NULL;
        const ModelConf *model;

        folder_write(*state, "models.conf", text);
        settings = load_good(*state, "models = ( { name = \"old\"; alias_of = \"\"; provider = \"q\"; } );");
        model = settings_find_model(settings, "old");
        assert_null(model->alias_of);
        assert_string_equal(model->provider, "q");
        assert_string_equal(model->provider_model, "old");
}

static void test_sizes_that_the_model_does_not_take(void **state) {
        assert_refused(*state, "sizes = [ \"8x8\" ];",
                       "translated_sizes: \"8x8\" is not taken by real; expected a line for it");
        assert_refused(*state, "sizes = [ \"8x8\" ]; translated_sizes = [ \"8x8 65x65\" ];",
                       "translated_sizes: \"8x8\" becomes \"65x65\", which real does not take; expected a value that "
                       "it takes");
        assert_refused(*state, "", "sizes: empty; expected sizes, or free_sizes = true");
        assert_refused(*state, "free_sizes = true;",
                       "free_sizes: true; expected false, as an alias lists its sizes");
}

static void test_qualities_that_the_model_does_not_take(void **state) {
        assert_refused(*state, SIZES "qualities = [ \"hd\" ];",
                       "translated_qualities: \"hd\" is not taken by real; expected a line for it");
        assert_refused(*state, SIZES "qualities = [ \"hd\" ]; translated_qualities = [ \"hd max\" ];",
                       "translated_qualities: \"hd\" becomes \"max\", which real does not take; expected a value that "
                       "it takes");
}

static void test_lines_of_a_translation(void **state) {
        static const char *const wrong[] = { "64x64", "64x64 ", " 64x64", "64x64 auto ", "64x64  auto" };

        for (size_t i = 0; i < ELEMENTS(wrong); i++) {
                _cleanup_free_ char *settings = text_format(SIZES "translated_sizes = [ \"%s\" ];", wrong[i]);
                _cleanup_free_ char *error =
                        text_format("translated_sizes: \"%s\" is wrong; expected \"FROM TO\"", wrong[i]);

                assert_refused(*state, settings, error);
        }
        assert_refused(*state, SIZES "translated_sizes = [ \"8x8 64x64\" ];",
                       "translated_sizes: \"8x8\" is not taken; expected one of its sizes");
        assert_refused(*state, SIZES "translated_sizes = [ \"64x64 auto\", \"64x64 64x64\" ];",
                       "translated_sizes: \"64x64\" stands twice; expected one line for it");
        assert_refused(*state, SIZES "translated_qualities = [ \"hd high\" ];",
                       "translated_qualities: \"hd\" is not taken; expected one of its qualities");
}

/* A limit that an operator sets on the model holds for its aliases, which need not be touched. */
static void test_limits_are_within_those_of_the_model(void **state) {
        _cleanup_free_ char *text = with_alias(SIZES "images_max = 5; prompt_max = 99; edit_images_max = 3; "
                                                    "input_fidelity = true;");
        _cleanup_(settings_freep) Settings *settings = load_good(*state, text);
        const ModelConf *alias = settings_find_model(settings, "old");

        assert_int_equal(alias->images_max, 4);
        assert_int_equal(alias->prompt_max, 99);
        assert_int_equal(alias->edit_images_max, 0);
        assert_false(alias->input_fidelity);
}

static void test_fields_that_the_model_does_not_take(void **state) {
        assert_refused(*state, SIZES "gpt_fields = true;",
                       "gpt_fields: true; expected false, as real does not take them");
        assert_refused(*state, SIZES "formats = [ \"png\", \"webp\" ];",
                       "formats: \"webp\" is not taken by real; expected some of its formats");
}

static void test_translations_without_an_alias(void **state) {
        assert_text_refused(*state, PROVIDERS "models = ( { name = \"a\"; provider = \"p\"; sizes = [ \"8x8\" ]; "
                                    "translated_sizes = [ \"8x8 9x9\" ]; } );",
                            "atelier.conf:2: models.a.translated_sizes: not of use; expected alias_of, or none\n");
        assert_text_refused(*state, PROVIDERS "models = ( { name = \"a\"; provider = \"p\"; sizes = [ \"8x8\" ]; "
                                    "translated_qualities = [ \"hd high\" ]; } );",
                            "atelier.conf:2: models.a.translated_qualities: not of use; expected alias_of, or none\n");
}

/* ------------------------------------------------------------------ ends */

#define MODEL(name, rest) "{ name = \"" name "\"; provider = \"p\"; sizes = [ \"auto\" ]; " rest " }"
#define ALIAS(name, rest) "{ name = \"" name "\"; alias_of = \"m\"; sizes = [ \"auto\" ]; " rest " }"

static void assert_end(const Settings *settings, const char *name, const char *date, const char *successor) {
        const ModelConf *model = settings_find_model(settings, name);
        usec_t day = USEC_INFINITY;

        if (date)
                assert_int_equal(time_parse_day(date, &day), 0);
        assert_true(model->shutdown == day);
        assert_true(text_equal(model->shutdown_date, date));
        assert_true(text_equal(model->replaced_by, successor));
}

static void test_alias_ends_with_its_model(void **state) {
        _cleanup_(settings_freep) Settings *settings = load_good(
                *state, PROVIDERS "models = ( " ALIAS("a", "") ", " ALIAS("early", "shutdown_date = \"2026-01-01\";") ", "
                ALIAS("late", "shutdown_date = \"2028-01-01\"; replaced_by = \"n\";") ", "
                MODEL("m", "shutdown_date = \"2027-01-01\"; replaced_by = \"o\";") ", "
                MODEL("n", "") ", " MODEL("o", "") " );");

        assert_end(settings, "m", "2027-01-01", "o");
        assert_end(settings, "n", NULL, NULL);
        assert_end(settings, "a", "2027-01-01", "o");
        assert_end(settings, "early", "2026-01-01", NULL);
        assert_end(settings, "late", "2027-01-01", "n");
}

static void test_end_is_taken_back(void **state) {
        _cleanup_(settings_freep) Settings *settings = NULL;

        folder_write(*state, "models.conf", PROVIDERS "models = ( " MODEL("n", "") ", "
                     MODEL("m", "shutdown_date = \"2027-01-01\"; replaced_by = \"n\";") " );");
        settings = load_good(*state, "models = ( { name = \"m\"; shutdown_date = \"\"; replaced_by = \"\"; } );");
        assert_end(settings, "m", NULL, NULL);
}

static void test_bad_ends(void **state) {
        assert_text_refused(*state, PROVIDERS "models = ( " MODEL("m", "shutdown_date = \"2026-02-30\";") ",\n"
                                    MODEL("n", "replaced_by = \"x\";") ",\n" MODEL("o", "replaced_by = \"o\";") ",\n"
                                    ALIAS("a", "shutdown_date = \"soon\";") " );",
                            "atelier.conf:2: models.m.shutdown_date: \"2026-02-30\" is wrong; expected a day as "
                            "YYYY-MM-DD\n"
                            "atelier.conf:3: models.n.replaced_by: \"x\" is wrong; expected the name of another model\n"
                            "atelier.conf:4: models.o.replaced_by: \"o\" is wrong; expected the name of another model\n"
                            "atelier.conf:5: models.a.shutdown_date: \"soon\" is wrong; expected a day as "
                            "YYYY-MM-DD\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, folder_setup, folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(alias_has_the_provider_of_its_model),
                TEST(values_are_translated_or_stay),
                TEST(alias_of_what_is_no_model),
                TEST(alias_of_an_alias),
                TEST(alias_with_a_provider_of_its_own),
                TEST(alias_becomes_a_model_again),
                TEST(sizes_that_the_model_does_not_take),
                TEST(qualities_that_the_model_does_not_take),
                TEST(lines_of_a_translation),
                TEST(limits_are_within_those_of_the_model),
                TEST(fields_that_the_model_does_not_take),
                TEST(translations_without_an_alias),
                TEST(alias_ends_with_its_model),
                TEST(end_is_taken_back),
                TEST(bad_ends),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
