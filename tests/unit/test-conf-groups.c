/* Lists of groups that merge by name. */
#include "conf-folder.h"

typedef struct Thing {
        char *name;
        int64_t number;
        char *text;
} Thing;

typedef struct Demo {
        int environment;
        ConfGroups things;
} Demo;

#define THINGS_MAX 3

static const char *const environment_values[] = { "development", "staging", "production", NULL };

static const ConfSetting thing_settings[] = {
        { "name", CONF_STRING, offsetof(Thing, name), .min = 1, .max = 16, .help = "Name." },
        { "number", CONF_INTEGER, offsetof(Thing, number), .max = 100, .fallback = "7", .presets = { NULL, "8" },
          .help = "Number." },
        { "text", CONF_STRING, offsetof(Thing, text), .help = "Text." },
        {},
};

static const ConfTable thing_table = { "things", thing_settings, sizeof(Thing) };

static const ConfSetting demo_settings[] = {
        { "environment", CONF_ENUM, offsetof(Demo, environment), "ENV_NAME", .values = environment_values,
          .help = "Environment." },
        { "things", CONF_GROUPS, offsetof(Demo, things), .max = THINGS_MAX, .table = &thing_table, .help = "Things." },
        {},
};

static const ConfTable demo_table = { NULL, demo_settings, sizeof(Demo) };

static int load_result(ConfFolder *folder, Demo *demo) {
        static const ConfTable *const tables[] = { &demo_table };
        void *configs[] = { demo };
        Buffer errors = BUFFER_INIT(0);
        ConfSources sources = folder_sources(folder);
        int r;

        *demo = (Demo) {};
        r = conf_load(&sources, tables, configs, 1, &errors);
        folder_keep_errors(folder, &errors);
        return r;
}

static void demo_done(Demo *demo) {
        conf_done(&demo_table, demo);
}

#define _cleanup_demo_ _cleanup_(demo_done)

static void load(ConfFolder *folder, Demo *demo) {
        if (load_result(folder, demo) != 0)
                fail_msg("refused:\n%s", folder->errors);
}

static void assert_refused(ConfFolder *folder, const char *text, const char *expected) {
        _cleanup_demo_ Demo demo;

        folder_write(folder, "atelier.conf", text);
        assert_int_equal(load_result(folder, &demo), -EBADMSG);
        assert_string_equal(folder->errors, expected);
}

static const Thing *thing(const Demo *demo, size_t index) {
        assert_true(index < demo->things.count);
        return demo->things.items[index];
}

static void test_items_keep_their_order_and_take_defaults(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(*state, "atelier.conf", "things = ( { name = \"b\"; }, { name = \"a\"; number = 1; } );");
        load(*state, &demo);
        assert_int_equal(demo.things.count, 2);
        assert_string_equal(thing(&demo, 0)->name, "b");
        assert_int_equal(thing(&demo, 0)->number, 7);
        assert_int_equal(thing(&demo, 1)->number, 1);
}

static void test_items_take_the_preset(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(*state, "atelier.conf", "things = ( { name = \"b\"; } );");
        folder_set(*state, "ENV_NAME=staging");
        load(*state, &demo);
        assert_int_equal(thing(&demo, 0)->number, 8);
}

static void test_later_group_changes_only_what_it_gives(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(*state, "models.conf",
                     "things = ( { name = \"a\"; number = 1; text = \"old\"; },\n { name = \"b\"; } );");
        folder_write(*state, "atelier.conf.d/x.conf",
                     "\nthings = ( { name = \"c\"; },\n { text = \"new\"; name = \"a\"; } );");
        load(*state, &demo);
        assert_int_equal(demo.things.count, 3);
        assert_string_equal(thing(&demo, 0)->name, "a");
        assert_int_equal(thing(&demo, 0)->number, 1);
        assert_string_equal(thing(&demo, 0)->text, "new");
        assert_string_equal(thing(&demo, 2)->name, "c");
}

static void test_place_is_where_the_group_was_given_last(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(*state, "models.conf", "things = ( { name = \"a\"; },\n { name = \"b\"; } );");
        folder_write(*state, "atelier.conf.d/x.conf", "\nthings = (\n { name = \"a\"; } );");
        load(*state, &demo);
        assert_non_null(strstr(demo.things.places[0], "/atelier.conf.d/x.conf:3"));
        assert_non_null(strstr(demo.things.places[1], "/models.conf:2"));
}

static void test_errors_name_the_item(void **state) {
        assert_refused(*state, "things = ( { name = \"a\";\n number = 101; }, { name = \"b\";\n txt = \"\"; } );",
                       "atelier.conf:2: things.a.number: \"101\" is out of range; expected an integer from 0 to 100\n"
                       "atelier.conf:3: things.b.txt: unknown setting; did you mean \"text\"?\n");
}

static void test_group_without_a_name(void **state) {
        assert_refused(*state, "things = ( { name = \"a\"; },\n { number = 1; }, { name = 5; } );",
                       "atelier.conf:2: things: group without a name; expected name = \"…\";\n"
                       "atelier.conf:2: things: group without a name; expected name = \"…\";\n");
}

static void test_group_with_an_unfit_name(void **state) {
        assert_refused(
                *state, "things = ( { name = \"\"; } );",
                "atelier.conf:1: things..name: \"\" is out of range; expected a string of 1 to 16 bytes without "
                "control characters\n");
}

static void test_same_name_twice_in_one_list(void **state) {
        assert_refused(*state, "things = ( { name = \"a\"; },\n { name = \"a\"; } );",
                       "atelier.conf:2: things.a: given before in this list; expected once\n");
}

static void test_lists_hold_groups(void **state) {
        assert_refused(*state, "things = ( \"a\" );",
                       "atelier.conf:1: things: a list is not taken; expected a list of groups such as "
                       "( { name = \"a\"; … }, … )\n");
        assert_refused(*state, "things = { name = \"a\"; };",
                       "atelier.conf:1: things: a group is not taken; expected a list of groups such as "
                       "( { name = \"a\"; … }, … )\n");
}

static void test_groups_limit(void **state) {
        _cleanup_demo_ Demo demo;

        folder_write(*state, "models.conf", "things = ( { name = \"a\"; }, { name = \"b\"; }, { name = \"c\"; } );");
        folder_write(*state, "atelier.conf", "things = ( { name = \"c\"; number = 3; } );");
        load(*state, &demo);
        assert_int_equal(thing(&demo, 2)->number, 3);
        assert_refused(*state, "things = ( { name = \"c\"; },\n { name = \"d\"; } );",
                       "atelier.conf:2: things: too many; expected at most 3\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_items_keep_their_order_and_take_defaults),
                TEST(test_items_take_the_preset),
                TEST(test_later_group_changes_only_what_it_gives),
                TEST(test_place_is_where_the_group_was_given_last),
                TEST(test_errors_name_the_item),
                TEST(test_group_without_a_name),
                TEST(test_group_with_an_unfit_name),
                TEST(test_same_name_twice_in_one_list),
                TEST(test_lists_hold_groups),
                TEST(test_groups_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
