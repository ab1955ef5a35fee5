/* The openai provider asked for a stream, against a server on loopback: what comes of every kind of stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "base/text.h"
#include "generation-fixture.h"
#include "loopback-server.h"
#include "sample-images.h"

#define KEY "sk-test-0123456789abcdef"
#define STREAM_HEADERS "Content-Type: text/event-stream; charset=utf-8\r\nX-Request-Id: req_1\r\n"

static char png_base64[BASE64_ENCODED_SIZE(sizeof(sample_png)) + 1],
        jpeg_base64[BASE64_ENCODED_SIZE(sizeof(sample_jpeg)) + 1];

typedef struct Fixture {
        GenerationFixture *generation;
        LoopbackServer *server;
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        fixture->generation = fixture_new();
        (void) base64_encode(sample_png, sizeof(sample_png), png_base64);
        (void) base64_encode(sample_jpeg, sizeof(sample_jpeg), jpeg_base64);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;

        fixture_free(fixture->generation);
        if (fixture->server)
                loopback_server_free(fixture->server);
        free(fixture);
        return 0;
}

static void serve(Fixture *fixture, LoopbackHandler handler, const char *answer) {
        char url[64];

        fixture->server = loopback_server_new(handler);
        fixture->server->answer = answer ? strdup(answer) : NULL;
        (void) strcpy(url, loopback_url(fixture->server, "/v1/"));
        assert_int_equal(
                fixture_add_provider(fixture->generation, &(ProviderSettings){ .name = "openai",
                                                                               .kind = "openai",
                                                                               .base_url = url,
                                                                               .key = KEY,
                                                                               .connect_timeout = 5 * USEC_PER_SEC }),
                0);
}

static bool answer_stream(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_answer(fd, 200, STREAM_HEADERS, server->answer);
        return true;
}

static bool answer_json(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_answer(fd, 200, "Content-Type: application/json\r\n", server->answer);
        return true;
}

#define SIZED .size = "24x16", .width = SAMPLE_WIDTH, .height = SAMPLE_HEIGHT

static GenerationResult *run(Fixture *fixture, LoopbackHandler handler, const char *answer, unsigned partial_images) {
        serve(fixture, handler, answer);
        fixture_generate(fixture->generation, (GenerationRequest){ .model = "gpt-image-2",
                                                                   SIZED,
                                                                   .output_compression = -1,
                                                                   .stream = true,
                                                                   .partial_images = partial_images });
        return &fixture->generation->result;
}

/* Events as OpenAI writes them. The caller frees what is returned. */
static char *partial(unsigned index, const char *base64) {
        return text_format("event: image_generation.partial_image\n"
                           "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"%s\","
                           "\"partial_image_index\":%u,\"created_at\":1,\"size\":\"24x16\",\"quality\":\"low\","
                           "\"background\":\"opaque\",\"output_format\":\"png\"}\n\n",
                           base64, index);
}

static char *completed(const char *base64) {
        return text_format("event: image_generation.completed\n"
                           "data: {\"type\":\"image_generation.completed\",\"b64_json\":\"%s\",\"created_at\":2,"
                           "\"size\":\"24x16\",\"quality\":\"high\",\"background\":\"opaque\","
                           "\"output_format\":\"png\",\"usage\":{\"total_tokens\":7}}\n\n",
                           base64);
}

static char *good_stream(void) {
        _cleanup_free_ char *first = partial(0, jpeg_base64), *second = partial(1, png_base64),
                            *last = completed(png_base64);

        return text_format("%s: still at work\n\n%s%s", first, second, last);
}

static void assert_completed(const GenerationResult *result) {
        assert_int_equal(result->outcome, GENERATION_COMPLETED);
        assert_int_equal(result->n_images, 1);
        assert_int_equal(temporary_image_facts(result->images[0].file)->format, IMAGE_PNG);
        assert_int_equal(json_get_integer(result->usage, "total_tokens", 0), 7);
        assert_string_equal(json_get_string(result->reply, "quality"), "high");
        assert_string_equal(json_get_string(result->reply, "size"), "24x16");
}

static void assert_failed(const GenerationResult *result, GenerationOutcome outcome, int status, const char *code) {
        assert_int_equal(result->outcome, outcome);
        assert_int_equal(result->status, status);
        assert_string_equal(result->code ?: "", code);
        assert_non_null(result->type);
        assert_non_null(result->message);
        assert_non_null(result->cause);
        assert_int_equal(result->n_images, 0);
        assert_null(result->images[0].file);
}

static void test_partial_images_then_the_image(void **state) {
        Fixture *fixture = *state;
        GenerationFixture *generation = fixture->generation;
        _cleanup_free_ char *stream = good_stream();
        GenerationResult *result = run(fixture, answer_stream, stream, 2);

        assert_completed(result);
        assert_string_equal(result->provider_request_id, "req_1");
        assert_int_equal(generation->n_partials, 2);
        assert_int_equal(generation->partial_indexes[0], 0);
        assert_int_equal(generation->partial_indexes[1], 1);
        assert_int_equal(generation->partial_facts[0].format, IMAGE_JPEG);
        assert_int_equal(generation->partial_facts[1].size_bytes, sizeof(sample_png));
        assert_string_equal(generation->partial_quality, "low");
}

static bool answer_byte_by_byte(LoopbackServer *server, int fd, _unused_ const char *request,
                                _unused_ unsigned number) {
        char head[256];

        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", STREAM_HEADERS,
                        strlen(server->answer));
        loopback_send_text(fd, head);
        for (const char *p = server->answer; *p; p++)
                loopback_send(fd, p, 1);
        return true;
}

static void test_stream_in_small_pieces(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *stream = good_stream();

        assert_completed(run(fixture, answer_byte_by_byte, stream, 2));
        assert_int_equal(fixture->generation->n_partials, 2);
}

static void test_what_is_asked_for(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *stream = good_stream();
        _cleanup_(json_freep) JsonValue *body = NULL;
        const char *text;

        (void) run(fixture, answer_stream, stream, 2);
        text = strstr(fixture->server->last_request, "\r\n\r\n") + 4;
        assert_int_equal(json_parse(text, strlen(text), &body, NULL), 0);
        assert_true(json_get_bool(body, "stream", false));
        assert_int_equal(json_get_integer(body, "partial_images", -1), 2);
        assert_int_equal(json_get_integer(body, "n", -1), 1);
}

static void test_no_partial_images_are_asked_for(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *stream = good_stream();

        assert_completed(run(fixture, answer_stream, stream, 0));
        assert_null(strstr(fixture->server->last_request, "partial_images"));
        assert_int_equal(fixture->generation->n_partials, 0); /* they came all the same */
}

/* OpenRouter: no names, comments, an end mark. */
static void test_data_alone(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *stream = text_format(
                ": OPENROUTER PROCESSING\n\n"
                "data: {\"type\":\"image_generation.text_chunk\",\"text\":\"hm\",\"phase\":\"draft\"}\n\n"
                "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"%s\"}\n\n"
                "data: {\"type\":\"image_generation.completed\",\"b64_json\":\"%s\",\"quality\":\"high\","
                "\"size\":\"24x16\",\"usage\":{\"total_tokens\":7}}\n\ndata: [DONE]\n\n",
                png_base64, png_base64);

        assert_completed(run(fixture, answer_stream, stream, 1));
        assert_int_equal(fixture->generation->n_partials, 1);
}

static void test_json_in_place_of_a_stream(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *answer = text_format("{\"created\":1,\"data\":[{\"b64_json\":\"%s\"}],\"size\":\"24x16\","
                                                  "\"quality\":\"high\",\"usage\":{\"total_tokens\":7}}",
                                                  png_base64);

        assert_completed(run(fixture, answer_json, answer, 2));
}

static void test_bad_partial_images_are_passed_over(void **state) {
        static const char *const bad[] = { "not base64!", "aGVsbG8=", "" };
        Fixture *fixture = *state;
        _cleanup_(buffer_done) Buffer stream = {};
        _cleanup_free_ char *good = partial(2, png_base64), *beyond = partial(7, png_base64);
        _cleanup_free_ char *last = completed(png_base64);

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                _cleanup_free_ char *event = partial(0, bad[i]);

                assert_int_equal(buffer_append(&stream, event, strlen(event)), 0);
        }
        assert_true(buffer_printf(&stream, "%s%s%s", beyond, good, last) >= 0);
        assert_int_equal(buffer_append(&stream, "", 1), 0);
        assert_completed(run(fixture, answer_stream, (const char *) stream.data, 3));
        assert_int_equal(fixture->generation->n_partials, 1);
        assert_int_equal(fixture->generation->partial_indexes[0], 2);
}

static void test_more_partial_images_than_asked_for(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *one = partial(0, png_base64), *last = completed(png_base64);
        _cleanup_free_ char *stream = text_format("%s%s%s%s", one, one, one, last);

        assert_completed(run(fixture, answer_stream, stream, 1));
        assert_int_equal(fixture->generation->n_partials, 1);
}

static void test_nothing_counts_after_the_image(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *one = partial(0, png_base64), *last = completed(png_base64);
        _cleanup_free_ char *stream = text_format("%s%sevent: error\ndata: {\"error\":{\"message\":\"no\"}}\n\n"
                                                  "data: garbage\n\n%s",
                                                  last, one, last);

        assert_completed(run(fixture, answer_stream, stream, 1));
        assert_int_equal(fixture->generation->n_partials, 0);
}

static void test_streams_that_cannot_be_used(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *one = partial(0, png_base64), *last = completed(png_base64);
        _cleanup_free_ char *unended = strndup(last, strlen(last) - 1);
        _cleanup_free_ char *bad_base64 = completed("not base64!"), *no_image = completed("aGVsbG8=");
        const struct {
                const char *stream, *cause;
        } cases[] = {
                { "", "bad reply: the stream ended before its image was complete" },
                { one, "bad reply: the stream ended before its image was complete" },
                { unended, "bad reply: the stream ended before its image was complete" },
                { "data: [DONE]\n\n", "bad reply: the stream ended before its image was complete" },
                { "<html>Just a moment</html>\n", "bad reply: the stream ended before its image was complete" },
                { "data: <html>\n\n", "bad reply: value expected" },
                { "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\"}\n\n",
                  "bad reply: an image is missing" },
                { bad_base64, "bad reply: image 0: not base64" },
                { no_image, "bad reply: image 0: " },
                { "event: 0123456789012345678901234567890123456789012345678901234567890123456789\n",
                  "bad reply: the name of an event is too long" },
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                GenerationResult *result = run(fixture, answer_stream, cases[i].stream, 1);

                assert_failed(result, GENERATION_UNKNOWN, 502, "provider_bad_reply");
                if (strncmp(result->cause, cases[i].cause, strlen(cases[i].cause)) != 0)
                        assert_string_equal(result->cause, cases[i].cause);
                fixture->generation->provider = provider_free(fixture->generation->provider);
                loopback_server_free(fixture->server);
                fixture->server = NULL;
        }
}

static void test_wrong_size(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *last = completed(png_base64);

        serve(fixture, answer_stream, last);
        fixture_generate(fixture->generation, (GenerationRequest){ .model = "m",
                                                                   .size = "16x16",
                                                                   .width = 16,
                                                                   .height = 16,
                                                                   .output_compression = -1,
                                                                   .stream = true });
        assert_failed(&fixture->generation->result, GENERATION_UNKNOWN, 502, "provider_bad_reply");
}

static void test_errors_in_a_stream(void **state) {
        static const struct {
                const char *data;
                int status;
                const char *code;
        } cases[] = {
                { "{\"type\":\"error\",\"error\":{\"message\":\"blocked " KEY "\","
                  "\"type\":\"image_generation_user_error\",\"param\":null,\"code\":\"moderation_blocked\"}}",
                  400, "moderation_blocked" },
                { "{\"error\":{\"message\":\"slow\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}", 429,
                  "rate_limit_exceeded" },
                { "{\"type\":\"error\",\"error\":{\"message\":\"broken\",\"type\":\"server_error\",\"code\":null}}",
                  500, "" },
                { "{\"type\":\"error\",\"error\":{\"message\":\"no money\",\"code\":402}}", 402, "402" },
                { "{\"type\":\"error\",\"error\":\"text\"}", 500, "" },
        };
        Fixture *fixture = *state;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_free_ char *one = partial(0, png_base64);
                _cleanup_free_ char *stream = text_format("%sevent: error\ndata: %s\n\n", one, cases[i].data);
                GenerationResult *result = run(fixture, answer_stream, stream, 1);

                assert_failed(result, GENERATION_REFUSED, cases[i].status, cases[i].code);
                assert_null(strstr(result->message, KEY));
                assert_null(strstr(result->cause, KEY));
                assert_int_equal(fixture->generation->n_partials, 1);
                fixture->generation->provider = provider_free(fixture->generation->provider);
                loopback_server_free(fixture->server);
                fixture->server = NULL;
        }
}

/* More is promised than comes. */
static bool cut(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        char head[256];

        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", STREAM_HEADERS,
                        strlen(server->answer) + 1000);
        loopback_send_text(fd, head);
        loopback_send_text(fd, server->answer);
        return false;
}

static void test_cut_before_the_image(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *one = partial(0, png_base64);

        assert_failed(run(fixture, cut, one, 1), GENERATION_UNKNOWN, 502, "provider_bad_reply");
        assert_int_equal(fixture->generation->n_partials, 1);
}

static void test_cut_after_the_image(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *last = completed(png_base64);

        assert_completed(run(fixture, cut, last, 0));
}

static bool never_end(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        char head[256];

        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%s\r\n", STREAM_HEADERS);
        loopback_send_text(fd, head);
        loopback_send_text(fd, server->answer);
        loopback_await_close(fd);
        return false;
}

/* Long before the attempt's timeout. */
static void test_a_server_that_does_not_end_the_stream(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *last = completed(png_base64);
        usec_t begun = time_now_monotonic();

        assert_completed(run(fixture, never_end, last, 0));
        assert_true(time_now_monotonic() < begun + FIXTURE_TIMEOUT / 2);
}

static void test_a_stream_that_stands_still(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *one = partial(0, png_base64);

        serve(fixture, never_end, one);
        fixture_generate(fixture->generation, (GenerationRequest){ .model = "m",
                                                                   .output_compression = -1,
                                                                   .stream = true,
                                                                   .partial_images = 1,
                                                                   .timeout = 300 * USEC_PER_MSEC });
        assert_failed(&fixture->generation->result, GENERATION_UNKNOWN, 504, "provider_timeout");
        assert_int_equal(fixture->generation->n_partials, 1);
}

static bool has_partial(GenerationFixture *fixture) {
        return fixture->n_partials > 0;
}

static void test_cancel_in_mid_stream(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *one = partial(0, png_base64);
        Generation *generation;

        serve(fixture, never_end, one);
        generation = fixture_start(fixture->generation, (GenerationRequest){ .model = "m",
                                                                             .output_compression = -1,
                                                                             .stream = true,
                                                                             .partial_images = 1 });
        fixture_run_until(fixture->generation, has_partial);
        generation_cancel(generation);
        assert_failed(&fixture->generation->result, GENERATION_UNKNOWN, 500, "cancelled");
}

static bool answer_400(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_answer(fd, 400, "Content-Type: application/json\r\n", server->answer);
        return true;
}

static void test_refusal_before_the_stream(void **state) {
        Fixture *fixture = *state;

        assert_failed(run(fixture, answer_400, "{\"error\":{\"message\":\"no\",\"type\":\"t\",\"code\":\"c\"}}", 1),
                      GENERATION_REFUSED, 400, "c");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_partial_images_then_the_image),
                TEST(test_stream_in_small_pieces),
                TEST(test_what_is_asked_for),
                TEST(test_no_partial_images_are_asked_for),
                TEST(test_data_alone),
                TEST(test_json_in_place_of_a_stream),
                TEST(test_bad_partial_images_are_passed_over),
                TEST(test_more_partial_images_than_asked_for),
                TEST(test_nothing_counts_after_the_image),
                TEST(test_streams_that_cannot_be_used),
                TEST(test_wrong_size),
                TEST(test_errors_in_a_stream),
                TEST(test_cut_before_the_image),
                TEST(test_cut_after_the_image),
                TEST(test_a_server_that_does_not_end_the_stream),
                TEST(test_a_stream_that_stands_still),
                TEST(test_cancel_in_mid_stream),
                TEST(test_refusal_before_the_stream),
        };

        return cmocka_run_group_tests_name("openai-stream", tests, NULL, NULL);
}
