/* Jobs as clients read them, and failures there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "interfaces/interfaces.h"
#include "io/varlink-idl.h"
#include "store/job.h"

static Job *new_job(void) {
        Job *job = calloc(1, sizeof(*job));

        (void) strcpy(job->id, JOB_ID_PREFIX "0123456789abcdef0123456789abcdef");
        job->model = strdup("m");
        job->response_format = strdup("url");
        job->request = strdup("{\"prompt\":\"say \\\"a\\\"\"}");
        job->created_at = 1000;
        return job;
}

static void check_reply(const JsonValue *job) {
        _cleanup_(varlink_interface_freep) VarlinkInterface *interface = NULL;
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        const char *field = NULL;

        assert_int_equal(json_add(reply, "job", cJSON_Duplicate(job, true)), 0);
        assert_int_equal(varlink_interface_parse(interface_queue, &interface, NULL), 0);
        assert_int_equal(varlink_interface_check_output(interface, "Get", reply, &field), 0);
}

/* Through text, as it travels. */
static JsonValue *travel(const Job *job) {
        _cleanup_(json_freep) JsonValue *value = job_to_json(job);
        _cleanup_free_ char *text = NULL;
        JsonValue *read = NULL;

        assert_non_null(value);
        text = json_format(value);
        assert_non_null(text);
        assert_int_equal(json_parse(text, strlen(text), &read, NULL), 0);
        check_reply(read);
        return read;
}

static void test_queued_job(_unused_ void **state) {
        _cleanup_(job_freep) Job *job = new_job();
        _cleanup_(json_freep) JsonValue *value = travel(job);

        assert_string_equal(json_get_string(value, "id"), job->id);
        assert_string_equal(json_get_string(value, "status"), "queued");
        assert_string_equal(json_get_string(json_get_object(value, "request"), "prompt"), "say \"a\"");
        assert_int_equal(json_get_integer(value, "created_at", 0), 1000);
        assert_false(json_has(value, "started_at"));
        assert_false(json_has(value, "ended_at"));
        assert_false(json_has(value, "retry_at"));
        assert_false(json_has(value, "failure"));
        assert_false(json_has(value, "asked"));
        assert_false(json_has(value, "usage"));
        assert_null(json_get_array(value, "images")->child);
        assert_null(json_get_array(value, "attempts")->child);
}

static void test_job_of_an_alias(_unused_ void **state) {
        _cleanup_(job_freep) Job *job = new_job();
        _cleanup_(json_freep) JsonValue *value = NULL;

        job->asked = strdup("{\"model\":\"old\",\"quality\":\"hd\"}");
        value = travel(job);
        assert_string_equal(json_get_string(value, "model"), "m");
        assert_string_equal(json_get_string(json_get_object(value, "asked"), "model"), "old");
        assert_string_equal(json_get_string(json_get_object(value, "asked"), "quality"), "hd");
}

static void test_completed_job(_unused_ void **state) {
        _cleanup_(job_freep) Job *job = new_job();
        _cleanup_(json_freep) JsonValue *value = NULL;
        const JsonValue *image, *attempt;

        job->status = JOB_COMPLETED;
        job->started_at = 2000;
        job->ended_at = 3000;
        job->usage = json_new_object();
        assert_int_equal(json_add_integer(job->usage, "total_tokens", 5), 0);
        job->images = calloc(1, sizeof(*job->images));
        job->n_images = 1;
        job->images[0].facts = (ImageFacts) { .sha256 = "ab", .format = IMAGE_WEBP, .width = 3, .height = 4,
                                              .size_bytes = 5 };
        job->attempts = calloc(1, sizeof(*job->attempts));
        job->n_attempts = 1;
        job->attempts[0] = (Attempt) { .number = 1, .provider = strdup("box"), .outcome = ATTEMPT_COMPLETED,
                                       .started_at = 2000, .ended_at = 3000, .provider_request_id = strdup("req") };

        value = travel(job);
        assert_string_equal(json_get_string(value, "status"), "completed");
        assert_int_equal(json_get_integer(value, "ended_at", 0), 3000);
        assert_int_equal(json_get_integer(json_get_object(value, "usage"), "total_tokens", 0), 5);
        image = json_get_array(value, "images")->child;
        assert_string_equal(json_get_string(image, "format"), "webp");
        assert_int_equal(json_get_integer(image, "height", 0), 4);
        attempt = json_get_array(value, "attempts")->child;
        assert_string_equal(json_get_string(attempt, "outcome"), "completed");
        assert_string_equal(json_get_string(attempt, "provider_request_id"), "req");
        assert_false(json_has(attempt, "cause"));
        assert_false(json_has(attempt, "retry_delay_usec"));
}

static void test_job_that_is_to_be_tried_again(_unused_ void **state) {
        _cleanup_(job_freep) Job *job = new_job();
        _cleanup_(json_freep) JsonValue *value = NULL;

        job->not_before = 5000;
        job->attempts = calloc(1, sizeof(*job->attempts));
        job->n_attempts = 1;
        job->attempts[0] = (Attempt) { .number = 1, .provider = strdup("box"), .outcome = ATTEMPT_REFUSED,
                                       .started_at = 2000, .ended_at = 3000, .cause = strdup("HTTP 429"),
                                       .retry_delay = 1500 };
        value = travel(job);
        assert_int_equal(json_get_integer(value, "retry_at", 0), 5000);
        assert_int_equal(json_get_integer(json_get_array(value, "attempts")->child, "retry_delay_usec", 0), 1500);
}

static void test_failed_job(_unused_ void **state) {
        _cleanup_(job_freep) Job *job = new_job();
        _cleanup_(json_freep) JsonValue *value = NULL;

        job->status = JOB_FAILED;
        assert_int_equal(failure_set(&job->failure, 429, "requests", "slow_down", NULL, "later"), 0);
        value = travel(job);
        assert_int_equal(json_get_integer(json_get_object(value, "failure"), "status", 0), 429);
        assert_string_equal(json_get_string(json_get_object(value, "failure"), "message"), "later");
}

static void test_failure_there_and_back(_unused_ void **state) {
        _cleanup_(failure_done) Failure failure = {}, read = {};
        _cleanup_(json_freep) JsonValue *value = NULL;

        assert_int_equal(failure_set(&failure, 400, "t", "c", "p", "m"), 0);
        assert_int_equal(failure_set(&failure, 400, "t", "c", NULL, "m"), 0);  /* what was there goes */
        value = failure_to_json(&failure);
        assert_int_equal(failure_from_json(&read, value), 0);
        assert_int_equal(read.status, 400);
        assert_string_equal(read.type, "t");
        assert_string_equal(read.code, "c");
        assert_null(read.param);
        assert_string_equal(read.message, "m");
}

static void test_names_of_states(_unused_ void **state) {
        for (JobStatus status = 0; status < _JOB_STATUSES; status++) {
                assert_int_equal(job_status_from_name(job_status_name(status)), status);
                assert_int_equal(job_status_ended(status), status != JOB_QUEUED && status != JOB_IN_PROGRESS);
        }
        assert_int_equal(job_status_from_name("running"), JOB_STATUS_INVALID);
        assert_int_equal(job_status_from_name(NULL), JOB_STATUS_INVALID);
}

static void test_nothing_is_freed(_unused_ void **state) {
        assert_null(job_free(NULL));
        assert_null(job_free(calloc(1, sizeof(Job))));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_queued_job),
                cmocka_unit_test(test_job_of_an_alias),
                cmocka_unit_test(test_completed_job),
                cmocka_unit_test(test_job_that_is_to_be_tried_again),
                cmocka_unit_test(test_failed_job),
                cmocka_unit_test(test_failure_there_and_back),
                cmocka_unit_test(test_names_of_states),
                cmocka_unit_test(test_nothing_is_freed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
