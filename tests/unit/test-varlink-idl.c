/* The interface definition language: what is an interface, where one goes wrong, and what fits it. */
#include "varlink-fixture.h"

#include <stdio.h>

#include "base/text.h"
#include "interfaces/interfaces.h"
#include "io/varlink-idl.h"

static VarlinkInterface *parse(const char *text) {
        VarlinkInterface *interface = NULL;
        VarlinkIdlError error = {};

        if (varlink_interface_parse(text, &interface, &error) < 0)
                fail_msg("%u:%u: %s in: %s", error.line, error.column, error.reason, text);
        return interface;
}

static void test_the_interfaces_that_are_served_are_interfaces(void **state) {
        static const struct {
                const char *text, *name, *method, *error;
        } table[] = {
                { interface_daemon, "io.atelier.Daemon", "GetStatus", "ConfigurationInvalid" },
                { interface_queue, "io.atelier.Queue", "Submit", "Refused" },
                { interface_keys, "io.atelier.Keys", "Create", "KeyNotFound" },
                { interface_store, "io.atelier.Store", "Open", "ImageNotFound" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(table); i++) {
                _cleanup_(varlink_interface_freep) VarlinkInterface *interface = parse(table[i].text);

                assert_string_equal(varlink_interface_name(interface), table[i].name);
                assert_string_equal(varlink_interface_text(interface), table[i].text);
                assert_true(varlink_interface_has_method(interface, table[i].method));
                assert_true(varlink_interface_has_error(interface, table[i].error));
                assert_false(varlink_interface_has_method(interface, table[i].error));
        }
}

static void test_space_and_comments_may_stand_anywhere(void **state) {
        _cleanup_(varlink_interface_freep) VarlinkInterface *interface = NULL;

        (void) state;
        interface = parse("# first\ninterface # of what\r\n a.b #\n#\nmethod#x\nM#y\n(#z\na#\n:#\n?#\n[#\nstring#\n"
                          "]#\nint#\n,#\nb:(x,y))->(\t)error E()type T(a)# no end of line");
        assert_true(varlink_interface_has_method(interface, "M"));
        assert_true(varlink_interface_has_error(interface, "E"));
}

static void test_keywords_may_be_names_of_fields(void **state) {
        (void) state;
        varlink_interface_free(
                parse("interface a.b method M(type: string, method: int, error: bool, interface: ?object) -> ()"));
}

static void test_types_may_be_used_before_and_within_themselves(void **state) {
        (void) state;
        varlink_interface_free(
                parse("interface a.b method M(t: T) -> () type T (next: ?T, all: []T, kind: K) type K (x)"));
}

static void test_interface_names_are_reverse_domains(void **state) {
        static const char *const good[] = { "a.b", "io.atelier.Queue", "a1.2b", "a-b.c-d.e" };
        static const char *const bad[] = {
                "", "a", "1a.b", ".a.b", "a.b.", "a..b", "-a.b", "a-.b", "a.-b", "a.b-", "a--b.c", "a_b.c", "a.b_",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(good); i++) {
                _cleanup_free_ char *text = text_format("interface %s", good[i]);

                varlink_interface_free(parse(text));
        }
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_free_ char *text = text_format("interface %s", bad[i]);
                VarlinkInterface *interface = NULL;

                if (varlink_interface_parse(text, &interface, NULL) != -EBADMSG)
                        fail_msg("taken for an interface's name: %s", bad[i]);
        }
}

static void test_a_bad_text_is_refused_with_its_place(void **state) {
        static const struct {
                const char *text;
                unsigned line, column;
                const char *reason;
        } table[] = {
                { "", 1, 1, "expected \"interface\"" },
                { "# nothing\n", 2, 1, "expected \"interface\"" },
                { "method M() -> ()", 1, 1, "expected \"interface\"" },
                { "interfacea.b", 1, 1, "expected \"interface\"" },
                { "interface", 1, 10, "expected the interface's name, a reverse domain" },
                { "interface a", 1, 11, "expected the interface's name, a reverse domain" },
                { "interface a.b\nmethods M() -> ()", 2, 1, "expected \"type\", \"method\" or \"error\"" },
                { "interface a.b\nmethod m() -> ()", 2, 8, "expected a name that begins with a capital" },
                { "interface a.b\nmethod M_N() -> ()", 2, 8, "expected a name that begins with a capital" },
                { "interface a.b\nmethod M", 2, 9, "expected \"(\"" },
                { "interface a.b\nmethod M()", 2, 11, "expected \"->\"" },
                { "interface a.b\nmethod M() - > ()", 2, 12, "expected \"->\"" },
                { "interface a.b\nmethod M() ->", 2, 14, "expected \"(\"" },
                { "interface a.b\nmethod M() -> int", 2, 15, "expected \"(\"" },
                { "interface a.b\nmethod M(a) -> ()", 2, 9, "expected a struct, this is an enum" },
                { "interface a.b\nmethod M() -> (a, b)", 2, 15, "expected a struct, this is an enum" },
                { "interface a.b\nerror E", 2, 8, "expected \"(\"" },
                { "interface a.b\nerror E (a)", 2, 9, "expected a struct, this is an enum" },
                { "interface a.b\ntype T []string", 2, 8, "expected \"(\"" },
                { "interface a.b\ntype T (a: int", 2, 15, "expected \",\" or \")\"" },
                { "interface a.b\ntype T (a: int,)", 2, 16, "expected the name of a field" },
                { "interface a.b\ntype T (a: int\n  b: int)", 3, 3, "expected \",\" or \")\"" },
                { "interface a.b\ntype T (a: int, b)", 2, 18, "expected \":\"" },
                { "interface a.b\ntype T (a, b: int)", 2, 13, "expected \",\" or \")\"" },
                { "interface a.b\ntype T (1a: int)", 2, 9, "expected the name of a field" },
                { "interface a.b\ntype T (_a: int)", 2, 9, "expected the name of a field" },
                { "interface a.b\ntype T (a_: int)", 2, 9, "expected the name of a field" },
                { "interface a.b\ntype T (a__b: int)", 2, 9, "expected the name of a field" },
                { "interface a.b\ntype T (a-b: int)", 2, 10, "expected \",\" or \")\"" },
                { "interface a.b\ntype T (a: int, a: bool)", 2, 17, "doubled name of a field" },
                { "interface a.b\ntype T (a, b, a)", 2, 15, "doubled name of a field" },
                { "interface a.b\ntype T (a: integer)", 2, 12, "expected a type" },
                { "interface a.b\ntype T (a: )", 2, 12, "expected a type" },
                { "interface a.b\ntype T (a: ??int)", 2, 13, "expected a type" },
                { "interface a.b\ntype T (a: int[])", 2, 15, "expected \",\" or \")\"" },
                { "interface a.b\ntype T (a: [int]string)", 2, 13, "expected \"[]\" or \"[string]\"" },
                { "interface a.b\ntype T (a: [][]int)", 2, 14, "an array or map of arrays or maps" },
                { "interface a.b\ntype T (a: []?int)", 2, 14, "\"?\" stands before the container" },
                { "interface a.b\ntype T (a: U)", 2, 12, "no type of this name" },
                { "interface a.b\nmethod M(a: M) -> ()", 2, 13, "no type of this name" },
                { "interface a.b\nmethod M() -> (e: ?[]E)\nerror E()", 2, 22, "no type of this name" },
                { "interface a.b\ntype T (a: (b: (c: U)))", 2, 20, "no type of this name" },
                { "interface a.b\ntype T ()\n\nmethod T() -> ()", 4, 8, "doubled name" },
                { "interface a.b\ntype B ()\ntype A ()\ntype B ()\ntype A ()", 4, 6, "doubled name" },
                { "interface a.b\ntype A ()\ntype B ()\ntype A ()\ntype B ()", 4, 6, "doubled name" },
                { "interface a.b\n# caf\xe9\n", 1, 1, "not UTF-8" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(table); i++) {
                VarlinkInterface *interface = NULL;
                VarlinkIdlError error = {};

                if (varlink_interface_parse(table[i].text, &interface, &error) != -EBADMSG)
                        fail_msg("taken for an interface: %s", table[i].text);
                if (error.line != table[i].line || error.column != table[i].column ||
                    !text_equal(error.reason, table[i].reason))
                        fail_msg("%u:%u: %s, expected %u:%u: %s, in: %s", error.line, error.column, error.reason,
                                 table[i].line, table[i].column, table[i].reason, table[i].text);
        }
}

/* ---------------------------------------------------------------- limits */

static char *repeat(const char *before, const char *unit, size_t count, const char *after) {
        size_t length = strlen(unit), size = strlen(before) + count * length + strlen(after) + 1;
        char *text = malloc(size), *p;

        assert_non_null(text);
        p = stpcpy(text, before);
        for (size_t i = 0; i < count; i++)
                p = stpcpy(p, unit);
        strcpy(p, after);
        return text;
}

static int try_parse(const char *text, const char **ret_reason) {
        VarlinkInterface *interface = NULL;
        VarlinkIdlError error = {};
        int r;

        r = varlink_interface_parse(text, &interface, &error);
        varlink_interface_free(interface);
        *ret_reason = error.reason;
        return r;
}

static void test_structs_nest_up_to_the_limit_and_not_beyond(void **state) {
        const char *reason;

        (void) state;
        for (size_t depth = VARLINK_IDL_DEPTH_MAX; depth <= VARLINK_IDL_DEPTH_MAX + 1; depth++) {
                _cleanup_free_ char *open = repeat("interface a.b type T ", "(a: ", depth, "int");
                _cleanup_free_ char *text = repeat(open, ")", depth, "");

                if (depth == VARLINK_IDL_DEPTH_MAX)
                        assert_int_equal(try_parse(text, &reason), 0);
                else {
                        assert_int_equal(try_parse(text, &reason), -EBADMSG);
                        assert_string_equal(reason, "nested too deeply");
                }
        }
}

static void test_a_text_may_be_as_long_as_the_limit_and_not_longer(void **state) {
        size_t length = VARLINK_IDL_BYTES_MAX - strlen("interface a.b");
        _cleanup_free_ char *longest = repeat("interface a.b", "\n", length, "");
        _cleanup_free_ char *longer = repeat("interface a.b", "\n", length + 1, "");
        const char *reason;

        (void) state;
        assert_int_equal(try_parse(longest, &reason), 0);
        assert_int_equal(try_parse(longer, &reason), -EBADMSG);
        assert_string_equal(reason, "too long");
}

static void test_a_struct_may_have_as_many_fields_as_the_limit_and_not_more(void **state) {
        const char *reason;

        (void) state;
        for (size_t count = 128; count <= 129; count++) {
                char text[4096], *p = stpcpy(text, "interface a.b type T (");

                for (size_t i = 0; i < count; i++)
                        p += snprintf(p, 16, "%sf%zu: int", i > 0 ? ", " : "", i);
                strcpy(p, ")");
                if (count == 128)
                        assert_int_equal(try_parse(text, &reason), 0);
                else {
                        assert_int_equal(try_parse(text, &reason), -EBADMSG);
                        assert_string_equal(reason, "too many fields");
                }
        }
}

/* ---------------------------------------------------------------- checks */

static const char checked[] =
        "interface a.b\n"
        "type Color (red, green)\n"
        "type Point (x: int, y: int, label: ?string)\n"
        "method M(\n"
        "  b: ?bool, i: ?int, f: ?float, s: ?string, o: ?object, e: ?(one, two), c: ?Color, p: ?Point,\n"
        "  ai: ?[]int, ms: ?[string]string, ap: ?[]Point, mc: ?[string]Color, in: ?(deep: (deeper: int))\n"
        ") -> (must: string, may: ?string)\n"
        "error E (why: string)\n";

static void assert_input(const char *text, const char *bad_field) {
        _cleanup_(varlink_interface_freep) VarlinkInterface *interface = parse(checked);
        _cleanup_(json_freep) JsonValue *object = NULL;
        const char *field = NULL;
        int r;

        assert_int_equal(json_parse(text, strlen(text), &object, NULL), 0);
        r = varlink_interface_check_input(interface, "M", object, &field);
        if (bad_field ? r != VARLINK_INVALID_PARAMETER || !text_equal(field, bad_field) : r != 0)
                fail_msg("%s: %s, expected %s", text, field ?: "good", bad_field ?: "good");
}

static void test_values_of_the_right_type_fit(void **state) {
        static const char *const texts[] = {
                "{}",
                "{\"b\":true,\"i\":-3,\"f\":1.5,\"s\":\"\",\"o\":{\"any\":[1,{}]},\"e\":\"two\",\"c\":\"red\"}",
                "{\"b\":null,\"i\":null,\"f\":null,\"s\":null,\"o\":null,\"e\":null,\"c\":null,\"p\":null}",
                "{\"f\":2}",
                "{\"i\":1.0}",
                "{\"i\":9007199254740992}",
                "{\"i\":-9007199254740992}",
                "{\"p\":{\"y\":2,\"x\":1}}",
                "{\"p\":{\"x\":1,\"y\":2,\"label\":null}}",
                "{\"ai\":[],\"ms\":{},\"ap\":[],\"mc\":{}}",
                "{\"ai\":[1,2],\"ms\":{\"\":\"x\",\"y\":\"z\"},\"ap\":[{\"x\":1,\"y\":2}],\"mc\":{\"k\":\"green\"}}",
                "{\"in\":{\"deep\":{\"deeper\":1}}}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++)
                assert_input(texts[i], NULL);
}

static void test_the_first_value_that_does_not_fit_is_named(void **state) {
        static const struct {
                const char *text, *field;
        } table[] = {
                { "{\"b\":0}", "b" },
                { "{\"i\":\"1\"}", "i" },
                { "{\"i\":1.5}", "i" },
                { "{\"i\":1e16}", "i" },
                { "{\"i\":true}", "i" },
                { "{\"f\":\"1\"}", "f" },
                { "{\"s\":1}", "s" },
                { "{\"o\":[]}", "o" },
                { "{\"o\":\"x\"}", "o" },
                { "{\"e\":\"three\"}", "e" },
                { "{\"e\":1}", "e" },
                { "{\"c\":\"Red\"}", "c" },
                { "{\"p\":[]}", "p" },
                { "{\"p\":{\"x\":1}}", "y" },
                { "{\"p\":{\"x\":1,\"y\":null}}", "y" },
                { "{\"p\":{\"x\":1,\"y\":\"2\"}}", "y" },
                { "{\"p\":{\"x\":1,\"y\":2,\"z\":3}}", "z" },
                { "{\"ai\":{}}", "ai" },
                { "{\"ai\":1}", "ai" },
                { "{\"ai\":[1,\"2\"]}", "ai" },
                { "{\"ai\":[null]}", "ai" },
                { "{\"ms\":[]}", "ms" },
                { "{\"ms\":{\"k\":1}}", "ms" },
                { "{\"ap\":[{\"x\":1,\"y\":2},{\"x\":1}]}", "y" },
                { "{\"mc\":{\"k\":\"blue\"}}", "mc" },
                { "{\"in\":{}}", "deep" },
                { "{\"in\":{\"deep\":{}}}", "deeper" },
                { "{\"unknown\":1}", "unknown" },
                { "{\"unknown\":null}", "unknown" },
                { "{\"B\":true}", "B" },
                { "{\"i\":1,\"s\":2,\"unknown\":1}", "s" },
                { "[]", "parameters" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(table); i++)
                assert_input(table[i].text, table[i].field);
}

static void test_output_and_errors_are_checked_by_their_own_fields(void **state) {
        _cleanup_(varlink_interface_freep) VarlinkInterface *interface = parse(checked);
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        const char *field = NULL;

        (void) state;
        assert_int_equal(varlink_interface_check_output(interface, "M", object, &field), VARLINK_INVALID_PARAMETER);
        assert_string_equal(field, "must");
        assert_int_equal(varlink_interface_check_error(interface, "E", object, &field), VARLINK_INVALID_PARAMETER);
        assert_string_equal(field, "why");

        assert_int_equal(json_add_string(object, "must", "x"), 0);
        assert_int_equal(varlink_interface_check_output(interface, "M", object, &field), 0);
        assert_int_equal(varlink_interface_check_error(interface, "E", object, &field), VARLINK_INVALID_PARAMETER);
        assert_string_equal(field, "must");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_interfaces_that_are_served_are_interfaces),
                cmocka_unit_test(test_space_and_comments_may_stand_anywhere),
                cmocka_unit_test(test_keywords_may_be_names_of_fields),
                cmocka_unit_test(test_types_may_be_used_before_and_within_themselves),
                cmocka_unit_test(test_interface_names_are_reverse_domains),
                cmocka_unit_test(test_a_bad_text_is_refused_with_its_place),
                cmocka_unit_test(test_structs_nest_up_to_the_limit_and_not_beyond),
                cmocka_unit_test(test_a_text_may_be_as_long_as_the_limit_and_not_longer),
                cmocka_unit_test(test_a_struct_may_have_as_many_fields_as_the_limit_and_not_more),
                cmocka_unit_test(test_values_of_the_right_type_fit),
                cmocka_unit_test(test_the_first_value_that_does_not_fit_is_named),
                cmocka_unit_test(test_output_and_errors_are_checked_by_their_own_fields),
        };

        return cmocka_run_group_tests_name("varlink-idl", tests, NULL, NULL);
}
