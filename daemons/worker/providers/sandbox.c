/* The provider that needs no account: it draws a landscape from prompt, size and index, in a helper thread, and
 * charges nothing. Equal requests give equal bytes.
 *
 * A generation is first with the timer (sandbox_delay), then with one task of the thread pool, then done. Of a stream
 * that goes by steps: the timer (its share of the delay) and a task for each partial image, which is the picture in
 * coarse blocks, and at last for the image. A cancelled one whose task already runs is left to it (`cancelled` is the
 * only field that both threads touch by then) and freed when the task comes back; so the pool must be freed before the
 * image store. */
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <zlib.h>

#include "base/buffer.h"
#include "base/text.h"
#include "providers/landscape.h"
#include "providers/provider-kind.h"

#define SANDBOX_EDGE_MAX 4096     /* pixels */
#define SANDBOX_EDGE_DEFAULT 1024 /* for "auto" */
#define OUTPUT_BYTES (64 * 1024)
#define COARSEST_BLOCK 32         /* pixels; of the first partial image, and half of it of each further one */

typedef struct SandboxGeneration {
        Generation generation;
        sd_event_source *timer;
        atomic_bool cancelled;
        bool drawing;             /* the task is with the pool */

        bool stream;
        unsigned n_partials, step; /* steps from n_partials on draw the images */
        unsigned width, height, n_images;
        uint64_t seeds[GENERATION_IMAGES_MAX];
        TemporaryImage *images[GENERATION_IMAGES_MAX];
} SandboxGeneration;

/* Where libpng's bytes go: many small writes are gathered. */
typedef struct PictureOutput {
        TemporaryImage *image;
        int error;
        size_t size;
        uint8_t bytes[OUTPUT_BYTES];
} PictureOutput;

static SandboxGeneration *sandbox_generation_free(SandboxGeneration *generation) {
        if (!generation)
                return NULL;
        (void) sd_event_source_disable_unref(generation->timer);
        for (unsigned i = 0; i < generation->n_images; i++)
                (void) temporary_image_free(generation->images[i]);
        free(generation);
        return NULL;
}
DEFINE_CLEANUP(SandboxGeneration *, sandbox_generation_free);

static void flush_output(PictureOutput *output) {
        if (output->error >= 0)
                output->error = temporary_image_write(output->image, output->bytes, output->size);
        output->size = 0;
}

static void write_output(png_structp png, png_bytep data, size_t size) {
        PictureOutput *output = png_get_io_ptr(png);

        while (size > 0 && output->error >= 0) {
                size_t n = MIN(size, sizeof(output->bytes) - output->size);

                memcpy(output->bytes + output->size, data, n);
                output->size += n;
                data += n;
                size -= n;
                if (output->size == sizeof(output->bytes))
                        flush_output(output);
        }
        if (output->error < 0)
                png_error(png, "write");
}

static void flush_nothing(_unused_ png_structp png) {}

static void on_png_error(png_structp png, _unused_ png_const_charp message) {
        png_longjmp(png, 1);
}

static void on_png_warning(_unused_ png_structp png, _unused_ png_const_charp message) {}

static void write_header(png_structp png, png_infop info, unsigned width, unsigned height) {
        png_text software = {
                .compression = PNG_TEXT_COMPRESSION_NONE,
                .key = (char *) "Software",
                .text = (char *) "Atelier sandbox",
        };

        png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                     PNG_FILTER_TYPE_DEFAULT);
        png_set_text(png, info, &software, 1);

        /* Rows of long runs: the fastest level, no tables, and a window that stays in the cache lose little. */
        png_set_compression_level(png, 1);
        png_set_compression_strategy(png, Z_FIXED);
        png_set_compression_window_bits(png, 12);
        png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
        png_write_info(png, info);
}

/* The row as it is seen through blocks of so many pixels. */
static void make_coarse(uint8_t *to, const uint8_t *row, unsigned width, unsigned block) {
        for (unsigned x = 0; x < width; x++)
                memcpy(to + 3 * (size_t) x, row + 3 * (size_t) (x - x % block), 3);
}

/* Everything that libpng may jump out of; what it changes lives behind pointers. */
static int encode_picture(png_structp png, png_infop info, SandboxGeneration *generation, Landscape *landscape,
                          uint8_t *coarse, PictureOutput *output) {
        unsigned block = generation->step < generation->n_partials ? COARSEST_BLOCK >> generation->step : 1;

        if (setjmp(png_jmpbuf(png)))
                return output->error < 0 ? output->error : -ENOMEM;

        png_set_write_fn(png, output, write_output, flush_nothing);
        write_header(png, info, generation->width, generation->height);
        for (unsigned y = 0; y < generation->height; y++) {
                uint8_t *row;

                if (atomic_load_explicit(&generation->cancelled, memory_order_relaxed))
                        return -ECANCELED;
                row = landscape_next_row(landscape);
                if (block > 1 && y % block == 0)
                        make_coarse(coarse, row, generation->width, block);
                png_write_row(png, block > 1 ? coarse : row);
        }
        png_write_end(png, NULL);
        flush_output(output);
        return output->error;
}

static int draw_picture(SandboxGeneration *generation, unsigned index) {
        _cleanup_(landscape_freep) Landscape *landscape = NULL;
        _cleanup_free_ PictureOutput *output = NULL;
        _cleanup_free_ uint8_t *coarse = NULL;
        TemporaryImage *image;
        png_structp png;
        png_infop info;
        int r;

        r = landscape_new(&landscape, generation->seeds[index], generation->width, generation->height);
        if (r < 0)
                return r;
        r = temporary_image_new(&generation->images[index], generation->generation.provider->context.images);
        if (r < 0)
                return r;
        image = generation->images[index];

        output = malloc(sizeof(*output));
        coarse = malloc(3 * (size_t) generation->width);
        if (!output || !coarse)
                return -ENOMEM;
        output->image = image;
        output->error = 0;
        output->size = 0;

        png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, on_png_error, on_png_warning);
        if (!png)
                return -ENOMEM;
        info = png_create_info_struct(png);
        r = info ? encode_picture(png, info, generation, landscape, coarse, output) : -ENOMEM;
        png_destroy_write_struct(&png, &info);
        return r < 0 ? r : temporary_image_finish(image, NULL);
}

/* In a helper thread. */
static int draw_pictures(void *task) {
        SandboxGeneration *generation = task;

        if (generation->step < generation->n_partials)
                return draw_picture(generation, 0);
        for (unsigned i = 0; i < generation->n_images; i++) {
                int r = draw_picture(generation, i);

                if (r < 0)
                        return r;
        }
        return 0;
}

static void finish(SandboxGeneration *sandbox, GenerationResult *result) {
        _cleanup_(sandbox_generation_freep) SandboxGeneration *generation = sandbox;

        generation->generation.done(result, generation->generation.userdata);
        generation_result_done(result);
}

/* The service's account of a picture that cost nothing: those who stream expect one. */
static int add_usage(GenerationResult *result) {
        static const char nothing[] = "{\"total_tokens\":0,\"input_tokens\":0,\"output_tokens\":0,"
                                      "\"input_tokens_details\":{\"text_tokens\":0,\"image_tokens\":0}}";

        return json_parse(nothing, strlen(nothing), &result->usage, NULL);
}

static void finish_drawn(SandboxGeneration *generation, int r) {
        GenerationResult result = {};

        if (r >= 0 && generation->stream)
                r = add_usage(&result);
        if (r < 0)
                generation_result_fail_locally(&result, GENERATION_REFUSED, r);
        else {
                result.outcome = GENERATION_COMPLETED;
                result.n_images = generation->n_images;
                for (unsigned i = 0; i < generation->n_images; i++)
                        result.images[i].file = TAKE_PTR(generation->images[i]);
        }
        finish(generation, &result);
}

static int begin_step(SandboxGeneration *generation);

static void on_drawn(void *task, int r) {
        SandboxGeneration *generation = task;
        PartialImage partial;

        generation->drawing = false;
        if (atomic_load(&generation->cancelled)) {
                (void) sandbox_generation_free(generation);
                return;
        }
        if (r < 0 || generation->step == generation->n_partials) {
                finish_drawn(generation, r);
                return;
        }

        partial = (PartialImage) { .index = generation->step++, .file = TAKE_PTR(generation->images[0]) };
        generation_tell_partial(&generation->generation, &partial);
        r = begin_step(generation);
        if (r < 0)
                finish_drawn(generation, r);
}

static int start_drawing(SandboxGeneration *generation) {
        int r;

        r = thread_pool_run(generation->generation.provider->context.threads, draw_pictures, on_drawn, generation);
        if (r >= 0)
                generation->drawing = true;
        return r;
}

static void finish_refused(SandboxGeneration *generation, const char *param, const char *message) {
        GenerationResult result = {};

        generation_result_fail(&result, GENERATION_REFUSED, 400, "invalid_request_error", "invalid_value", message);
        result.param = strdup(param);
        finish(generation, &result);
}

static int on_delay_over(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        SandboxGeneration *generation = userdata;
        GenerationResult result = {};
        int r;

        if (generation->width > SANDBOX_EDGE_MAX || generation->height > SANDBOX_EDGE_MAX) {
                finish_refused(generation, "size", "The sandbox draws pictures of at most 4096x4096 pixels.");
                return 0;
        }

        r = start_drawing(generation);
        if (r < 0) {
                generation_result_fail_locally(&result, GENERATION_UNSENT, r);
                finish(generation, &result);
        }
        return 0;
}

static int begin_step(SandboxGeneration *generation) {
        usec_t delay = generation->generation.provider->sandbox_delay / (generation->n_partials + 1);
        bool too_large = generation->width > SANDBOX_EDGE_MAX || generation->height > SANDBOX_EDGE_MAX;

        if (delay == 0 && !too_large)
                return start_drawing(generation);

        generation->timer = sd_event_source_disable_unref(generation->timer);
        return sd_event_add_time_relative(generation->generation.provider->context.event, &generation->timer,
                                          CLOCK_MONOTONIC, delay, 1, on_delay_over, generation);
}

/* What an edit begins with: other images make another picture. "" without any. */
static int describe_uploads(const GenerationRequest *request, Buffer *text) {
        int r = buffer_append_text(text, "");

        for (unsigned i = 0; i < request->n_uploads && r >= 0; i++)
                r = buffer_printf(text, "\n%s%s", request->uploads[i].mask ? "mask " : "", request->uploads[i].sha256);
        return r;
}

/* One seed an image, from what was asked for. */
static int choose_seeds(SandboxGeneration *generation, const GenerationRequest *request) {
        _cleanup_(buffer_done) Buffer uploads = {};
        int q = describe_uploads(request, &uploads);

        if (q < 0)
                return q;
        for (unsigned i = 0; i < generation->n_images; i++) {
                _cleanup_free_ char *text = NULL;
                char digest[SHA256_TEXT_MAX];
                int r;

                text = text_format("%s\n%ux%u\n%u%.*s", request->prompt, generation->width, generation->height, i,
                                   (int) uploads.size, uploads.data ? (const char *) uploads.data : "");
                if (!text)
                        return -ENOMEM;
                r = sha256_text(text, strlen(text), digest);
                if (r < 0)
                        return r;
                digest[16] = 0;  /* 64 bits of it */
                generation->seeds[i] = strtoull(digest, NULL, 16);
        }
        return 0;
}

static int sandbox_generate(Provider *provider, const GenerationRequest *request, GenerationDone done, void *userdata,
                            Generation **ret) {
        _cleanup_(sandbox_generation_freep) SandboxGeneration *generation = NULL;
        int r;

        generation = calloc(1, sizeof(*generation));
        if (!generation)
                return -ENOMEM;
        generation->generation = (Generation) { provider, done, userdata, request->partial };
        generation->stream = request->stream;
        generation->n_partials = request->stream ? request->partial_images : 0;
        generation->n_images = request->n;
        generation->width = request->width ?: SANDBOX_EDGE_DEFAULT;
        generation->height = request->height ?: SANDBOX_EDGE_DEFAULT;
        /* It does not look at them, but what is not there it cannot edit. */
        for (unsigned i = 0; i < request->n_uploads; i++)
                if (!image_store_has(provider->context.images, request->uploads[i].sha256, request->uploads[i].format))
                        return -ENOENT;
        r = choose_seeds(generation, request);
        if (r < 0)
                return r;

        r = begin_step(generation);
        if (r < 0)
                return r;

        *ret = &TAKE_PTR(generation)->generation;
        return 0;
}

static void sandbox_cancel(Generation *cancelled) {
        SandboxGeneration *generation = CONTAINER_OF(cancelled, SandboxGeneration, generation);
        Generation caller = generation->generation;
        GenerationResult result = {};

        generation_result_fail(&result, GENERATION_UNSENT, 500, "server_error", "cancelled", "The job was cancelled.");
        atomic_store(&generation->cancelled, true);
        if (!generation->drawing)
                (void) sandbox_generation_free(generation);
        caller.done(&result, caller.userdata);
        generation_result_done(&result);
}

static int on_check(_unused_ sd_event_source *source, void *userdata) {
        Provider *provider = userdata;

        provider->check = sd_event_source_disable_unref(provider->check);
        provider_checked(provider, NULL);
        return 0;
}

static int sandbox_check(Provider *provider) {
        sd_event_source *source = NULL;
        int r;

        r = sd_event_add_defer(provider->context.event, &source, on_check, provider);
        if (r >= 0)
                provider->check = source;
        return r;
}

static void sandbox_cancel_check(Provider *provider) {
        provider->check = sd_event_source_disable_unref(provider->check);
}

const ProviderKind provider_kind_sandbox = {
        .name = "sandbox",
        .generate = sandbox_generate,
        .cancel = sandbox_cancel,
        .check = sandbox_check,
        .cancel_check = sandbox_cancel_check,
};
