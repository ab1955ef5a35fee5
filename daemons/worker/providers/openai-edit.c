#include "providers/openai-edit.h"

#include <stdio.h>

#include "base/fd.h"

/* By ImageFormat. */
static const char *const filenames[_IMAGE_FORMATS] = { "image.png", "image.jpg", "image.webp" };
static const char *const types[_IMAGE_FORMATS] = { "image/png", "image/jpeg", "image/webp" };

static int add_file(OpenaiEdit *edit, ImageStore *images, const GenerationUpload *upload, bool one) {
        int fd = image_store_open(images, upload->sha256, upload->format);

        if (fd < 0)
                return fd;
        edit->fds[edit->n_fds++] = fd;
        edit->parts[edit->n_parts++] = (HttpPart) {
                .name = upload->mask ? "mask" : one ? "image" : "image[]",
                .fd = fd,
                .size = upload->size_bytes,
                .filename = upload->mask ? "mask.png" : filenames[upload->format],
                .type = types[upload->format],
        };
        return 0;
}

static int add_files(OpenaiEdit *edit, ImageStore *images, const GenerationRequest *request) {
        unsigned n_images = request->n_uploads - request->uploads[request->n_uploads - 1].mask;
        int r = 0;

        for (unsigned i = 0; i < request->n_uploads && r >= 0; i++)
                r = add_file(edit, images, &request->uploads[i], n_images == 1);
        return r;
}

/* NULL: it was not given, and is not sent. */
static void add_text(OpenaiEdit *edit, const char *name, const char *text) {
        if (text)
                edit->parts[edit->n_parts++] = (HttpPart) { .name = name, .text = text, .fd = -1 };
}

static void add_number(OpenaiEdit *edit, size_t slot, const char *name, int number) {
        (void) snprintf(edit->numbers[slot], sizeof(edit->numbers[slot]), "%d", number);
        add_text(edit, name, edit->numbers[slot]);
}

int openai_edit_init(OpenaiEdit *edit, ImageStore *images, const GenerationRequest *request) {
        add_text(edit, "model", request->model);
        add_text(edit, "prompt", request->prompt);
        add_number(edit, 0, "n", (int) request->n);
        add_text(edit, "size", request->size);
        add_text(edit, "quality", request->quality);
        add_text(edit, "background", request->background);
        add_text(edit, "output_format", request->output_format);
        add_text(edit, "input_fidelity", request->input_fidelity);
        add_text(edit, "user", request->user);
        if (request->output_compression >= 0)
                add_number(edit, 1, "output_compression", request->output_compression);
        add_text(edit, "response_format", request->send_response_format ? "b64_json" : NULL);
        add_text(edit, "stream", request->stream ? "true" : NULL);
        if (request->stream && request->partial_images > 0)
                add_number(edit, 2, "partial_images", (int) request->partial_images);
        return add_files(edit, images, request);
}

void openai_edit_done(OpenaiEdit *edit) {
        while (edit->n_fds > 0)
                (void) fd_close(edit->fds[--edit->n_fds]);
}
