/* The body of a batch: what each request becomes, and where its bounds are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/text.h"
#include "batch-request.h"

static void assert_batch(const char *body, const char *expected) {
        _cleanup_(json_freep) JsonValue *batch = NULL;
        _cleanup_free_ char *got = NULL;
        ApiError error;

        assert_int_equal(batch_request_parse(body, strlen(body), &batch, &error), 0);
        got = json_format(batch);
        assert_string_equal(got, expected);
}

static void assert_refused(const char *body, const char *code, const char *param) {
        JsonValue *batch = NULL;
        ApiError error = {};

        assert_int_equal(batch_request_parse(body, strlen(body), &batch, &error), BATCH_REQUEST_INVALID);
        assert_null(batch);
        assert_string_equal(error.code, code);
        assert_string_equal(error.param, param);
}

static void test_prompts_share_what_is_common(_unused_ void **state) {
        assert_batch("{\"prompts\":[\"a\",\"b\"],\"model\":\"m\",\"size\":null}",
                     "{\"items\":[{\"request\":{\"prompt\":\"a\",\"model\":\"m\"}},"
                     "{\"request\":{\"prompt\":\"b\",\"model\":\"m\"}}]}");
}

static void test_request_goes_before_what_is_common(_unused_ void **state) {
        assert_batch("{\"requests\":[{\"prompt\":\"a\",\"size\":\"1x1\",\"custom_id\":\"c\"}],\"size\":\"2x2\","
                     "\"n\":2,\"metadata\":{\"a\":\"b\"}}",
                     "{\"items\":[{\"custom_id\":\"c\",\"request\":{\"prompt\":\"a\",\"size\":\"1x1\",\"n\":2}}],"
                     "\"metadata\":{\"a\":\"b\"}}");
}

static void test_wrong_request_is_named(_unused_ void **state) {
        assert_refused("{\"prompts\":[\"a\",1]}", "invalid_type", "prompts.2");
        assert_refused("{\"requests\":[{\"prompt\":\"a\",\"n\":\"1\"}]}", "invalid_type", "requests.1.n");
        assert_refused("{\"requests\":[{\"prompt\":\"a\"}],\"n\":\"1\"}", "invalid_type", "requests.1.n");
        assert_refused("{\"requests\":[{\"prompt\":\"a\",\"custom_id\":[]}]}", "invalid_type",
                       "requests.1.custom_id");
}

/* So many prompts, with a common `user` of so many bytes; the body has blanks behind it up to `size`. */
static char *body_of(size_t prompts, size_t user, size_t size) {
        _cleanup_(buffer_done) Buffer text = {};

        assert_int_equal(buffer_append_text(&text, "{\"prompts\":["), 0);
        for (size_t i = 0; i < prompts; i++)
                assert_int_equal(buffer_append_text(&text, i > 0 ? ",\"x\"" : "\"x\""), 0);
        assert_int_equal(buffer_append_text(&text, "],\"user\":\""), 0);
        for (size_t i = 0; i < user; i++)
                assert_int_equal(buffer_append(&text, "u", 1), 0);
        assert_int_equal(buffer_append_text(&text, "\"}"), 0);
        while (text.size < size)
                assert_int_equal(buffer_append(&text, " ", 1), 0);
        return buffer_take_text(&text);
}

static int parse(const char *body, ApiError *error) {
        _cleanup_(json_freep) JsonValue *batch = NULL;

        return batch_request_parse(body, strlen(body), &batch, error);
}

static void test_a_thousand_requests_are_taken_and_no_more(_unused_ void **state) {
        _cleanup_free_ char *most = body_of(BATCH_REQUESTS_MAX, 1, 0), *more = body_of(BATCH_REQUESTS_MAX + 1, 1, 0);
        ApiError error;

        assert_int_equal(parse(most, &error), 0);
        assert_int_equal(parse(more, &error), BATCH_REQUEST_INVALID);
        assert_string_equal(error.code, "invalid_batch_size");
}

/* Each of ten requests has the common {"user":"…"} of 512 bytes, and 64 bytes beside. */
static void test_bytes_are_bounded_with_what_is_common(_unused_ void **state) {
        const size_t size = BATCH_BYTES_MAX - 10 * (strlen("{\"user\":\"\"}") + 512 + 64);
        _cleanup_free_ char *most = body_of(10, 512, size), *more = body_of(10, 512, size + 1);
        ApiError error;

        assert_int_equal(parse(most, &error), 0);
        assert_int_equal(parse(more, &error), BATCH_REQUEST_INVALID);
        assert_int_equal(error.status, 413);
        assert_string_equal(error.code, "batch_too_large");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_prompts_share_what_is_common),
                cmocka_unit_test(test_request_goes_before_what_is_common),
                cmocka_unit_test(test_wrong_request_is_named),
                cmocka_unit_test(test_a_thousand_requests_are_taken_and_no_more),
                cmocka_unit_test(test_bytes_are_bounded_with_what_is_common),
        };

        return cmocka_run_group_tests_name("api-batch-request", tests, NULL, NULL);
}
