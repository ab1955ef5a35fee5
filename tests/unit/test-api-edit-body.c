/* The body of an edit, as a form and as JSON: what becomes of it, and each bound at its edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "base/text.h"
#include "edit-body.h"

#define FORM "multipart/form-data; boundary=B"
#define JSON "application/json"
#define NONCE "0123456789abcdef0123456789abcdef"
#define FIELD(name, value) "--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_FIELD(name, value) \
        "--B\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"a.png\"\r\n" \
        "Content-Type: image/png\r\n\r\n" value "\r\n"
#define END "--B--\r\n"
#define PROMPT FIELD("prompt", "p")

static const UploadLimits limits = { .file_max = 1000, .request_max = 1500, .in_flight_max = 4000 };

typedef struct Fixture {
        UploadMeter meter;
        EditBody *body;
        ApiError error;
} Fixture;

static int set_up(void **state) {
        *state = calloc(1, sizeof(Fixture));
        return 0;
}

/* What was counted is counted no more. */
static int tear_down(void **state) {
        Fixture *fixture = *state;

        (void) edit_body_free(fixture->body);
        assert_int_equal(fixture->meter.bytes, 0);
        free(fixture);
        return 0;
}

/* In pieces of `step` bytes. */
static int take(Fixture *fixture, const char *type, const void *text, size_t size, size_t step) {
        int r;

        fixture->body = edit_body_free(fixture->body);
        fixture->error = (ApiError){};
        r = edit_body_new(&fixture->body, type, 0, NONCE, &fixture->meter, &limits, &fixture->error);
        for (size_t at = 0; at < size && r == 0; at += step)
                r = edit_body_write(fixture->body, (const char *) text + at, MIN(step, size - at), &fixture->error);
        return r == 0 ? edit_body_finish(fixture->body, &fixture->error) : r;
}

static void check_taken(Fixture *fixture, const char *type, const char *text, size_t size, const char *request,
                        const char *bytes) {
        for (size_t step = 1; step <= size; step += step < 8 ? 1 : step) {
                _cleanup_(json_freep) JsonValue *value = NULL;
                _cleanup_free_ char *formatted = NULL;
                char found[2048] = "";

                if (take(fixture, type, text, size, step) != 0)
                        fail_msg("in pieces of %zu: %s", step, fixture->error.message);
                value = edit_body_request(fixture->body);
                formatted = json_format(value);
                assert_string_equal(formatted, request);
                assert_int_equal(fd_pread_all(edit_body_fd(fixture->body), found, sizeof(found) - 1, 0), strlen(bytes));
                assert_string_equal(found, bytes);
        }
}

static void check_refused(Fixture *fixture, const char *type, const char *text, size_t size, unsigned status,
                          const char *code, const char *param, const char *message) {
        for (size_t step = 1; step <= size; step += step < 8 ? 1 : step) {
                assert_int_equal(take(fixture, type, text, size, step), EDIT_REFUSED);
                if (!strstr(fixture->error.message, message))
                        fail_msg("'%s' is not in '%s'", message, fixture->error.message);
                assert_int_equal(fixture->error.status, status);
                assert_string_equal(fixture->error.code, code);
                assert_string_equal(fixture->error.param, param);
        }
}

#define CHECK_TAKEN(type, text, request, bytes) check_taken(*state, type, text, sizeof(text) - 1, request, bytes)
#define CHECK_REFUSED(type, text, status, code, param, message) \
        check_refused(*state, type, text, sizeof(text) - 1, status, code, param, message)

/* ------------------------------------------------------------------ forms */

static void test_form_becomes_a_request(void **state) {
        CHECK_TAKEN(FORM,
                    FILE_FIELD("image", "one") FIELD("prompt", "a \xc3\xa9") FIELD("n", "2") FIELD("output_compression", "0")
                    FIELD("stream", "true") FIELD("partial_images", "3") FIELD("input_fidelity", "high") END,
                    "{\"prompt\":\"a \xc3\xa9\",\"n\":2,\"output_compression\":0,\"stream\":true,\"partial_images\":3,"
                    "\"input_fidelity\":\"high\",\"uploads\":[{\"size_bytes\":3}]}", "one");
        CHECK_TAKEN(FORM, FILE_FIELD("mask", "m") PROMPT FILE_FIELD("image[]", "1") FILE_FIELD("image[]", "22") END,
                    "{\"prompt\":\"p\",\"uploads\":[{\"size_bytes\":1,\"mask\":true},{\"size_bytes\":1},{\"size_bytes\":2}]}",
                    "m122");
        CHECK_TAKEN(FORM, FILE_FIELD("image", "1") PROMPT FIELD("stream", "false") FIELD("partial_images", "0") END,
                    "{\"prompt\":\"p\",\"uploads\":[{\"size_bytes\":1}]}", "1");
}

static void test_bad_forms_are_refused(void **state) {
        CHECK_REFUSED(FORM, PROMPT END, 400, "missing_required_parameter", "image", "'image'");
        CHECK_REFUSED(FORM, FILE_FIELD("image", "1") END, 400, "missing_required_parameter", "prompt", "'prompt'");
        CHECK_REFUSED(FORM, PROMPT FILE_FIELD("image", "") END, 400, "invalid_image", "image", "empty");
        CHECK_REFUSED(FORM, PROMPT FILE_FIELD("mask", "") END, 400, "invalid_image", "mask", "empty");
        CHECK_REFUSED(FORM, FILE_FIELD("mask", "1") FILE_FIELD("mask", "2") END, 400, "duplicate_parameter", "mask", "twice");
        CHECK_REFUSED(FORM, PROMPT PROMPT END, 400, "duplicate_parameter", "prompt", "'prompt' is given twice");
        CHECK_REFUSED(FORM, FIELD("colour", "red") END, 400, "unknown_parameter", "colour", "'colour'");
        CHECK_REFUSED(FORM, FIELD("images", "x") END, 400, "unknown_parameter", "images", "'images'");
        CHECK_REFUSED(FORM, FIELD("n", "two") END, 400, "invalid_type", "n", "an integer");
        CHECK_REFUSED(FORM, FIELD("n", "-1") END, 400, "invalid_type", "n", "an integer");
        CHECK_REFUSED(FORM, FIELD("n", "1234567890") END, 400, "invalid_type", "n", "an integer");
        CHECK_REFUSED(FORM, FIELD("n", "") END, 400, "invalid_type", "n", "an integer");
        CHECK_REFUSED(FORM, FIELD("stream", "1") END, 400, "invalid_type", "stream", "'true' or 'false'");
        CHECK_REFUSED(FORM, FIELD("prompt", "a\0b") END, 400, "invalid_type", "prompt", "without NUL");
        CHECK_REFUSED(FORM, FIELD("prompt", "\xff") END, 400, "invalid_type", "prompt", "UTF-8");
        CHECK_REFUSED(FORM, PROMPT FILE_FIELD("image", "1"), 400, "invalid_multipart", "", "ends before");
        CHECK_REFUSED(FORM, "x", 400, "invalid_multipart", "", "boundary");
        CHECK_REFUSED("multipart/form-data", "x", 400, "invalid_multipart", "", "names no boundary");
}

static int take_images(Fixture *fixture, unsigned n) {
        _cleanup_(buffer_done) Buffer text = {};

        assert_true(buffer_append_text(&text, PROMPT) >= 0);
        for (unsigned i = 0; i < n; i++)
                assert_true(buffer_append_text(&text, FILE_FIELD("image[]", "1")) >= 0);
        assert_true(buffer_append_text(&text, END) >= 0);
        return take(fixture, FORM, text.data, text.size, 100);
}

/* The mask makes the seventeenth; how many of them are images is the worker's to count. */
static void test_number_of_pictures_at_the_limit_and_one_past(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(take_images(fixture, UPLOADS_MAX), 0);
        assert_int_equal(take_images(fixture, UPLOADS_MAX + 1), EDIT_REFUSED);
        assert_string_equal(fixture->error.code, "array_above_max_length");
}

/* Two pictures of so many bytes. */
static int take_sizes(Fixture *fixture, size_t first, size_t second, size_t prompt) {
        _cleanup_(buffer_done) Buffer text = {};
        const size_t sizes[] = { first, second };
        _cleanup_free_ char *bytes = calloc(1, MAX(prompt, (size_t) 4096) + 1);

        memset(bytes, 'x', MAX(prompt, (size_t) 4096));
        assert_true(buffer_append_text(&text, "--B\r\nContent-Disposition: form-data; name=prompt\r\n\r\n") >= 0);
        assert_true(buffer_append(&text, bytes, prompt) >= 0);
        for (size_t i = 0; i < 2; i++) {
                assert_true(buffer_append_text(&text, "\r\n--B\r\nContent-Disposition: form-data; name=image\r\n\r\n") >= 0);
                assert_true(buffer_append(&text, bytes, sizes[i]) >= 0);
        }
        assert_true(buffer_append_text(&text, "\r\n" END) >= 0);
        return take(fixture, FORM, text.data, text.size, 333);
}

static void test_sizes_at_the_limit_and_one_past(void **state) {
        Fixture *fixture = *state;

        assert_int_equal(take_sizes(fixture, 1000, 500, 1), 0);
        assert_int_equal(take_sizes(fixture, 1001, 1, 1), EDIT_REFUSED);
        assert_int_equal(fixture->error.status, 413);
        assert_string_equal(fixture->error.code, "image_too_large");
        assert_int_equal(take_sizes(fixture, 1000, 501, 1), EDIT_REFUSED);
        assert_int_equal(fixture->error.status, 413);
        assert_string_equal(fixture->error.code, "body_too_large");
        assert_int_equal(take_sizes(fixture, 1, 1, EDIT_TEXT_BYTES_MAX), 0);
        assert_int_equal(take_sizes(fixture, 1, 1, EDIT_TEXT_BYTES_MAX + 1), EDIT_REFUSED);
        assert_int_equal(fixture->error.status, 413);
        assert_string_equal(fixture->error.param, "prompt");
}

/* ------------------------------------------------------------------ all that are under way */

static int announce(Fixture *fixture, EditBody **ret, uint64_t length) {
        return edit_body_new(ret, FORM, length, NONCE, &fixture->meter, &limits, &fixture->error);
}

static void test_announced_bytes_count_at_once_up_to_the_bound(void **state) {
        Fixture *fixture = *state;
        EditBody *bodies[3] = {}, *more = NULL;

        assert_int_equal(announce(fixture, &bodies[0], 1500), 0);
        assert_int_equal(announce(fixture, &bodies[1], UINT64_MAX), 0);  /* of a request at most */
        assert_int_equal(announce(fixture, &bodies[2], 1000), 0);
        assert_int_equal(fixture->meter.bytes, 4000);
        assert_int_equal(announce(fixture, &more, 1), EDIT_REFUSED);
        assert_int_equal(fixture->error.status, 503);
        assert_string_equal(fixture->error.code, "too_many_uploads");
        bodies[2] = edit_body_free(bodies[2]);
        assert_int_equal(announce(fixture, &more, 1000), 0);
        (void) edit_body_free(more);
        (void) edit_body_free(bodies[0]);
        (void) edit_body_free(bodies[1]);
}

static void test_bytes_that_nobody_announced_count_as_they_come(void **state) {
        static const char head[] = FILE_FIELD("image", "");
        Fixture *fixture = *state;
        EditBody *other = NULL;
        char bytes[512] = "";

        fixture->meter.bytes = 3000;
        assert_int_equal(announce(fixture, &other, 0), 0);
        assert_int_equal(edit_body_write(other, head, sizeof(head) - 3, &fixture->error), 0);
        assert_int_equal(edit_body_write(other, bytes, 500, &fixture->error), 0);
        assert_int_equal(edit_body_write(other, bytes, 500, &fixture->error), 0);
        assert_int_equal(fixture->meter.bytes, 4000);
        (void) edit_body_free(other);
        assert_int_equal(fixture->meter.bytes, 3000);

        fixture->meter.bytes = 3001;
        assert_int_equal(announce(fixture, &other, 0), 0);
        assert_int_equal(edit_body_write(other, head, sizeof(head) - 3, &fixture->error), 0);
        assert_int_equal(edit_body_write(other, bytes, 500, &fixture->error), 0);
        assert_int_equal(edit_body_write(other, bytes, 500, &fixture->error), EDIT_REFUSED);
        assert_int_equal(fixture->error.status, 503);
        (void) edit_body_free(other);
        fixture->meter.bytes = 0;
}

static void test_file_has_no_name(void **state) {
        Fixture *fixture = *state;
        struct stat st;

        assert_int_equal(take_images(fixture, 1), 0);
        assert_int_equal(fstat(edit_body_fd(fixture->body), &st), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(st.st_nlink, 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

/* ------------------------------------------------------------------ JSON */

#define URL(base64) "\"image_url\":\"data:image/png;base64," base64 "\""

static void test_json_becomes_a_request(void **state) {
        CHECK_TAKEN(JSON, "{\"prompt\":\"p\",\"images\":[{" URL("b25l") "}],\"n\":2}",
                    "{\"prompt\":\"p\",\"n\":2,\"uploads\":[{\"size_bytes\":3}]}", "one");
        CHECK_TAKEN(JSON, "{ \"mask\" : { \"image_url\" : \"data:;base64,bQ==\" } , \"images\":[{" URL("MQ==") "},{" URL("MjI=")
                    "}],\"prompt\":\"p\"}",
                    "{\"prompt\":\"p\",\"uploads\":[{\"size_bytes\":1,\"mask\":true},{\"size_bytes\":1},{\"size_bytes\":2}]}",
                    "m122");
        CHECK_TAKEN(JSON, "{\"images\":[{\"image_url\":\"data:image\\/png;base64,Pz8\\/\"}],\"mask\":null,\"prompt\":\"p\"}",
                    "{\"prompt\":\"p\",\"uploads\":[{\"size_bytes\":3}]}", "???");
        /* What only looks like a picture stays what it is. */
        CHECK_TAKEN(JSON, "{\"images\":[{" URL("MQ==") "}],\"prompt\":\"\\\"image_url\\\":\\\"data:x;base64,MQ==\\\" image_url\"}",
                    "{\"prompt\":\"\\\"image_url\\\":\\\"data:x;base64,MQ==\\\" image_url\",\"uploads\":[{\"size_bytes\":1}]}", "1");
        CHECK_TAKEN(JSON, "{\"images\":[{" URL("MQ==") "}],\"prompt\":\"image_url\",\"user\":\"data:image/png;base64,MQ==\"}",
                    "{\"prompt\":\"image_url\",\"user\":\"data:image/png;base64,MQ==\",\"uploads\":[{\"size_bytes\":1}]}", "1");
}

static void test_bad_json_is_refused(void **state) {
        CHECK_REFUSED(JSON, "{\"prompt\":\"p\"}", 400, "missing_required_parameter", "images", "'images'");
        CHECK_REFUSED(JSON, "{\"prompt\":\"p\",\"images\":[]}", 400, "missing_required_parameter", "images", "'images'");
        CHECK_REFUSED(JSON, "{\"prompt\":\"p\",\"images\":{" URL("MQ==") "}}", 400, "missing_required_parameter", "images",
                      "an array");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ==") "}]}", 400, "missing_required_parameter", "prompt", "'prompt'");
        CHECK_REFUSED(JSON, "{\"images\":[{\"image_url\":\"https://a.example/b.png\"}]}", 400, "invalid_value", "images",
                      "Links are not fetched");
        CHECK_REFUSED(JSON, "{\"images\":[{\"file_id\":\"f\"}]}", 400, "invalid_value", "images", "file_id");
        CHECK_REFUSED(JSON, "{\"images\":[\"data:image/png;base64,MQ==\"]}", 400, "invalid_value", "images", "image_url");
        CHECK_REFUSED(JSON, "{\"images\":[{\"image_url\":\"data:image/png,MQ==\"}]}", 400, "invalid_value", "images", "data URL");
        CHECK_REFUSED(JSON, "{\"images\":[{\"image_url\":\"data:image/png;base64\"}]}", 400, "invalid_value", "images", "data URL");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ==") ",\"file_id\":\"f\"}]}", 400, "invalid_value", "images", "");
        CHECK_REFUSED(JSON, "{\"images\":[{\"image_url\":\"" NONCE " picture 0\"}]}", 400, "invalid_value", "images", "");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ==") "}],\"mask\":\"x\"}", 400, "invalid_value", "mask", "data URL");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ==") "}],\"style\":{" URL("MQ==") "}}", 400, "unknown_parameter", "image_url",
                      "");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("") "}]}", 400, "invalid_base64", "image_url", "cut short");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ") "}]}", 400, "invalid_base64", "image_url", "cut short");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("M!==") "}]}", 400, "invalid_base64", "image_url", "wrong");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ==MQ==") "}]}", 400, "invalid_base64", "image_url", "wrong");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("M\\u0051==") "}]}", 400, "invalid_base64", "image_url", "wrong");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ=="), 400, "", "", "not valid JSON");
        CHECK_REFUSED(JSON, "{\"images\":[{\"image_url\":\"data:image/png;base64,MQ==", 400, "", "", "ends in a string");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ==") "," URL("MQ==") "}]}", 400, "", "", "duplicate name");
        CHECK_REFUSED(JSON, "[]", 400, "", "", "must be a JSON object");
        CHECK_REFUSED(JSON, "{\"images\":[{" URL("MQ==") "}],\"prompt\":\"p\",\"colour\":1}", 400, "unknown_parameter", "colour", "");
}

static int take_json(Fixture *fixture, size_t padding, const char *head) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_free_ char *spaces = malloc(padding + 1);

        memset(spaces, ' ', padding + 1);
        assert_true(buffer_append(&text, spaces, padding) >= 0);
        assert_true(buffer_printf(&text, "{\"prompt\":\"p\",\"images\":[{\"image_url\":\"data:%s;base64,MQ==\"}]}", head) >= 0);
        return take(fixture, JSON, text.data, text.size, 4096);
}

static void test_json_at_its_limits_and_one_past(void **state) {
        const size_t rest = strlen("{\"prompt\":\"p\",\"images\":[{\"image_url\":\"" NONCE " picture 0\"}]}");
        Fixture *fixture = *state;
        char head[200] = "";

        assert_int_equal(take_json(fixture, EDIT_TEXT_BYTES_MAX - rest, "image/png"), 0);
        assert_int_equal(take_json(fixture, EDIT_TEXT_BYTES_MAX - rest + 1, "image/png"), EDIT_REFUSED);
        assert_int_equal(fixture->error.status, 413);

        memset(head, 'x', 128 - strlen("data:;base64"));
        assert_int_equal(take_json(fixture, 0, head), 0);
        memset(head, 'x', 129 - strlen("data:;base64"));
        assert_int_equal(take_json(fixture, 0, head), EDIT_REFUSED);
        assert_string_equal(fixture->error.param, "images");
}

static void test_longest_body_is_that_of_its_form(_unused_ void **state) {
        assert_int_equal(edit_body_bytes_max(FORM, &limits), 1500 + EDIT_TEXT_BYTES_MAX);
        assert_int_equal(edit_body_bytes_max(JSON, &limits), 2000 + EDIT_TEXT_BYTES_MAX);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_form_becomes_a_request),
                TEST(test_bad_forms_are_refused),
                TEST(test_number_of_pictures_at_the_limit_and_one_past),
                TEST(test_sizes_at_the_limit_and_one_past),
                TEST(test_announced_bytes_count_at_once_up_to_the_bound),
                TEST(test_bytes_that_nobody_announced_count_as_they_come),
                TEST(test_file_has_no_name),
                TEST(test_json_becomes_a_request),
                TEST(test_bad_json_is_refused),
                TEST(test_json_at_its_limits_and_one_past),
                TEST(test_longest_body_is_that_of_its_form),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
