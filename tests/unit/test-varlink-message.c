/* Varlink messages: what is a call or a reply, what is not, and how ours are written. */
#include "varlink-fixture.h"

#include "io/varlink-message.h"

static int parse_request(const char *text) {
        VarlinkRequest request = {};
        int r = varlink_request_parse(&request, text, strlen(text));

        varlink_request_done(&request);
        return r;
}

static int parse_response(const char *text) {
        VarlinkResponse response = {};
        int r = varlink_response_parse(&response, text, strlen(text));

        varlink_response_done(&response);
        return r;
}

static void test_a_call_is_read(void **state) {
        const char text[] = "{\"method\":\"a.b.C\",\"parameters\":{\"x\":1},\"more\":true}";
        VarlinkRequest request;

        (void) state;
        assert_int_equal(varlink_request_parse(&request, text, strlen(text)), 0);
        assert_string_equal(request.method, "a.b.C");
        assert_int_equal(json_get_integer(request.parameters, "x", 0), 1);
        assert_true(request.more);
        assert_false(request.oneway);
        varlink_request_done(&request);
}

static void test_parameters_that_are_absent_or_null_are_an_empty_object(void **state) {
        static const char *const texts[] = {
                "{\"method\":\"a.b.C\"}",
                "{\"method\":\"a.b.C\",\"parameters\":null}",
                "{\"method\":\"a.b.C\",\"parameters\":{}}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                VarlinkRequest request;

                assert_int_equal(varlink_request_parse(&request, texts[i], strlen(texts[i])), 0);
                assert_true(cJSON_IsObject(request.parameters));
                assert_int_equal(cJSON_GetArraySize(request.parameters), 0);
                varlink_request_done(&request);
        }
}

static void test_what_is_no_call_is_refused(void **state) {
        static const char *const texts[] = {
                "",
                "x",
                "[]",
                "\"a.b.C\"",
                "{}",
                "{\"parameters\":{}}",
                "{\"method\":1}",
                "{\"method\":null}",
                "{\"method\":\"a.b.C\",\"parameters\":[]}",
                "{\"method\":\"a.b.C\",\"parameters\":1}",
                "{\"method\":\"a.b.C\",\"more\":1}",
                "{\"method\":\"a.b.C\",\"more\":null}",
                "{\"method\":\"a.b.C\",\"oneway\":\"true\"}",
                "{\"method\":\"a.b.C\",\"oneway\":true,\"more\":true}",
                "{\"method\":\"a.b.C\",\"upgrade\":true}",
                "{\"method\":\"a.b.C\",\"upgrade\":0}",
                "{\"method\":\"a.b.C\",\"extra\":true}",
                "{\"method\":\"a.b.C\",\"com.example.x\":true}",
                "{\"method\":\"a.b.C\",\"method\":\"a.b.C\"}",
                "{\"Method\":\"a.b.C\"}",
                "{\"method\":\"a.b.C\"} x",
                "{\"method\":\"a.b.C\"",
                "{\"method\":\"a.b.\xff\"}",
                "{\"method\":\"a.b.C\\u0000\"}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++)
                if (parse_request(texts[i]) != -EBADMSG)
                        fail_msg("taken for a call: %s", texts[i]);
}

static void test_flags_that_are_false_are_as_good_as_absent(void **state) {
        (void) state;
        assert_int_equal(parse_request("{\"method\":\"a.b.C\",\"oneway\":false,\"more\":true,\"upgrade\":false}"), 0);
}

static void test_a_reply_is_read(void **state) {
        const char text[] = "{\"parameters\":{\"x\":2},\"continues\":true}";
        VarlinkResponse response;

        (void) state;
        assert_int_equal(varlink_response_parse(&response, text, strlen(text)), 0);
        assert_null(response.error);
        assert_true(response.continues);
        assert_int_equal(json_get_integer(response.parameters, "x", 0), 2);
        varlink_response_done(&response);
}

static void test_what_is_no_reply_is_refused(void **state) {
        static const char *const texts[] = {
                "null",
                "{\"method\":\"a.b.C\"}",
                "{\"parameters\":[]}",
                "{\"parameters\":{},\"continues\":1}",
                "{\"parameters\":{},\"error\":null}",
                "{\"error\":7}",
                "{\"error\":\"a.b.C\",\"continues\":true}",
                "{\"parameters\":{},\"x\":1}",
                "{\"parameters\":{},\"parameters\":{}}",
        };

        (void) state;
        assert_int_equal(parse_response("{}"), 0);
        assert_int_equal(parse_response("{\"error\":\"a.b.C\",\"continues\":false}"), 0);
        for (size_t i = 0; i < ELEMENTS(texts); i++)
                if (parse_response(texts[i]) != -EBADMSG)
                        fail_msg("taken for a reply: %s", texts[i]);
}

static void assert_written(Buffer *buffer, const char *expected) {
        assert_int_equal(buffer->size, strlen(expected) + 1);
        assert_string_equal((const char *) buffer->data, expected);
        buffer->size = 0;
}

static void test_messages_are_written_without_members_that_say_nothing(void **state) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        _cleanup_(buffer_done) Buffer buffer = {};

        (void) state;
        assert_int_equal(json_add_integer(parameters, "x", 1), 0);
        assert_int_equal(varlink_request_format(&buffer, "a.b.C", NULL, false), 0);
        assert_written(&buffer, "{\"method\":\"a.b.C\",\"parameters\":{}}");
        assert_int_equal(varlink_request_format(&buffer, "a.b.C", parameters, true), 0);
        assert_written(&buffer, "{\"method\":\"a.b.C\",\"parameters\":{\"x\":1},\"more\":true}");
        assert_int_equal(varlink_response_format(&buffer, NULL, NULL, false), 0);
        assert_written(&buffer, "{\"parameters\":{}}");
        assert_int_equal(varlink_response_format(&buffer, NULL, parameters, true), 0);
        assert_written(&buffer, "{\"parameters\":{\"x\":1},\"continues\":true}");
        assert_int_equal(varlink_response_format(&buffer, "a.b.D", parameters, false), 0);
        assert_written(&buffer, "{\"error\":\"a.b.D\",\"parameters\":{\"x\":1}}");
}

static void test_names_that_would_need_escaping_are_not_written(void **state) {
        static const char *const names[] = { "", "C", "a.b.\"", "a.b\\C", "a b.C", "a.b.C\n" };
        _cleanup_(buffer_done) Buffer buffer = {};

        (void) state;
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                assert_int_equal(varlink_request_format(&buffer, names[i], NULL, false), -EINVAL);
                assert_int_equal(varlink_response_format(&buffer, names[i], NULL, false), -EINVAL);
        }
        assert_int_equal(buffer.size, 0);
}

/* A reply whose text has exactly `size` bytes. */
static int format_sized(Buffer *buffer, size_t size) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        size_t length = size - strlen("{\"parameters\":{\"x\":\"\"}}");
        _cleanup_free_ char *text = malloc(length + 1);

        assert_non_null(text);
        memset(text, 'x', length);
        text[length] = 0;
        assert_int_equal(json_add_string(parameters, "x", text), 0);
        return varlink_response_format(buffer, NULL, parameters, false);
}

static void test_a_message_is_written_up_to_the_largest_size_and_not_beyond(void **state) {
        _cleanup_(buffer_done) Buffer buffer = {};

        (void) state;
        assert_int_equal(format_sized(&buffer, VARLINK_MESSAGE_BYTES_MAX), 0);
        assert_int_equal(buffer.size, VARLINK_MESSAGE_BYTES_MAX + 1);
        buffer.size = 0;
        assert_int_equal(format_sized(&buffer, VARLINK_MESSAGE_BYTES_MAX + 1), -EMSGSIZE);
        assert_int_equal(buffer.size, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_call_is_read),
                cmocka_unit_test(test_parameters_that_are_absent_or_null_are_an_empty_object),
                cmocka_unit_test(test_what_is_no_call_is_refused),
                cmocka_unit_test(test_flags_that_are_false_are_as_good_as_absent),
                cmocka_unit_test(test_a_reply_is_read),
                cmocka_unit_test(test_what_is_no_reply_is_refused),
                cmocka_unit_test(test_messages_are_written_without_members_that_say_nothing),
                cmocka_unit_test(test_names_that_would_need_escaping_are_not_written),
                cmocka_unit_test(test_a_message_is_written_up_to_the_largest_size_and_not_beyond),
        };

        return cmocka_run_group_tests_name("varlink-message", tests, NULL, NULL);
}
