/* By what two requests are known to be for the same picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "queue/picture-key.h"

static const ModelConf model = { .name = (char *) "m", .provider = (char *) "p" };

static const GenerationRequest usual = {
        .model = "m",
        .prompt = "a fox",
        .n = 1,
        .size = "1024x1024",
        .quality = "high",
        .output_compression = -1,
};

static bool same(const ModelConf *other_model, GenerationRequest request, const char *client) {
        char a[SHA256_TEXT_MAX], b[SHA256_TEXT_MAX];

        assert_int_equal(picture_key(&model, &usual, NULL, a), 0);
        assert_int_equal(picture_key(other_model, &request, client, b), 0);
        assert_true(sha256_text_valid(b));
        return strcmp(a, b) == 0;
}

#define WITH(...) ({ GenerationRequest _request = usual; __VA_ARGS__; _request; })

static void test_the_same_request_is_the_same(_unused_ void **state) {
        char prompt[] = "a fox";

        assert_true(same(&model, WITH(_request.prompt = prompt), NULL));
}

static void test_what_shapes_the_picture_counts(_unused_ void **state) {
        assert_false(same(&model, WITH(_request.model = "n"), NULL));
        assert_false(same(&model, WITH(_request.prompt = "a fox "), NULL));
        assert_false(same(&model, WITH(_request.prompt = "A fox"), NULL));
        assert_false(same(&model, WITH(_request.n = 2), NULL));
        assert_false(same(&model, WITH(_request.size = "1024x1536"), NULL));
        assert_false(same(&model, WITH(_request.quality = "low"), NULL));
        assert_false(same(&model, WITH(_request.quality = NULL), NULL));
        assert_false(same(&model, WITH(_request.style = "vivid"), NULL));
        assert_false(same(&model, WITH(_request.style = ""), NULL));
        assert_false(same(&model, WITH(_request.background = "opaque"), NULL));
        assert_false(same(&model, WITH(_request.moderation = "low"), NULL));
        assert_false(same(&model, WITH(_request.output_format = "webp"), NULL));
        assert_false(same(&model, WITH(_request.output_compression = 50), NULL));
        assert_false(same(&(ModelConf) { .name = (char *) "m", .provider = (char *) "q" }, usual, NULL));
}

static void test_what_is_done_with_it_does_not(_unused_ void **state) {
        assert_true(same(&model, WITH(_request.user = "somebody"), NULL));
        assert_true(same(&model, WITH(_request.stream = true, _request.partial_images = 2), NULL));
        assert_true(same(&model, WITH(_request.job_id = "job_1"), NULL));
}

static void test_a_client_of_its_own_is_another(_unused_ void **state) {
        assert_false(same(&model, usual, "key_1"));
}

/* A prompt cannot pretend to be further fields. */
static void test_fields_do_not_run_into_one_another(_unused_ void **state) {
        char a[SHA256_TEXT_MAX], b[SHA256_TEXT_MAX];
        GenerationRequest plain = WITH(_request.style = "vivid"),
                          sly = WITH(_request.prompt = "a fox\nsize 9 1024x1024\nquality 4 high\nstyle 5 vivid",
                                     _request.size = NULL, _request.quality = NULL);

        assert_int_equal(picture_key(&model, &plain, NULL, a), 0);
        assert_int_equal(picture_key(&model, &sly, NULL, b), 0);
        assert_string_not_equal(a, b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_same_request_is_the_same),
                cmocka_unit_test(test_what_shapes_the_picture_counts),
                cmocka_unit_test(test_what_is_done_with_it_does_not),
                cmocka_unit_test(test_a_client_of_its_own_is_another),
                cmocka_unit_test(test_fields_do_not_run_into_one_another),
        };

        return cmocka_run_group_tests_name("picture-key", tests, NULL, NULL);
}
