/* Bodies of POST /v1/images/generations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "image-request.h"

static int parse(const char *text, JsonValue **ret, ApiError *error) {
        return image_request_parse(text, strlen(text), ret, error);
}

static void assert_request(const char *body, const char *expected) {
        _cleanup_(json_freep) JsonValue *request = NULL;
        _cleanup_free_ char *text = NULL;
        ApiError error;

        if (parse(body, &request, &error) != 0)
                fail_msg("'%s' was refused: %s", body, error.message);
        text = json_format(request);
        assert_string_equal(text, expected);
}

static void test_all_fields_are_passed_on(void **state) {
        static const char body[] =
                "{\"prompt\":\"a "
                "fox\",\"model\":\"m\",\"n\":2,\"size\":\"64x64\",\"quality\":\"low\",\"style\":\"vivid\","
                "\"background\":\"opaque\",\"moderation\":\"low\",\"output_format\":\"png\",\"output_compression\":50,"
                "\"response_format\":\"b64_json\",\"user\":\"u\"}";

        (void) state;
        assert_request(body, body);
}

static void test_null_members_count_as_absent(void **state) {
        (void) state;
        assert_request("{\"model\":null,\"prompt\":\"x\",\"n\":null,\"stream\":null,\"partial_images\":null}",
                       "{\"prompt\":\"x\"}");
}

static void test_streaming_that_is_not_wanted_is_left_out(void **state) {
        (void) state;
        assert_request("{\"stream\":false,\"prompt\":\"x\",\"partial_images\":0}", "{\"prompt\":\"x\"}");
        assert_request("{\"stream\":true,\"prompt\":\"x\",\"partial_images\":3}",
                       "{\"stream\":true,\"prompt\":\"x\",\"partial_images\":3}");
}

static void test_an_empty_prompt_is_left_to_the_worker(void **state) {
        (void) state;
        assert_request("{\"prompt\":\"\"}", "{\"prompt\":\"\"}");
}

typedef struct BadBody {
        const char *text;
        const char *code; /* "" = null */
        const char *param;
        const char *message;
} BadBody;

static void test_bad_bodies(void **state) {
        static const BadBody cases[] = {
                { "", "", "", "at byte 0" },
                { "{", "", "", "not valid JSON" },
                { "{\"prompt\":\"x\"", "", "", "not valid JSON" },
                { "{\"prompt\":\"x\"}x", "", "", "at byte 14" },
                { "{\"prompt\":\"x\"}{}", "", "", "at byte 14" },
                { "{\"prompt\":\"x\",\"prompt\":\"y\"}", "", "", "duplicate" },
                { "{\"prompt\":\"\\u0000\"}", "", "", "not valid JSON" },
                { "{\"prompt\":\"\xff\"}", "", "", "UTF-8" },
                { "{\"prompt\":\"a\nb\"}", "", "", "control character" },
                { "{\"prompt\":\"\\ud800\"}", "", "", "not valid JSON" },
                { "{\"prompt\":\"x\",\"n\":01}", "", "", "not valid JSON" },
                { "{\"prompt\":\"x\",\"n\":1e999}", "", "", "not valid JSON" },
                { "{\"prompt\":\"x\",\"n\":9007199254740993}", "", "", "not valid JSON" },
                { "{\"prompt\":\"x\",\"n\":NaN}", "", "", "not valid JSON" },
                { "[]", "", "", "an array" },
                { "null", "", "", "null" },
                { "\"x\"", "", "", "a string" },
                { "1", "", "", "an integer" },
                { "{}", "missing_required_parameter", "prompt", "Missing" },
                { "{\"prompt\":null}", "missing_required_parameter", "prompt", "Missing" },
                { "{\"prompt\":1}", "invalid_type", "prompt", "an integer" },
                { "{\"prompt\":[\"x\"]}", "invalid_type", "prompt", "an array" },
                { "{\"prompt\":{\"a\":1}}", "invalid_type", "prompt", "an object" },
                { "{\"prompt\":\"x\",\"model\":true}", "invalid_type", "model", "a boolean" },
                { "{\"prompt\":\"x\",\"n\":\"1\"}", "invalid_type", "n", "a string" },
                { "{\"prompt\":\"x\",\"n\":1.5}", "invalid_type", "n", "fraction" },
                { "{\"prompt\":\"x\",\"size\":1024}", "invalid_type", "size", "expected a string" },
                { "{\"prompt\":\"x\",\"output_compression\":\"50\"}", "invalid_type", "output_compression",
                  "an integer" },
                { "{\"prompt\":\"x\",\"response_format\":\"png\"}", "invalid_value", "response_format", "b64_json" },
                { "{\"prompt\":\"x\",\"stream\":0}", "invalid_type", "stream", "a boolean" },
                { "{\"prompt\":\"x\",\"partial_images\":0.5}", "invalid_type", "partial_images", "an integer" },
                { "{\"prompt\":\"x\",\"foo\":1}", "unknown_parameter", "foo", "'foo'" },
                { "{\"prompt\":\"x\",\"foo\":null}", "unknown_parameter", "foo", "'foo'" },
                { "{\"Prompt\":\"x\"}", "unknown_parameter", "Prompt", "'Prompt'" },
                { "{\"prompt\":\"x\",\"\":1}", "unknown_parameter", "", "''" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                JsonValue *request = NULL;
                ApiError error = {};

                if (parse(cases[i].text, &request, &error) != IMAGE_REQUEST_INVALID)
                        fail_msg("'%s' was taken", cases[i].text);
                assert_null(request);
                assert_int_equal(error.status, 400);
                assert_string_equal(error.type, "invalid_request_error");
                assert_string_equal(error.code, cases[i].code);
                assert_string_equal(error.param, cases[i].param);
                if (!strstr(error.message, cases[i].message))
                        fail_msg("'%s': '%s' is not in '%s'", cases[i].text, cases[i].message, error.message);
        }
}

static void test_nesting_past_the_limit_is_refused(void **state) {
        char body[2 * JSON_DEPTH_MAX + 32] = "{\"user\":";
        JsonValue *request = NULL;
        ApiError error;

        (void) state;
        memset(body + strlen(body), '[', JSON_DEPTH_MAX + 1);
        assert_int_equal(parse(body, &request, &error), IMAGE_REQUEST_INVALID);
        assert_non_null(strstr(error.message, "at byte"));
}

static void test_text_at_the_limit_and_one_past_it(void **state) {
        _cleanup_(json_freep) JsonValue *request = NULL;
        _cleanup_free_ char *fits = NULL, *too_long = NULL;
        char text[IMAGE_REQUEST_FIELD_BYTES_MAX + 2];
        JsonValue *none = NULL;
        ApiError error;

        (void) state;
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        fits = text_format("{\"prompt\":\"x\",\"user\":\"%s\"}", text + 1);
        too_long = text_format("{\"prompt\":\"x\",\"user\":\"%s\"}", text);

        assert_int_equal(parse(fits, &request, &error), 0);
        assert_int_equal(parse(too_long, &none, &error), IMAGE_REQUEST_INVALID);
        assert_string_equal(error.param, "user");
}

static void test_a_long_unknown_name_is_cut_in_the_answer(void **state) {
        _cleanup_free_ char *body = NULL;
        char name[1000];
        JsonValue *request = NULL;
        ApiError error;

        (void) state;
        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        body = text_format("{\"prompt\":\"x\",\"%s\":1}", name);
        assert_int_equal(parse(body, &request, &error), IMAGE_REQUEST_INVALID);
        assert_int_equal(strlen(error.param), API_ERROR_NAME_BYTES_MAX - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_fields_are_passed_on),
                cmocka_unit_test(test_null_members_count_as_absent),
                cmocka_unit_test(test_streaming_that_is_not_wanted_is_left_out),
                cmocka_unit_test(test_an_empty_prompt_is_left_to_the_worker),
                cmocka_unit_test(test_bad_bodies),
                cmocka_unit_test(test_nesting_past_the_limit_is_refused),
                cmocka_unit_test(test_text_at_the_limit_and_one_past_it),
                cmocka_unit_test(test_a_long_unknown_name_is_cut_in_the_answer),
        };

        return cmocka_run_group_tests_name("api-image-request", tests, NULL, NULL);
}
