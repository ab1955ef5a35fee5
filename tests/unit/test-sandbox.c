/* The provider that draws: the same picture for the same request, another for any other, in every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <png.h>

#include "base/fd.h"
#include "generation-fixture.h"

static int set_up(void **state) {
        *state = fixture_new();
        return fixture_add_provider(*state, &(ProviderSettings){ .name = "box", .kind = "sandbox" });
}

static int tear_down(void **state) {
        fixture_free(*state);
        return 0;
}

static void draw(GenerationFixture *fixture, const char *prompt, unsigned edge, char digest[static SHA256_TEXT_MAX]) {
        const ImageFacts *facts;

        fixture_generate(fixture, (GenerationRequest){ .prompt = prompt, .width = edge, .height = edge });
        assert_int_equal(fixture->result.outcome, GENERATION_COMPLETED);
        facts = temporary_image_facts(fixture->result.images[0].file);
        assert_int_equal(facts->width, edge);
        (void) strcpy(digest, facts->sha256);
}

static void test_equal_requests_give_equal_pictures(void **state) {
        char first[SHA256_TEXT_MAX], second[SHA256_TEXT_MAX];

        draw(*state, "a cat", 64, first);
        draw(*state, "a cat", 64, second);
        assert_string_equal(first, second);
}

static void test_other_requests_give_other_pictures(void **state) {
        char digests[300][SHA256_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTS(digests); i++) {
                char prompt[32];

                (void) snprintf(prompt, sizeof(prompt), "prompt %zu", i / 2);
                draw(*state, prompt, i % 2 ? 64 : 80, digests[i]);
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(digests[i], digests[k]);
        }
}

/* Coarse at first, then finer; the image is the one that an unstreamed request gets. */
static void test_partial_images_of_a_stream(void **state) {
        GenerationFixture *fixture = *state;
        char digest[SHA256_TEXT_MAX];

        draw(fixture, "a cat", 128, digest);
        fixture_generate(fixture, (GenerationRequest){ .prompt = "a cat",
                                                       .width = 128,
                                                       .height = 128,
                                                       .stream = true,
                                                       .partial_images = 3 });
        assert_int_equal(fixture->result.outcome, GENERATION_COMPLETED);
        assert_string_equal(temporary_image_facts(fixture->result.images[0].file)->sha256, digest);
        assert_int_equal(json_get_integer(fixture->result.usage, "total_tokens", -1), 0);
        assert_int_equal(fixture->n_partials, 3);
        for (unsigned i = 0; i < 3; i++) {
                assert_int_equal(fixture->partial_indexes[i], i);
                assert_int_equal(fixture->partial_facts[i].width, 128);
                assert_int_equal(fixture->partial_facts[i].height, 128);
                assert_string_not_equal(fixture->partial_facts[i].sha256, digest);
                if (i > 0)
                        assert_true(fixture->partial_facts[i].size_bytes > fixture->partial_facts[i - 1].size_bytes);
        }
}

static void test_partial_images_only_in_a_stream(void **state) {
        GenerationFixture *fixture = *state;

        fixture_generate(fixture, (GenerationRequest){ .width = 64, .height = 64, .stream = true });
        assert_int_equal(fixture->result.outcome, GENERATION_COMPLETED);
        assert_int_equal(fixture->n_partials, 0);
}

static bool has_partial(GenerationFixture *fixture) {
        return fixture->n_partials > 0;
}

static void test_cancel_between_partial_images(void **state) {
        GenerationFixture *fixture = *state;
        Generation *generation;

        fixture->provider = provider_free(fixture->provider);
        assert_int_equal(fixture_add_provider(fixture, &(ProviderSettings){ .name = "slow",
                                                                            .kind = "sandbox",
                                                                            .sandbox_delay = 200 * USEC_PER_MSEC }),
                         0);
        generation = fixture_start(fixture, (GenerationRequest){
                                                    .width = 64, .height = 64, .stream = true, .partial_images = 3 });
        fixture_run_until(fixture, has_partial);
        generation_cancel(generation);
        assert_int_equal(fixture->done, 1);
        assert_int_equal(fixture->result.outcome, GENERATION_UNSENT);
        assert_int_equal(fixture->n_partials, 1);
}

static void test_many_images_of_one_request_differ(void **state) {
        GenerationFixture *fixture = *state;

        fixture_generate(fixture, (GenerationRequest){ .n = 10, .width = 32, .height = 48 });
        assert_int_equal(fixture->result.outcome, GENERATION_COMPLETED);
        assert_int_equal(fixture->result.n_images, 10);
        assert_null(fixture->result.usage);
        for (unsigned i = 0; i < 10; i++) {
                const ImageFacts *facts = temporary_image_facts(fixture->result.images[i].file);

                assert_int_equal(facts->width, 32);
                assert_int_equal(facts->height, 48);
                assert_int_equal(facts->format, IMAGE_PNG);
                for (unsigned k = 0; k < i; k++)
                        assert_string_not_equal(facts->sha256,
                                                temporary_image_facts(fixture->result.images[k].file)->sha256);
        }
}

static void test_sizes(void **state) {
        static const unsigned sizes[][2] = { { 1, 1 }, { 1, 4096 }, { 4096, 1 }, { 17, 5 }, { 1536, 1024 }, { 2, 3 } };
        GenerationFixture *fixture = *state;

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                const ImageFacts *facts;

                fixture_generate(fixture, (GenerationRequest){ .width = sizes[i][0], .height = sizes[i][1] });
                assert_int_equal(fixture->result.outcome, GENERATION_COMPLETED);
                facts = temporary_image_facts(fixture->result.images[0].file);
                assert_int_equal(facts->width, sizes[i][0]);
                assert_int_equal(facts->height, sizes[i][1]);
        }
}

static void test_no_size_is_1024(void **state) {
        GenerationFixture *fixture = *state;

        fixture_generate(fixture, (GenerationRequest){ .size = "auto" });
        assert_int_equal(temporary_image_facts(fixture->result.images[0].file)->width, 1024);
}

static void test_too_large(void **state) {
        GenerationFixture *fixture = *state;

        fixture_generate(fixture, (GenerationRequest){ .width = 4097, .height = 16 });
        assert_int_equal(fixture->result.outcome, GENERATION_REFUSED);
        assert_int_equal(fixture->result.status, 400);
        assert_string_equal(fixture->result.param, "size");
}

/* libpng reads every pixel of it. */
static void test_picture_decodes(void **state) {
        GenerationFixture *fixture = *state;
        png_image png = { .version = PNG_IMAGE_VERSION };
        _cleanup_free_ uint8_t *pixels = malloc(64 * 48 * 3), *data = NULL;
        TemporaryImage *image;
        char path[96];
        int fd;

        fixture_generate(fixture, (GenerationRequest){ .width = 64, .height = 48 });
        image = fixture->result.images[0].file;
        assert_int_equal(temporary_image_keep(image), 0);
        fd = image_store_open(fixture->images, temporary_image_facts(image)->sha256, IMAGE_PNG);
        assert_true(fd >= 0);
        data = malloc(temporary_image_facts(image)->size_bytes);
        assert_int_equal(fd_read_all(fd, data, temporary_image_facts(image)->size_bytes),
                         temporary_image_facts(image)->size_bytes);
        (void) close(fd);

        assert_int_equal(png_image_begin_read_from_memory(&png, data, temporary_image_facts(image)->size_bytes), 1);
        png.format = PNG_FORMAT_RGB;
        assert_int_equal(png_image_finish_read(&png, NULL, pixels, 0, NULL), 1);
        assert_int_equal(png.width, 64);
        assert_int_equal(png.warning_or_error, 0);
        assert_memory_not_equal(pixels, pixels + 47 * 64 * 3, 3); /* sky and hill */

        assert_int_equal(image_store_remove(fixture->images, temporary_image_facts(image)->sha256, IMAGE_PNG), 0);
        (void) snprintf(path, sizeof(path), "%s/images/%.2s", fixture->path, temporary_image_facts(image)->sha256);
        assert_int_equal(rmdir(path), 0);
}

static int set_up_slow(void **state) {
        *state = fixture_new();
        return fixture_add_provider(
                *state, &(ProviderSettings){ .name = "box", .kind = "sandbox", .sandbox_delay = 50 * USEC_PER_MSEC });
}

static void test_delay(void **state) {
        GenerationFixture *fixture = *state;
        usec_t begin = time_now_monotonic();

        fixture_generate(fixture, (GenerationRequest){ .width = 16, .height = 16 });
        assert_int_equal(fixture->result.outcome, GENERATION_COMPLETED);
        assert_true(time_now_monotonic() - begin >= 50 * USEC_PER_MSEC);
}

static void test_cancel_while_waiting(void **state) {
        GenerationFixture *fixture = *state;
        Generation *generation = fixture_start(fixture, (GenerationRequest){ .width = 16, .height = 16 });

        generation_cancel(generation);
        assert_int_equal(fixture->done, 1);
        assert_int_equal(fixture->result.outcome, GENERATION_UNSENT);
}

static void test_cancel_while_drawing(void **state) {
        GenerationFixture *fixture = *state;
        Generation *generation = fixture_start(fixture, (GenerationRequest){ .width = 4096, .height = 4096 });

        generation_cancel(generation);
        assert_int_equal(fixture->done, 1);
        assert_int_equal(fixture->result.outcome, GENERATION_UNSENT);
        fixture->threads = thread_pool_free(fixture->threads);
        assert_int_equal(fixture->done, 1);
}

static void test_check(void **state) {
        GenerationFixture *fixture = *state;

        fixture_check(fixture);
        assert_true(fixture->check_ok);
        assert_string_equal(fixture->check_message, "");
}

static void test_free_during_a_check(void **state) {
        GenerationFixture *fixture = *state;

        assert_int_equal(provider_check(fixture->provider, 0, fixture_on_checked, fixture), 0);
        fixture->provider = provider_free(fixture->provider);
        assert_true(sd_event_run(fixture->event, USEC_PER_MSEC) >= 0);
        assert_false(fixture->checked);
}

static void test_settings(void **state) {
        GenerationFixture *fixture = *state;

        assert_string_equal(provider_name(fixture->provider), "box");
        assert_false(provider_is_paid(fixture->provider));
        assert_true(provider_has_key(fixture->provider));
        fixture->provider = provider_free(fixture->provider);
        assert_int_equal(fixture_add_provider(fixture, &(ProviderSettings){ .name = "x", .kind = "midjourney" }),
                         -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_equal_requests_give_equal_pictures),
                TEST(test_other_requests_give_other_pictures),
                TEST(test_cancel_between_partial_images),
                TEST(test_partial_images_only_in_a_stream),
                TEST(test_partial_images_of_a_stream),
                TEST(test_many_images_of_one_request_differ),
                TEST(test_sizes),
                TEST(test_no_size_is_1024),
                TEST(test_too_large),
                TEST(test_picture_decodes),
                cmocka_unit_test_setup_teardown(test_delay, set_up_slow, tear_down),
                cmocka_unit_test_setup_teardown(test_cancel_while_waiting, set_up_slow, tear_down),
                TEST(test_cancel_while_drawing),
                TEST(test_check),
                TEST(test_free_during_a_check),
                TEST(test_settings),
        };

        return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
