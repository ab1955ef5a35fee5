/* Jobs of the worker as HTTP clients see them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "job-reply.h"

#define SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define IMAGE "{\"sha256\":\"" SHA "\",\"format\":\"png\",\"width\":1,\"height\":1,\"size_bytes\":3"
#define HEAD "{\"id\":\"0123\",\"model\":\"m\",\"request\":{\"prompt\":\"x\"},\"created_at\":5999999"

static const char queued[] = HEAD ",\"status\":\"queued\",\"response_format\":\"url\",\"images\":[],\"attempts\":[]}";

static const char completed[] =
        HEAD ",\"status\":\"completed\",\"response_format\":\"b64_json\",\"started_at\":7000000,\"ended_at\":9000000,"
             "\"images\":[" IMAGE ",\"revised_prompt\":\"a \\\"b64_json\\\":\\\"\\\" x\"}," IMAGE "}],"
             "\"usage\":{\"total_tokens\":3,\"b64_json\":\"\"},\"reply\":{\"size\":\"1x1\",\"quality\":null},"
             "\"cost\":{\"reserved_micros\":0,\"charged_micros\":40000,\"unknown_micros\":0,\"entry\":2},"
             "\"attempts\":[{\"number\":1,\"provider\":\"p\",\"outcome\":\"completed\",\"started_at\":7000000,"
             "\"ended_at\":9000000,\"provider_request_id\":\"r\"}]}";

static const char failed[] =
        HEAD ",\"status\":\"failed\",\"response_format\":\"url\",\"ended_at\":9000000,\"images\":[],\"failure\":{"
             "\"status\":"
             "429,\"type\":\"rate_limit_error\",\"code\":\"slow_down\",\"message\":\"slow\"},\"attempts\":[]}";

static JsonValue *job_of(const char *text) {
        JsonValue *job = NULL;

        assert_int_equal(json_parse(text, strlen(text), &job, NULL), 0);
        return job;
}

static void assert_object(const char *text, const char *expected) {
        _cleanup_(json_freep) JsonValue *job = job_of(text), *object = NULL;
        _cleanup_free_ char *got = NULL;

        assert_int_equal(job_reply_object(job, "http://h", &object), 0);
        got = json_format(object);
        assert_string_equal(got, expected);
}

static void test_queued_job_has_nulls_for_what_is_not_yet(void **state) {
        (void) state;
        assert_object(queued,
                      "{\"id\":\"0123\",\"object\":\"job\",\"status\":\"queued\",\"model\":\"m\",\"created_at\":5,"
                      "\"started_at\":null,\"completed_at\":null,\"request\":{\"prompt\":\"x\"},\"result\":null,"
                      "\"error\":null,\"cost\":null,\"cache\":null,\"priority\":\"normal\",\"position\":null,"
                      "\"position_above\":null,\"eta\":null,\"retry_at\":null,\"retry_delay\":null,"
                      "\"retry_cause\":null,\"attempts\":[]}");
}

static int64_t member_of_queued(const char *more, const char *name) {
        _cleanup_free_ char *text = text_format("{\"id\":\"0\",\"status\":\"queued\",\"images\":[],%s}", more);
        _cleanup_(json_freep) JsonValue *job = job_of(text), *object = NULL;

        assert_int_equal(job_reply_object(job, "http://h", &object), 0);
        return json_get_integer(object, name, -1);
}

static void test_waiting_job_tells_its_place_and_time(_unused_ void **state) {
        assert_int_equal(member_of_queued("\"position\":7", "position"), 7);
        assert_int_equal(member_of_queued("\"position_above\":1000", "position_above"), 1000);
        assert_int_equal(member_of_queued("\"position_above\":1000", "position"), -1);
        assert_int_equal(member_of_queued("\"eta_usec\":1", "eta"), 1);
        assert_int_equal(member_of_queued("\"eta_usec\":2000000", "eta"), 2);
        assert_int_equal(member_of_queued("\"eta_usec\":2000001", "eta"), 3);
}

static void test_job_that_is_tried_again_tells_when_and_why(_unused_ void **state) {
        static const char members[] = "\"retry_at\":9000000,\"attempts\":[{\"number\":1,\"retry_delay_usec\":1},"
                                      "{\"number\":2,\"retry_delay_usec\":2500000,\"cause\":\"503\"}]";

        assert_int_equal(member_of_queued(members, "retry_at"), 9);
        assert_int_equal(member_of_queued(members, "retry_delay"), 3);
        assert_int_equal(member_of_queued(members, "position"), -1);
}

static void test_completed_job_has_its_images_as_links(void **state) {
        (void) state;
        assert_object(completed,
                      "{\"id\":\"0123\",\"object\":\"job\",\"status\":\"completed\",\"model\":\"m\",\"created_at\":5,"
                      "\"started_at\":7,\"completed_at\":9,\"request\":{\"prompt\":\"x\"},\"result\":{\"created\":9,"
                      "\"data\":["
                      "{\"url\":\"http://h/v1/images/" SHA
                      ".png\",\"revised_prompt\":\"a \\\"b64_json\\\":\\\"\\\" x\"},"
                      "{\"url\":\"http://h/v1/images/" SHA ".png\"}],\"size\":\"1x1\","
                      "\"usage\":{\"total_tokens\":3,\"b64_json\":\"\"}},\"error\":null,"
                      "\"cost\":{\"reserved_micros\":0,\"charged_micros\":40000,\"unknown_micros\":0},\"cache\":null,\"priority\":\"normal\","
                      "\"attempts\":[{\"number\":1,"
                      "\"provider\":\"p\",\"outcome\":\"completed\",\"started_at\":7,\"ended_at\":9,"
                      "\"provider_request_id\":\"r\",\"cause\":null}]}");
}

static void assert_urls(const char *links_text, const char *first, const char *second) {
        _cleanup_(json_freep) JsonValue *job = job_of(completed), *links = job_of(links_text), *response = NULL;
        const JsonValue *data;

        assert_int_equal(job_reply_signed_images(job, "https://h/x", links, &response), 0);
        data = json_get_array(response, "data");
        assert_int_equal(cJSON_GetArraySize(data), 2);
        assert_string_equal(json_get_string(data->child, "url"), first);
        assert_string_equal(json_get_string(data->child->next, "url"), second);
}

/* Where the worker signed none, or fewer, whoever may see the image can open the others still. */
static void test_answer_has_the_signed_links_that_there_are(_unused_ void **state) {
        assert_urls("[{\"path\":\"/v1/a?b=c\",\"expires_at\":1},{\"path\":\"/d\",\"expires_at\":1}]",
                    "https://h/x/v1/a?b=c", "https://h/x/d");
        assert_urls("[{\"path\":\"/a\",\"expires_at\":1}]", "https://h/x/a", "https://h/x/v1/images/" SHA ".png");
        assert_urls("[]", "https://h/x/v1/images/" SHA ".png", "https://h/x/v1/images/" SHA ".png");
}

/* In the client's words, and beside them what was made of it. What it left to the alias is not said otherwise. */
static void test_job_of_an_alias_says_what_was_asked_and_what_was_sent(void **state) {
        (void) state;
        assert_object("{\"id\":\"0123\",\"model\":\"new\",\"created_at\":5999999,\"ended_at\":9000000,"
                      "\"status\":\"completed\",\"response_format\":\"url\",\"images\":[" IMAGE "}],\"attempts\":[],"
                      "\"request\":{\"prompt\":\"x\",\"n\":1,\"model\":\"new\",\"size\":\"2x2\",\"quality\":\"low\"},"
                      "\"asked\":{\"model\":\"old\",\"size\":\"1x1\",\"style\":\"vivid\"},"
                      "\"reply\":{\"size\":\"2x2\",\"quality\":\"low\",\"output_format\":\"png\"}}",
                      "{\"id\":\"0123\",\"object\":\"job\",\"status\":\"completed\",\"model\":\"old\",\"created_at\":5,"
                      "\"started_at\":null,\"completed_at\":9,"
                      "\"request\":{\"prompt\":\"x\",\"n\":1,\"model\":\"old\",\"size\":\"1x1\",\"style\":\"vivid\"},"
                      "\"sent\":{\"model\":\"new\",\"size\":\"2x2\",\"quality\":\"low\"},"
                      "\"result\":{\"created\":9,\"data\":[{\"url\":\"http://h/v1/images/" SHA ".png\"}],"
                      "\"size\":\"1x1\",\"quality\":\"low\",\"output_format\":\"png\"},\"error\":null,"
                      "\"cost\":null,\"cache\":null,\"priority\":\"normal\",\"attempts\":[]}");
}

static void test_failed_job_has_an_error(void **state) {
        (void) state;
        assert_object(failed,
                      "{\"id\":\"0123\",\"object\":\"job\",\"status\":\"failed\",\"model\":\"m\",\"created_at\":5,"
                      "\"started_at\":null,\"completed_at\":9,\"request\":{\"prompt\":\"x\"},\"result\":null,"
                      "\"error\":{\"message\":\"slow\",\"type\":\"rate_limit_error\",\"param\":null,"
                      "\"code\":\"slow_down\"},\"cost\":null,\"cache\":null,\"priority\":\"normal\",\"attempts\":[]}");
}

static void test_outcomes(void **state) {
        static const char *const statuses[] = { "queued", "in_progress", "completed", "failed", "cancelled" };
        static const JobOutcome outcomes[] = {
                JOB_UNFINISHED, JOB_UNFINISHED, JOB_COMPLETED, JOB_FAILED, JOB_FAILED,
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(statuses); i++) {
                _cleanup_(json_freep) JsonValue *job = json_new_object();

                assert_int_equal(json_add_string(job, "status", statuses[i]), 0);
                assert_int_equal(job_reply_outcome(job), outcomes[i]);
        }
        assert_int_equal(job_reply_outcome(NULL), JOB_UNFINISHED);
}

static void test_cancelled_job_is_a_conflict_for_its_client(void **state) {
        _cleanup_(json_freep) JsonValue *job = job_of("{\"status\":\"cancelled\"}");
        ApiError error;

        (void) state;
        job_reply_error(job, &error);
        assert_int_equal(error.status, 409);
        assert_string_equal(error.code, "job_cancelled");
}

static void test_absurd_failure_becomes_a_500(void **state) {
        _cleanup_(json_freep) JsonValue *job =
                job_of("{\"status\":\"failed\",\"failure\":{\"status\":200,\"message\":\"\"}}");
        ApiError error;

        (void) state;
        job_reply_error(job, &error);
        assert_int_equal(error.status, 500);
        assert_string_equal(error.type, "server_error");
        assert_true(error.message[0] != '\0');
}

static int file_of(const char *text) {
        int fd = memfd_create("image", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        return fd;
}

static void test_base64_answer_has_the_files_in_their_places(void **state) {
        _cleanup_(json_freep) JsonValue *job = job_of(completed);
        _cleanup_(image_stream_freep) ImageStream *stream = NULL;
        int fds[] = { file_of("abc"), file_of("wxyz") };
        char text[1024];
        ssize_t size;

        (void) state;
        assert_int_equal(job_reply_stream(job, fds, ELEMENTS(fds), &stream), 0);
        assert_int_equal(fds[0], -1);
        assert_int_equal(fds[1], -1);
        size = image_stream_read(stream, 0, text, sizeof(text) - 1);
        assert_int_equal(size, image_stream_size(stream));
        text[size] = '\0';
        assert_string_equal(text,
                            "{\"created\":9,\"data\":[{\"b64_json\":\"YWJj\",\"revised_prompt\":\"a \\\"b64_json\\\":"
                            "\\\"\\\" x\"},{\"b64_json\":\"d3h5eg==\"}],\"size\":\"1x1\","
                            "\"usage\":{\"total_tokens\":3,\"b64_json\":\"\"}}");
}

static void test_base64_answer_needs_a_file_per_image(void **state) {
        _cleanup_(json_freep) JsonValue *job = job_of(completed);
        ImageStream *stream = NULL;
        int fds[] = { file_of("abc") };

        (void) state;
        assert_int_equal(job_reply_stream(job, fds, ELEMENTS(fds), &stream), -EBADMSG);
        (void) fd_close(fds[0]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_queued_job_has_nulls_for_what_is_not_yet),
                cmocka_unit_test(test_waiting_job_tells_its_place_and_time),
                cmocka_unit_test(test_job_that_is_tried_again_tells_when_and_why),
                cmocka_unit_test(test_completed_job_has_its_images_as_links),
                cmocka_unit_test(test_answer_has_the_signed_links_that_there_are),
                cmocka_unit_test(test_job_of_an_alias_says_what_was_asked_and_what_was_sent),
                cmocka_unit_test(test_failed_job_has_an_error),
                cmocka_unit_test(test_outcomes),
                cmocka_unit_test(test_cancelled_job_is_a_conflict_for_its_client),
                cmocka_unit_test(test_absurd_failure_becomes_a_500),
                cmocka_unit_test(test_base64_answer_has_the_files_in_their_places),
                cmocka_unit_test(test_base64_answer_needs_a_file_per_image),
        };

        return cmocka_run_group_tests_name("api-job-reply", tests, NULL, NULL);
}
