/* The openai provider against a server on loopback: what is asked, and how every kind of answer is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/text.h"
#include "generation-fixture.h"
#include "loopback-server.h"
#include "sample-images.h"

#define KEY "sk-test-0123456789abcdef"

static char png_base64[BASE64_ENCODED_SIZE(sizeof(sample_png)) + 1];

typedef struct Fixture {
        GenerationFixture *generation;
        LoopbackServer *server;
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        fixture->generation = fixture_new();
        (void) base64_encode(sample_png, sizeof(sample_png), png_base64);
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

static bool answer_200(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_answer(fd, 200, "Content-Type: application/json\r\nX-Request-Id: req_1\r\n", server->answer);
        return true;
}

/* One generation of 24x16, answered by 200 and `answer`. */
static GenerationResult *run(Fixture *fixture, const char *answer, GenerationRequest request) {
        serve(fixture, answer_200, answer);
        request.model = request.model ?: "gpt-image-2";
        request.output_compression = -1;
        fixture_generate(fixture->generation, request);
        return &fixture->generation->result;
}

#define SIZED .size = "24x16", .width = SAMPLE_WIDTH, .height = SAMPLE_HEIGHT

static void assert_failed(const GenerationResult *result, GenerationOutcome outcome, int status, const char *code) {
        assert_int_equal(result->outcome, outcome);
        assert_int_equal(result->status, status);
        assert_string_equal(result->code ?: "", code);
        assert_non_null(result->type);
        assert_non_null(result->message);
        assert_non_null(result->cause);
        assert_int_equal(result->n_images, 0);
        for (unsigned i = 0; i < GENERATION_IMAGES_MAX; i++)
                assert_null(result->images[i].file);
}

static void test_images_arrive(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *answer = text_format(
                "{\"created\":1,\"data\":[{\"b64_json\":\"%s\"},{\"b64_json\":\"%s\",\"revised_prompt\":\"a fine "
                "cat\"}],"
                "\"size\":\"24x16\",\"quality\":\"high\",\"background\":null,\"usage\":{\"total_tokens\":7}}",
                png_base64, png_base64);
        GenerationResult *result = run(fixture, answer, (GenerationRequest){ .n = 2, SIZED });

        assert_int_equal(result->outcome, GENERATION_COMPLETED);
        assert_int_equal(result->n_images, 2);
        assert_int_equal(temporary_image_facts(result->images[1].file)->width, SAMPLE_WIDTH);
        assert_null(result->images[0].revised_prompt);
        assert_string_equal(result->images[1].revised_prompt, "a fine cat");
        assert_int_equal(json_get_integer(result->usage, "total_tokens", 0), 7);
        assert_string_equal(json_get_string(result->reply, "quality"), "high");
        assert_false(json_has(result->reply, "background"));
        assert_string_equal(result->provider_request_id, "req_1");
}

static JsonValue *sent_body(Fixture *fixture) {
        const char *body = strstr(fixture->server->last_request, "\r\n\r\n") + 4;
        JsonValue *value = NULL;

        assert_int_equal(json_parse(body, strlen(body), &value, NULL), 0);
        return value;
}

static void test_request_has_only_what_was_given(void **state) {
        Fixture *fixture = *state;
        _cleanup_(json_freep) JsonValue *body = NULL;
        const char *request;

        (void) run(fixture, "{}", (GenerationRequest){ .prompt = "a \"cat\"\n\xc3\xa9", .size = "auto" });
        request = fixture->server->last_request;
        assert_memory_equal(request, "POST /v1/images/generations HTTP/1.1\r\n", 38);
        assert_non_null(strstr(request, "\r\nAuthorization: Bearer " KEY "\r\n"));
        assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
        body = sent_body(fixture);
        assert_int_equal(cJSON_GetArraySize(body), 4);
        assert_string_equal(json_get_string(body, "model"), "gpt-image-2");
        assert_string_equal(json_get_string(body, "prompt"), "a \"cat\"\n\xc3\xa9");
        assert_string_equal(json_get_string(body, "size"), "auto");
        assert_int_equal(json_get_integer(body, "n", 0), 1);
}

static void test_request_has_all_that_was_given(void **state) {
        Fixture *fixture = *state;
        _cleanup_(json_freep) JsonValue *body = NULL;

        serve(fixture, answer_200, "{}");
        fixture_generate(fixture->generation, (GenerationRequest){ .model = "m",
                                                                   .n = 3,
                                                                   .size = "24x16",
                                                                   .quality = "high",
                                                                   .style = "vivid",
                                                                   .background = "opaque",
                                                                   .moderation = "low",
                                                                   .output_format = "webp",
                                                                   .user = "u1",
                                                                   .output_compression = 0,
                                                                   .send_response_format = true });
        body = sent_body(fixture);
        assert_int_equal(cJSON_GetArraySize(body), 12);
        assert_string_equal(json_get_string(body, "response_format"), "b64_json");
        assert_int_equal(json_get_integer(body, "output_compression", -1), 0);
        assert_string_equal(json_get_string(body, "output_format"), "webp");
        assert_string_equal(json_get_string(body, "style"), "vivid");
        assert_string_equal(json_get_string(body, "user"), "u1");
}

/* Each was answered with 200, so each may have been charged. */
static void test_replies_that_cannot_be_used(void **state) {
        static const struct {
                const char *format, *cause;
        } replies[] = {
                { "{\"data\":[{\"b64_json\":\"%s\"},{\"b64_json\":\"%s\"}]}",
                  "bad reply: more images than were asked for" },
                { "{\"data\":[]}", "bad reply: another number of images than asked for" },
                { "{\"created\":1}", "bad reply: no member data" },
                { "{\"error\":{\"message\":\"x\"}}", "bad reply: an error with a status of success" },
                { "[]", "bad reply: no member data" },
                { "{\"data\":[{\"url\":\"http://x/y.png\"}]}", "bad reply: an image by URL, which is not fetched" },
                { "{\"data\":[{\"b64_json\":null}]}", "bad reply: an image is missing" },
                { "{\"data\":[7]}", "bad reply: an image is missing" },
                { "{\"data\":[{\"b64_json\":\"PGh0bWw+\"}]}", "bad reply: image 0: not a PNG, JPEG or WebP file" },
                { "<html>just a moment</html>", NULL }, /* the words are json.c's */
                { "", "bad reply: empty reply" },
                { "{\"data\":[{\"b64_json\":\"%.20s", "bad reply: reply cut short" },
        };
        Fixture *fixture = *state;

        for (size_t i = 0; i < ELEMENTS(replies); i++) {
                char answer[2048];
                GenerationResult *result;

                (void) snprintf(answer, sizeof(answer), replies[i].format, png_base64, png_base64);
                result = run(fixture, answer, (GenerationRequest){ SIZED });
                assert_failed(result, GENERATION_UNKNOWN, 502, "provider_bad_reply");
                if (replies[i].cause)
                        assert_string_equal(result->cause, replies[i].cause);
                assert_int_equal(fixture->server->requests, 1);
                loopback_server_free(fixture->server);
                fixture->server = NULL;
                fixture->generation->provider = provider_free(fixture->generation->provider);
        }
}

static void test_wrong_size(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *answer = text_format("{\"data\":[{\"b64_json\":\"%s\"}]}", png_base64);
        GenerationResult *result =
                run(fixture, answer, (GenerationRequest){ .size = "16x24", .width = 16, .height = 24 });

        assert_failed(result, GENERATION_UNKNOWN, 502, "provider_bad_reply");
        assert_string_equal(result->cause, "bad reply: an image of another size than asked for");
}

static void test_any_size_will_do_for_auto(void **state) {
        _cleanup_free_ char *answer = text_format("{\"data\":[{\"b64_json\":\"%s\"}]}", png_base64);

        assert_int_equal(run(*state, answer, (GenerationRequest){ .size = "auto" })->outcome, GENERATION_COMPLETED);
}

static bool answer_429(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_answer(fd, 429,
                        "Retry-After: 17\r\nX-Should-Retry: false\r\nX-Request-Id: req_" KEY "\r\n"
                        "X-RateLimit-Limit-Requests: 5\r\nX-RateLimit-Remaining-Requests: 0\r\n"
                        "X-RateLimit-Reset-Requests: 6m0s\r\n",
                        server->answer);
        return true;
}

static void test_refusal(void **state) {
        Fixture *fixture = *state;
        GenerationResult *result = &fixture->generation->result;

        serve(fixture, answer_429,
              "{\"error\":{\"message\":\"Slow down, " KEY
              "\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"slow_down\"}}");
        fixture_generate(fixture->generation, (GenerationRequest){ .model = "m", .output_compression = -1 });
        assert_failed(result, GENERATION_REFUSED, 429, "slow_down");
        assert_string_equal(result->type, "rate_limit_error");
        assert_string_equal(result->message, "Slow down, ***");
        assert_null(strstr(result->cause, KEY));
        assert_string_equal(result->provider_request_id, "req_***");
        assert_int_equal(result->http_status, 429);
        assert_int_equal(result->retry_after, 17 * USEC_PER_SEC);
        assert_int_equal(result->hint, RETRY_HINT_NO);
        assert_true(result->requests.said);
        assert_int_equal(result->requests.limit, 5);
        assert_int_equal(result->requests.reset, 6 * USEC_PER_MINUTE);
        assert_false(result->tokens.said);
}

static bool answer_502_endlessly(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                                 _unused_ unsigned number) {
        static const char block[16 * 1024] = "<html>";

        loopback_send_text(fd, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1048576\r\n\r\n");
        for (unsigned i = 0; i < 64; i++)
                loopback_send(fd, block, sizeof(block));
        return true;
}

static void test_long_refusals_are_read_to_their_end(void **state) {
        Fixture *fixture = *state;

        serve(fixture, answer_502_endlessly, NULL);
        fixture_generate(fixture->generation, (GenerationRequest){ .model = "m", .output_compression = -1 });
        assert_failed(&fixture->generation->result, GENERATION_UNKNOWN, 502, "provider_unavailable");
}

static bool hold(_unused_ LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_await_close(fd);
        return false;
}

static void test_late(void **state) {
        Fixture *fixture = *state;

        serve(fixture, hold, NULL);
        fixture_generate(fixture->generation, (GenerationRequest){ .timeout = 150 * USEC_PER_MSEC });
        assert_failed(&fixture->generation->result, GENERATION_UNKNOWN, 504, "provider_timeout");
}

static LoopbackServer *asked_server;

static bool was_asked(_unused_ GenerationFixture *fixture) {
        return atomic_load(&asked_server->requests) > 0;
}

static void test_cancel_after_sending(void **state) {
        Fixture *fixture = *state;
        Generation *generation;

        serve(fixture, hold, NULL);
        asked_server = fixture->server;
        generation = fixture_start(fixture->generation, (GenerationRequest){});
        fixture_run_until(fixture->generation, was_asked);
        generation_cancel(generation);
        assert_int_equal(fixture->generation->done, 1);
        assert_failed(&fixture->generation->result, GENERATION_UNKNOWN, 500, "cancelled");
}

static void test_cancel_before_sending(void **state) {
        Fixture *fixture = *state;

        serve(fixture, hold, NULL);
        generation_cancel(fixture_start(fixture->generation, (GenerationRequest){}));
        assert_failed(&fixture->generation->result, GENERATION_UNSENT, 500, "cancelled");
}

static bool cut(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        char head[128];

        (void) snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                        strlen(server->answer) + 1);
        loopback_send_text(fd, head);
        loopback_send_text(fd, server->answer);
        return false;
}

/* Even if all that matters had come: the server meant to say more. */
static void test_cut(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *answer = text_format("{\"data\":[{\"b64_json\":\"%s\"}]}", png_base64);

        serve(fixture, cut, answer);
        fixture_generate(fixture->generation, (GenerationRequest){ SIZED });
        assert_failed(&fixture->generation->result, GENERATION_UNKNOWN, 502, "provider_bad_reply");
}

static bool close_at_once(_unused_ LoopbackServer *server, _unused_ int fd, _unused_ const char *request,
                          _unused_ unsigned number) {
        return false;
}

static void test_closed_without_an_answer(void **state) {
        Fixture *fixture = *state;

        serve(fixture, close_at_once, NULL);
        fixture_generate(fixture->generation, (GenerationRequest){});
        assert_failed(&fixture->generation->result, GENERATION_UNKNOWN, 502, "provider_bad_reply");
        assert_int_equal(fixture->server->requests, 1);
}

static void test_unreachable(void **state) {
        Fixture *fixture = *state;

        serve(fixture, hold, NULL);
        loopback_server_free(fixture->server);
        fixture->server = NULL;
        fixture_generate(fixture->generation, (GenerationRequest){});
        assert_failed(&fixture->generation->result, GENERATION_UNSENT, 502, "provider_unavailable");
}

static bool redirect(_unused_ LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_answer(fd, 308, "Location: /v1/elsewhere\r\n", "");
        return true;
}

static void test_redirect(void **state) {
        Fixture *fixture = *state;

        serve(fixture, redirect, NULL);
        fixture_generate(fixture->generation, (GenerationRequest){});
        assert_failed(&fixture->generation->result, GENERATION_REFUSED, 502, "provider_error");
        assert_int_equal(fixture->server->requests, 1);
}

static void test_check(void **state) {
        Fixture *fixture = *state;

        serve(fixture, answer_200, "{\"data\":[]}");
        fixture_check(fixture->generation);
        assert_true(fixture->generation->check_ok);
        assert_memory_equal(fixture->server->last_request, "GET /v1/models HTTP/1.1\r\n", 25);
        assert_non_null(strstr(fixture->server->last_request, "\r\nAuthorization: Bearer " KEY "\r\n"));
}

static bool answer_401(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                       _unused_ unsigned number) {
        loopback_answer(fd, 401, "", "{}");
        return true;
}

static void test_check_with_a_bad_key(void **state) {
        Fixture *fixture = *state;

        serve(fixture, answer_401, NULL);
        fixture_check(fixture->generation);
        assert_false(fixture->generation->check_ok);
        assert_string_equal(fixture->generation->check_message, "the key is refused (HTTP 401)");
}

static void test_free_during_a_check(void **state) {
        Fixture *fixture = *state;

        serve(fixture, hold, NULL);
        assert_int_equal(provider_check(fixture->generation->provider, 0, fixture_on_checked, fixture->generation), 0);
        fixture->generation->provider = provider_free(fixture->generation->provider);
        assert_false(fixture->generation->checked);
}

static void test_settings(void **state) {
        static const char *const bad[] = { "ftp://x/v1",
                                           "x",
                                           "http://",
                                           "http:///v1",
                                           "https://a b/",
                                           "http://x/?q=1",
                                           "http://user:secret@x/v1",
                                           "https://x/\r\nHost: y" };
        Fixture *fixture = *state;
        GenerationFixture *generation = fixture->generation;
        ProviderSettings settings = { .name = "o", .kind = "openai" };

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                settings.base_url = bad[i];
                assert_int_equal(fixture_add_provider(generation, &settings), -EINVAL);
        }

        settings.base_url = NULL;
        assert_int_equal(fixture_add_provider(generation, &settings), 0);
        assert_true(provider_is_paid(generation->provider));
        assert_false(provider_has_key(generation->provider));
        generation->provider = provider_free(generation->provider);

        settings.key = KEY;
        assert_int_equal(fixture_add_provider(generation, &settings), 0);
        assert_true(provider_has_key(generation->provider));
        generation->provider = provider_free(generation->provider);

        /* A server of one's own may want none. */
        settings.key = NULL;
        settings.base_url = "http://127.0.0.1:1234/v1";
        assert_int_equal(fixture_add_provider(generation, &settings), 0);
        assert_true(provider_has_key(generation->provider));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_images_arrive),
                TEST(test_request_has_only_what_was_given),
                TEST(test_request_has_all_that_was_given),
                TEST(test_replies_that_cannot_be_used),
                TEST(test_wrong_size),
                TEST(test_any_size_will_do_for_auto),
                TEST(test_refusal),
                TEST(test_long_refusals_are_read_to_their_end),
                TEST(test_late),
                TEST(test_cancel_after_sending),
                TEST(test_cancel_before_sending),
                TEST(test_cut),
                TEST(test_closed_without_an_answer),
                TEST(test_unreachable),
                TEST(test_redirect),
                TEST(test_check),
                TEST(test_check_with_a_bad_key),
                TEST(test_free_during_a_check),
                TEST(test_settings),
        };

        return cmocka_run_group_tests_name("openai", tests, NULL, NULL);
}
