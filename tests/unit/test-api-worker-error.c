/* What the worker refuses, as HTTP clients see it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker-error.h"

static JsonValue *parameters_of(const char *text) {
        JsonValue *value = NULL;

        assert_int_equal(json_parse(text, strlen(text), &value, NULL), 0);
        return value;
}

static void test_refusals_are_passed_on(void **state) {
        _cleanup_(json_freep) JsonValue *parameters = parameters_of(
                "{\"status\":400,\"type\":\"invalid_request_error\",\"code\":\"invalid_value\",\"param\":\"size\","
                "\"message\":\"no such size\"}");
        VarlinkReply reply = { .error = "io.atelier.Queue.Refused", .parameters = parameters };
        ApiError error;

        (void) state;
        assert_int_equal(worker_error(&reply, &error), 0);
        assert_int_equal(error.status, 400);
        assert_string_equal(error.type, "invalid_request_error");
        assert_string_equal(error.code, "invalid_value");
        assert_string_equal(error.param, "size");
        assert_string_equal(error.message, "no such size");

        reply.error = "io.atelier.Store.Refused";
        assert_int_equal(worker_error(&reply, &error), 0);
        assert_int_equal(error.status, 400);
        reply.error = "io.atelier.Links.Refused";
        assert_int_equal(worker_error(&reply, &error), 0);
        assert_int_equal(error.status, 400);
}

static void test_known_errors_have_their_status(void **state) {
        ApiError error;

        (void) state;
        assert_int_equal(worker_error(&(VarlinkReply){ .error = "io.atelier.Queue.JobNotFound" }, &error), 0);
        assert_int_equal(error.status, 404);
        assert_int_equal(worker_error(&(VarlinkReply){ .error = "io.atelier.Queue.JobInProgress" }, &error), 0);
        assert_int_equal(error.status, 409);
        assert_int_equal(worker_error(&(VarlinkReply){ .error = "io.atelier.Store.ImageNotFound" }, &error), 0);
        assert_int_equal(error.status, 404);
        assert_int_equal(worker_error(&(VarlinkReply){ .error = "io.atelier.Links.ImageNotFound" }, &error), 0);
        assert_int_equal(error.status, 404);
        assert_int_equal(worker_error(&(VarlinkReply){ .error = "io.atelier.Links.StoreUnavailable" }, &error), 0);
        assert_int_equal(error.status, 503);
}

static void test_silence_is_a_503(void **state) {
        ApiError error;

        (void) state;
        assert_int_equal(worker_error(&(VarlinkReply){ .status = -ETIMEDOUT }, &error), 0);
        assert_int_equal(error.status, 503);
        assert_string_equal(error.code, "worker_unavailable");
}

static void test_anything_else_is_ours_to_mend(void **state) {
        ApiError error;

        (void) state;
        assert_int_equal(worker_error(&(VarlinkReply){ .error = "org.varlink.service.InvalidParameter" }, &error),
                         WORKER_ERROR_UNEXPECTED);
        assert_int_equal(error.status, 500);
        assert_null(strstr(error.message, "varlink"));
}

static void test_members_are_openai_s(void **state) {
        _cleanup_(json_freep) JsonValue *members = NULL;
        _cleanup_free_ char *text = NULL;
        ApiError error;

        (void) state;
        api_error_set(&error, 400, "t", NULL, "p", "%s", "m");
        members = api_error_members(&error);
        text = json_format(members);
        assert_string_equal(text, "{\"message\":\"m\",\"type\":\"t\",\"param\":\"p\",\"code\":null}");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refusals_are_passed_on), cmocka_unit_test(test_known_errors_have_their_status),
                cmocka_unit_test(test_silence_is_a_503),       cmocka_unit_test(test_anything_else_is_ours_to_mend),
                cmocka_unit_test(test_members_are_openai_s),
        };

        return cmocka_run_group_tests_name("api-worker-error", tests, NULL, NULL);
}
