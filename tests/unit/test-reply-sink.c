/* Replies of an images API, cut into pieces of every size. */
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
#include <unistd.h>

#include "base/base64.h"
#include "base/text.h"
#include "providers/reply-sink.h"
#include "sample-images.h"

static char folder[] = "/tmp/test-reply-sink-XXXXXX";
static ImageStore *store;
static char png_base64[BASE64_ENCODED_SIZE(sizeof(sample_png)) + 1],
        jpeg_base64[BASE64_ENCODED_SIZE(sizeof(sample_jpeg)) + 1];

static int set_up(_unused_ void **state) {
        int fd;

        assert_non_null(mkdtemp(folder));
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(image_store_new(&store, fd), 0);
        (void) close(fd);
        (void) base64_encode(sample_png, sizeof(sample_png), png_base64);
        (void) base64_encode(sample_jpeg, sizeof(sample_jpeg), jpeg_base64);
        return 0;
}

static int tear_down(_unused_ void **state) {
        char path[64];

        store = image_store_free(store);
        (void) snprintf(path, sizeof(path), "%s/images/tmp", folder);
        assert_int_equal(rmdir(path), 0); /* no image was left behind */
        (void) snprintf(path, sizeof(path), "%s/images", folder);
        assert_int_equal(rmdir(path), 0);
        return rmdir(folder);
}

/* Feeds `text`; *ret_sink and *ret are NULL after a refusal, of which the reason is returned. */
static const char *feed(const char *text, size_t size, size_t piece, unsigned n, ReplySink **ret_sink,
                        JsonValue **ret) {
        static char reason[256];
        _cleanup_(reply_sink_freep) ReplySink *sink = NULL;
        int r = 0;

        *ret_sink = NULL;
        *ret = NULL;
        assert_int_equal(reply_sink_new(&sink, store, REPLY_IMAGES, n), 0);
        for (size_t i = 0; i < size && r >= 0; i += piece)
                r = reply_sink_write(sink, text + i, MIN(piece, size - i));
        if (r >= 0)
                r = reply_sink_finish(sink, ret);
        if (r < 0) {
                assert_int_equal(r, -EBADMSG);
                assert_null(*ret);
                (void) snprintf(reason, sizeof(reason), "%s", reply_sink_reason(sink));
                return reason;
        }
        *ret_sink = TAKE_PTR(sink);
        return NULL;
}

/* Why the reply is refused, whole and byte by byte; NULL when it is not. */
static const char *refusal(const char *text, unsigned n) {
        static char whole[256];
        const char *reason = NULL;

        for (size_t piece = strlen(text) + 2; piece > 0; piece = piece > 1 ? 1 : 0) {
                _cleanup_(reply_sink_freep) ReplySink *sink = NULL;
                _cleanup_(json_freep) JsonValue *reply = NULL;

                reason = feed(text, strlen(text), piece, n, &sink, &reply);
                if (piece > 1)
                        (void) snprintf(whole, sizeof(whole), "%s", reason ?: "");
                assert_string_equal(whole, reason ?: "");
        }
        return reason;
}

/* The i-th image of a reply, once. */
static TemporaryImage *take(ReplySink *sink, const JsonValue *reply, int index) {
        const JsonValue *item = cJSON_GetArrayItem(json_get_array(reply, "data"), index);

        return reply_sink_take_image(sink, json_member(item, "b64_json"));
}

static void assert_one_png(const char *text, size_t piece) {
        _cleanup_(temporary_image_freep) TemporaryImage *image = NULL;
        _cleanup_(reply_sink_freep) ReplySink *sink = NULL;
        _cleanup_(json_freep) JsonValue *reply = NULL;

        assert_null(feed(text, strlen(text), piece, 1, &sink, &reply));
        image = take(sink, reply, 0);
        assert_non_null(image);
        assert_int_equal(temporary_image_facts(image)->size_bytes, sizeof(sample_png));
        assert_int_equal(temporary_image_facts(image)->width, SAMPLE_WIDTH);
        assert_null(take(sink, reply, 0));
}

static void test_two_images_in_every_fragmentation(_unused_ void **state) {
        _cleanup_free_ char *text = text_format(
                "{\"created\":1713833628,\"data\":[{\"b64_json\":\"%s\",\"revised_prompt\":\"a \\\"cat\\\"\"},\n"
                " {\"index\":1, \"b64_json\" : \"%s\"}],\"usage\":{\"total_tokens\":100},\"size\":\"24x16\"}",
                png_base64, jpeg_base64);

        for (size_t piece = 1; piece <= strlen(text); piece++) {
                _cleanup_(temporary_image_freep) TemporaryImage *png = NULL, *jpeg = NULL;
                _cleanup_(reply_sink_freep) ReplySink *sink = NULL;
                _cleanup_(json_freep) JsonValue *reply = NULL;
                const JsonValue *first;

                assert_null(feed(text, strlen(text), piece, 2, &sink, &reply));
                png = take(sink, reply, 0);
                jpeg = take(sink, reply, 1);
                assert_int_equal(temporary_image_facts(png)->format, IMAGE_PNG);
                assert_int_equal(temporary_image_facts(jpeg)->format, IMAGE_JPEG);
                assert_int_equal(temporary_image_facts(jpeg)->size_bytes, sizeof(sample_jpeg));
                first = json_get_array(reply, "data")->child;
                assert_string_equal(json_get_string(first, "revised_prompt"), "a \"cat\"");
                assert_int_equal(json_get_integer(json_get_object(reply, "usage"), "total_tokens", 0), 100);
        }
}

/* In a chat, links stand as deep as images do, and are none. */
static void test_images_of_a_chat(_unused_ void **state) {
        _cleanup_free_ char *text = text_format(
                "{\"usage\":{\"cost\":0.0387000000000010},\"choices\":[{\"message\":{\"content\":\"a\",\"annotations\":"
                "[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://example.com\"}}],"
                "\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,%s\"}}]}}]}", png_base64);

        for (size_t piece = 1; piece <= 60; piece++) {
                _cleanup_(temporary_image_freep) TemporaryImage *image = NULL;
                _cleanup_(reply_sink_freep) ReplySink *sink = NULL;
                _cleanup_(json_freep) JsonValue *reply = NULL;
                const JsonValue *message;
                char cost[JSON_NUMBER_MAX];

                assert_int_equal(reply_sink_new(&sink, store, REPLY_CHAT, 1), 0);
                for (size_t i = 0; i < strlen(text); i += piece)
                        assert_int_equal(reply_sink_write(sink, text + i, MIN(piece, strlen(text) - i)), 0);
                assert_int_equal(reply_sink_finish(sink, &reply), 0);
                message = json_get_object(json_get_array(reply, "choices")->child, "message");
                image = reply_sink_take_image(sink, json_member(json_get_object(json_get_array(message, "images")->child,
                                                                                "image_url"), "url"));
                assert_non_null(image);
                assert_int_equal(temporary_image_facts(image)->size_bytes, sizeof(sample_png));
                assert_int_equal(reply_sink_number(sink, "usage", "cost", cost), 0);
                assert_string_equal(cost, "0.0387000000000010");
        }
}

static void test_data_url_prefix(_unused_ void **state) {
        _cleanup_free_ char *text =
                text_format("{\"data\":[{\"b64_json\":\"data:image/png;base64,%s\"}]}", png_base64);

        for (size_t piece = 1; piece < 60; piece++)
                assert_one_png(text, piece);
}

static void test_escapes(_unused_ void **state) {
        _cleanup_free_ char *escaped = calloc(6, sizeof(png_base64));
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        /* Every '/' as \/, every '+' and every fifth letter as \uXXXX. */
        for (size_t i = 0; png_base64[i]; i++) {
                char c = png_base64[i];

                if (c == '/')
                        size += (size_t) sprintf(escaped + size, "\\/");
                else if (c == '+' || i % 5 == 0)
                        size += (size_t) sprintf(escaped + size, i % 2 ? "\\u%04x" : "\\u%04X", c);
                else
                        escaped[size++] = c;
        }
        escaped[size] = 0;
        text = text_format("{\"data\":[{\"b64_json\":\"%s\"}]}", escaped);
        for (size_t piece = 1; piece < 20; piece++)
                assert_one_png(text, piece);
}

static void test_only_data_holds_images(_unused_ void **state) {
        _cleanup_free_ char *text = text_format(
                "{\"b64_json\":\"top\",\"other\":[{\"b64_json\":\"other\"}],\"x\":{\"data\":[{\"b64_json\":\"deep\"}]}"
                ","
                "\"data\":[{\"list\":[\"b64_json\"],\"b64_json\":\"%s\",\"more\":{\"b64_json\":\"deeper\"}}]}",
                png_base64);
        _cleanup_(reply_sink_freep) ReplySink *sink = NULL;
        _cleanup_(json_freep) JsonValue *reply = NULL;

        assert_one_png(text, 3);
        assert_null(feed(text, strlen(text), 11, 1, &sink, &reply));
        assert_string_equal(json_get_string(reply, "b64_json"), "top");
}

static void test_names_and_values_are_told_apart(_unused_ void **state) {
        _cleanup_free_ char *text = text_format(
                "{\"x\":\"data\",\"y\":[{\"a\":\"b64_json\",\"b\":\"not an image\"}],\"data\":[{\"z\":\"b64_json\","
                "\"q\":\"\\\"\\\\\",\"b64_json\":\"%s\"}]}",
                png_base64);

        for (size_t piece = 1; piece < 20; piece++)
                assert_one_png(text, piece);
}

static void test_a_number_is_not_an_image(_unused_ void **state) {
        _cleanup_(reply_sink_freep) ReplySink *sink = NULL;
        _cleanup_(json_freep) JsonValue *reply = NULL;
        const char *text = "{\"data\":[{\"b64_json\":null},{\"b64_json\":0},{\"url\":\"0\"}]}";

        assert_null(feed(text, strlen(text), 5, 3, &sink, &reply));
        for (int i = 0; i < 3; i++)
                assert_null(take(sink, reply, i));
}

static void test_more_images_than_asked_for(_unused_ void **state) {
        _cleanup_free_ char *text =
                text_format("{\"data\":[{\"b64_json\":\"%s\"},{\"b64_json\":\"%s\"}]}", png_base64, png_base64);

        assert_string_equal(refusal(text, 1), "more images than were asked for");
        assert_null(refusal(text, 2));
}

static void test_refusals(_unused_ void **state) {
        static const struct {
                const char *text, *reason;
        } replies[] = {
                { "", "empty reply" },
                { "{\"data\":[{\"b64_json\":\"iVBORw0KGgo=\"}]}", "image 0: image cut short" },
                { "{\"data\":[{\"b64_json\":\"\"}]}", "image 0: image cut short" },
                { "{\"data\":[{\"b64_json\":\"PGh0bWw+\"}]}", "image 0: not a PNG, JPEG or WebP file" },
                { "{\"data\":[{\"b64_json\":\"iVBORw0KGg\"}]}", "image 0: base64 cut short" },
                { "{\"data\":[{\"b64_json\":\"iVBO Rw0KGgo=\"}]}", "image 0: not base64" },
                { "{\"data\":[{\"b64_json\":\"iVBO\\nRw0K\"}]}", "image 0: not base64" },
                { "{\"data\":[{\"b64_json\":\"iVBO\\u0000Rw0K\"}]}", "image 0: not base64" },
                { "{\"data\":[{\"b64_json\":\"iVBO\\u00e9Rw0K\"}]}", "image 0: not base64" },
                { "{\"data\":[{\"b64_json\":\"iVBO\\u00xxRw0K\"}]}", "image 0: not base64" },
                { "{\"data\":[{\"b64_json\":\"data:image/png,iVBO\"}]}", "image 0: data: URL that is not base64" },
                { "{\"data\":[{\"b64_json\":\"iVBORw0K", "reply cut short" },
                { "{\"data\":[{\"b64_json\"", "reply cut short" },
                { "{\"data\":[", "reply cut short" },
                { "]", "not JSON" },
                { "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nested too deeply" },
        };

        for (size_t i = 0; i < ELEMENTS(replies); i++)
                assert_string_equal(refusal(replies[i].text, 1), replies[i].reason);
}

static void test_the_rest_is_checked_strictly(_unused_ void **state) {
        static const char *const formats[] = {
                "{\"data\":[{\"b64_json\":\"%s\"}]}x",
                "{\"data\":[{\"b64_json\":\"%s\",}]}",
                "{\"data\":[{\"b64_json\":\"%s\"}],\"data\":[]}",
                "{\"data\":[{\"b64_json\":\"%s\" \"x\":1}]}",
                "{\"data\":[{\"b64_json\":\"%s\"}],\"n\":01}",
                "{\"data\":[{\"b64_json\":\"%s\"}],\"s\":\"\xff\"}",
        };

        for (size_t i = 0; i < ELEMENTS(formats); i++) {
                char text[1024];

                (void) snprintf(text, sizeof(text), formats[i], png_base64);
                assert_non_null(refusal(text, 1));
        }
}

static void test_text_limit(_unused_ void **state) {
        _cleanup_free_ char *text = malloc(REPLY_TEXT_BYTES_MAX + 2);

        (void) strcpy(text, "{\"a\":\"");
        memset(text + 6, 'x', REPLY_TEXT_BYTES_MAX - 8);
        (void) strcpy(text + REPLY_TEXT_BYTES_MAX - 2, "\"}");
        assert_int_equal(strlen(text), REPLY_TEXT_BYTES_MAX);
        assert_null(refusal(text, 1));

        (void) strcpy(text + REPLY_TEXT_BYTES_MAX - 2, "x\"}");
        assert_string_equal(refusal(text, 1), "too much text besides the images");
}

/* A long data: URL without an end must not be gathered. */
static void test_prefix_limit(_unused_ void **state) {
        char text[512] = "{\"data\":[{\"b64_json\":\"data:";

        memset(text + strlen(text), 'x', 200);
        assert_string_equal(refusal(text, 1), "image 0: data: URL of an unknown form");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_two_images_in_every_fragmentation),
                cmocka_unit_test(test_images_of_a_chat),
                cmocka_unit_test(test_data_url_prefix),
                cmocka_unit_test(test_escapes),
                cmocka_unit_test(test_only_data_holds_images),
                cmocka_unit_test(test_names_and_values_are_told_apart),
                cmocka_unit_test(test_a_number_is_not_an_image),
                cmocka_unit_test(test_more_images_than_asked_for),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_the_rest_is_checked_strictly),
                cmocka_unit_test(test_text_limit),
                cmocka_unit_test(test_prefix_limit),
        };

        return cmocka_run_group_tests_name("reply-sink", tests, set_up, tear_down);
}
