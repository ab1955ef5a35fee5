/* For tests of providers: a loop, a store in a temporary folder, helper threads, and one generation's outcome. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "providers/provider.h"

#define FIXTURE_TIMEOUT (20 * USEC_PER_SEC)

typedef struct GenerationFixture {
        char path[64];
        sd_event *event;
        HttpClient *http;
        ThreadPool *threads;
        ImageStore *images;
        Provider *provider;

        unsigned done;             /* how often it was told */
        GenerationResult result;   /* taken over whole */
        unsigned n_partials;       /* of the newest generation */
        unsigned partial_indexes[PARTIAL_IMAGES_MAX];
        ImageFacts partial_facts[PARTIAL_IMAGES_MAX];
        char partial_quality[16];  /* as the last one's event said */
        bool checked, check_ok;
        char check_message[256];
} GenerationFixture;

static GenerationFixture *fixture_new(void) {
        GenerationFixture *fixture = calloc(1, sizeof(*fixture));
        int fd;

        assert_non_null(fixture);
        (void) strcpy(fixture->path, "/tmp/test-provider-XXXXXX");
        assert_non_null(mkdtemp(fixture->path));
        fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(image_store_new(&fixture->images, fd), 0);
        (void) close(fd);
        assert_true(sd_event_new(&fixture->event) >= 0);
        assert_int_equal(http_client_new(&fixture->http, fixture->event, 8), 0);
        assert_int_equal(thread_pool_new(&fixture->threads, fixture->event, "test", 2), 0);
        return fixture;
}

static int fixture_add_provider(GenerationFixture *fixture, const ProviderSettings *settings) {
        ProviderContext context = { fixture->event, fixture->http, fixture->threads, fixture->images };

        return provider_new(&fixture->provider, &context, settings);
}

static void fixture_drop_result(GenerationFixture *fixture) {
        GenerationResult *result = &fixture->result;

        for (unsigned i = 0; i < GENERATION_IMAGES_MAX; i++) {
                (void) temporary_image_free(result->images[i].file);
                free(result->images[i].revised_prompt);
        }
        (void) json_free(result->usage);
        (void) json_free(result->reply);
        free(result->provider_request_id);
        free(result->type);
        free(result->code);
        free(result->param);
        free(result->message);
        free(result->cause);
        *result = (GenerationResult) {};
        fixture->done = 0;
        fixture->n_partials = 0;
}

/* No temporary image may be left over. */
static void fixture_free(GenerationFixture *fixture) {
        char path[96];

        fixture_drop_result(fixture);
        (void) thread_pool_free(fixture->threads);
        (void) provider_free(fixture->provider);
        (void) http_client_free(fixture->http);
        (void) image_store_free(fixture->images);
        (void) sd_event_unref(fixture->event);
        (void) snprintf(path, sizeof(path), "%s/images/tmp", fixture->path);
        assert_int_equal(rmdir(path), 0);
        (void) snprintf(path, sizeof(path), "%s/images", fixture->path);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(fixture->path), 0);
        free(fixture);
}

static void fixture_on_done(GenerationResult *result, void *userdata) {
        GenerationFixture *fixture = userdata;

        fixture->done++;
        fixture->result = *result;
        *result = (GenerationResult) {};
}

static void fixture_on_partial(PartialImage *image, void *userdata) {
        GenerationFixture *fixture = userdata;

        assert_int_equal(fixture->done, 0);
        assert_true(fixture->n_partials < PARTIAL_IMAGES_MAX);
        fixture->partial_indexes[fixture->n_partials] = image->index;
        fixture->partial_facts[fixture->n_partials++] = *temporary_image_facts(image->file);
        (void) snprintf(fixture->partial_quality, sizeof(fixture->partial_quality), "%s",
                        json_get_string(image->reply, "quality") ?: "");
}

static Generation *fixture_start(GenerationFixture *fixture, GenerationRequest request) {
        Generation *generation = NULL;

        request.n = request.n ?: 1;
        request.prompt = request.prompt ?: "a cat";
        request.timeout = request.timeout ?: FIXTURE_TIMEOUT;
        request.partial = fixture_on_partial;
        fixture_drop_result(fixture);
        assert_int_equal(provider_generate(fixture->provider, &request, fixture_on_done, fixture, &generation), 0);
        assert_int_equal(fixture->done, 0);
        return generation;
}

static void fixture_run_until(GenerationFixture *fixture, bool (*reached)(GenerationFixture *)) {
        usec_t deadline = time_now_monotonic() + FIXTURE_TIMEOUT;

        while (!reached(fixture)) {
                assert_true(time_now_monotonic() < deadline);
                assert_true(sd_event_run(fixture->event, 100 * USEC_PER_MSEC) >= 0);
        }
}

static bool fixture_is_done(GenerationFixture *fixture) {
        return fixture->done > 0;
}

static void fixture_generate(GenerationFixture *fixture, GenerationRequest request) {
        (void) fixture_start(fixture, request);
        fixture_run_until(fixture, fixture_is_done);
        assert_int_equal(fixture->done, 1);
}

static void fixture_on_checked(_unused_ Provider *provider, bool ok, _unused_ usec_t latency, const char *message,
                               void *userdata) {
        GenerationFixture *fixture = userdata;

        fixture->checked = true;
        fixture->check_ok = ok;
        (void) snprintf(fixture->check_message, sizeof(fixture->check_message), "%s", message ?: "");
}

static bool fixture_is_checked(GenerationFixture *fixture) {
        return fixture->checked;
}

static _unused_ void fixture_check(GenerationFixture *fixture) {
        fixture->checked = false;
        assert_int_equal(provider_check(fixture->provider, 0, fixture_on_checked, fixture), 0);
        assert_false(fixture->checked);
        assert_int_equal(provider_check(fixture->provider, 0, fixture_on_checked, fixture), -EBUSY);
        fixture_run_until(fixture, fixture_is_checked);
}
