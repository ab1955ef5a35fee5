/* Edits at the openai provider, against a server on loopback: which form is sent, to the byte. */
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

typedef struct Fixture {
        GenerationFixture *generation;
        LoopbackServer *server;
        ImageFacts png, jpeg, webp;
} Fixture;

static ImageFacts keep(Fixture *fixture, const uint8_t *data, size_t size) {
        _cleanup_(temporary_image_freep) TemporaryImage *image = NULL;

        assert_int_equal(temporary_image_new(&image, fixture->generation->images), 0);
        assert_int_equal(temporary_image_write(image, data, size), 0);
        assert_int_equal(temporary_image_finish(image, NULL), 0);
        assert_int_equal(temporary_image_keep(image), 0);
        return *temporary_image_facts(image);
}

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        fixture->generation = fixture_new();
        fixture->png = keep(fixture, sample_png, sizeof(sample_png));
        fixture->jpeg = keep(fixture, sample_jpeg, sizeof(sample_jpeg));
        fixture->webp = keep(fixture, sample_webp_lossy, sizeof(sample_webp_lossy));
        *state = fixture;
        return 0;
}

static void forget(Fixture *fixture, const ImageFacts *facts) {
        char path[128];

        (void) image_store_remove(fixture->generation->images, facts->sha256, facts->format);
        (void) snprintf(path, sizeof(path), "%s/images/%.2s", fixture->generation->path, facts->sha256);
        (void) rmdir(path);
}

static int tear_down(void **state) {
        Fixture *fixture = *state;

        forget(fixture, &fixture->png);
        forget(fixture, &fixture->jpeg);
        forget(fixture, &fixture->webp);
        fixture_free(fixture->generation);
        if (fixture->server)
                loopback_server_free(fixture->server);
        free(fixture);
        return 0;
}

static bool answer_200(LoopbackServer *server, int fd, _unused_ const char *request, _unused_ unsigned number) {
        loopback_answer(fd, 200, "Content-Type: application/json\r\n", server->answer);
        return true;
}

static void serve(Fixture *fixture, LoopbackHandler handler, const char *answer) {
        char url[64];

        fixture->server = loopback_server_new(handler);
        fixture->server->answer = strdup(answer);
        (void) strcpy(url, loopback_url(fixture->server, "/v1"));
        assert_int_equal(fixture_add_provider(fixture->generation,
                                              &(ProviderSettings){ .name = "openai",
                                                                   .kind = "openai",
                                                                   .base_url = url,
                                                                   .key = "sk-test",
                                                                   .connect_timeout = 5 * USEC_PER_SEC }),
                         0);
}

static GenerationUpload upload_of(const ImageFacts *facts, bool mask) {
        return (GenerationUpload){ mask, facts->sha256, facts->format, facts->size_bytes };
}

/* What is sent after the head is `expected`, in which @ stands for the boundary; texts and files by turns. */
static void check_form(const LoopbackServer *server, const char *const *texts, const uint8_t *const *files,
                       const size_t *sizes, size_t n_files) {
        const char *end = server->last_request + server->last_size;
        const char *type = strstr(server->last_request, "\r\nContent-Type: multipart/form-data; boundary=");
        const char *at = strstr(server->last_request, "\r\n\r\n") + 4;
        char boundary[80];

        assert_non_null(type);
        assert_int_equal(sscanf(type + strlen("\r\nContent-Type: multipart/form-data; boundary="), "%79[^\r]", boundary), 1);
        for (size_t i = 0; i <= n_files; i++) {
                for (const char *c = texts[i]; *c; c++) {
                        size_t length = *c == '@' ? strlen(boundary) : 1;

                        assert_true(at + length <= end);
                        assert_memory_equal(at, *c == '@' ? boundary : c, length);
                        at += length;
                }
                if (i == n_files)
                        break;
                assert_true(at + sizes[i] <= end);
                assert_memory_equal(at, files[i], sizes[i]);
                at += sizes[i];
        }
        assert_ptr_equal(at, end);
}

#define FIELD(name, value) "--@\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_HEAD(name, filename, type) \
        "--@\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" filename "\"\r\n" \
        "Content-Type: " type "\r\n\r\n"

static void test_one_image_with_all_that_was_given(void **state) {
        Fixture *fixture = *state;
        const char *const texts[] = {
                FIELD("model", "gpt-image-1.5") FIELD("prompt", "a \"cat\"\n\xc3\xa9") FIELD("n", "2")
                FIELD("size", "24x16") FIELD("quality", "high") FIELD("background", "opaque")
                FIELD("output_format", "webp") FIELD("input_fidelity", "high") FIELD("user", "u1")
                FIELD("output_compression", "0") FIELD("response_format", "b64_json")
                FILE_HEAD("image", "image.png", "image/png"),
                "\r\n" FILE_HEAD("mask", "mask.png", "image/png"),
                "\r\n--@--\r\n",
        };
        const uint8_t *const files[] = { sample_png, sample_png };
        const size_t sizes[] = { sizeof(sample_png), sizeof(sample_png) };

        serve(fixture, answer_200, "{}");
        fixture_generate(fixture->generation, (GenerationRequest){
                .model = "gpt-image-1.5", .prompt = "a \"cat\"\n\xc3\xa9", .n = 2, .size = "24x16", .quality = "high",
                .background = "opaque", .output_format = "webp", .input_fidelity = "high", .user = "u1",
                .output_compression = 0, .send_response_format = true, .n_uploads = 2,
                .uploads = { upload_of(&fixture->png, false), upload_of(&fixture->png, true) },
        });
        assert_memory_equal(fixture->server->last_request, "POST /v1/images/edits HTTP/1.1\r\n", 32);
        assert_non_null(strstr(fixture->server->last_request, "\r\nAuthorization: Bearer sk-test\r\n"));
        assert_null(strstr(fixture->server->last_request, "application/json\r\nContent-Type"));
        assert_null(strstr(fixture->server->last_request, "Expect"));
        check_form(fixture->server, texts, files, sizes, 2);
}

static void test_several_images_are_an_array_in_their_order(void **state) {
        Fixture *fixture = *state;
        const char *const texts[] = {
                FIELD("model", "m") FIELD("prompt", "a cat") FIELD("n", "1") FIELD("stream", "true")
                FIELD("partial_images", "2") FILE_HEAD("image[]", "image.jpg", "image/jpeg"),
                "\r\n" FILE_HEAD("image[]", "image.webp", "image/webp"),
                "\r\n" FILE_HEAD("image[]", "image.png", "image/png"),
                "\r\n--@--\r\n",
        };
        const uint8_t *const files[] = { sample_jpeg, sample_webp_lossy, sample_png };
        const size_t sizes[] = { sizeof(sample_jpeg), sizeof(sample_webp_lossy), sizeof(sample_png) };

        serve(fixture, answer_200, "{}");
        fixture_generate(fixture->generation, (GenerationRequest){
                .model = "m", .output_compression = -1, .stream = true, .partial_images = 2, .n_uploads = 3,
                .uploads = { upload_of(&fixture->jpeg, false), upload_of(&fixture->webp, false),
                             upload_of(&fixture->png, false) },
        });
        check_form(fixture->server, texts, files, sizes, 3);
}

static void test_answer_is_read_as_that_of_a_generation(void **state) {
        Fixture *fixture = *state;
        char png_base64[BASE64_ENCODED_SIZE(sizeof(sample_png)) + 1] = "";
        _cleanup_free_ char *answer = NULL;

        (void) base64_encode(sample_png, sizeof(sample_png), png_base64);
        answer = text_format("{\"created\":1,\"data\":[{\"b64_json\":\"%s\"}],\"usage\":{\"total_tokens\":7}}", png_base64);
        serve(fixture, answer_200, answer);
        fixture_generate(fixture->generation, (GenerationRequest){
                .model = "m", .output_compression = -1, .n_uploads = 1, .uploads = { upload_of(&fixture->png, false) },
        });
        assert_int_equal(fixture->generation->result.outcome, GENERATION_COMPLETED);
        assert_int_equal(json_get_integer(fixture->generation->result.usage, "total_tokens", 0), 7);
}

static void test_file_that_is_gone_sends_nothing(void **state) {
        Fixture *fixture = *state;
        GenerationRequest request = {
                .model = "m", .prompt = "a", .n = 1, .output_compression = -1, .timeout = USEC_PER_SEC, .n_uploads = 1,
                .uploads = { upload_of(&fixture->png, false) },
        };
        Generation *generation;

        serve(fixture, answer_200, "{}");
        forget(fixture, &fixture->png);
        assert_int_equal(provider_generate(fixture->generation->provider, &request, fixture_on_done, fixture,
                                           &generation), -ENOENT);
        assert_int_equal(atomic_load(&fixture->server->requests), 0);
}

/* A pooled connection that the server has closed is replaced as long as nothing of the body went out over it. */
static bool answer_once(LoopbackServer *server, int fd, const char *request, unsigned number) {
        (void) answer_200(server, fd, request, number);
        return false;
}

static void test_form_goes_over_a_fresh_connection(void **state) {
        Fixture *fixture = *state;
        GenerationRequest request = {
                .model = "m", .output_compression = -1, .n_uploads = 1, .uploads = { upload_of(&fixture->png, false) },
        };

        serve(fixture, answer_once, "{}");
        for (unsigned i = 1; i <= 3; i++) {
                fixture_generate(fixture->generation, request);
                assert_int_equal(fixture->generation->result.http_status, 200);
                assert_int_equal(atomic_load(&fixture->server->requests), i);

                /* The server's end of the connection is closed when its thread is done. */
                (void) pthread_join(fixture->server->connections[i - 1].thread, NULL);
                fixture->server->connections[i - 1].thread = pthread_self();
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_one_image_with_all_that_was_given),
                TEST(test_several_images_are_an_array_in_their_order),
                TEST(test_answer_is_read_as_that_of_a_generation),
                TEST(test_file_that_is_gone_sends_nothing),
                TEST(test_form_goes_over_a_fresh_connection),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
