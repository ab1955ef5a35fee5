#include "queue/upload-intake.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/text.h"
#include "images/png-alpha.h"

#define COPY_BYTES (256 * 1024)

static bool has_mask(const UploadIntake *intake) {
        return intake->mask < UPLOADS_MAX;
}

int upload_intake_read(UploadIntake *intake, const JsonValue *uploads) {
        intake->mask = UPLOADS_MAX;
        for (const JsonValue *upload = uploads ? uploads->child : NULL; upload; upload = upload->next) {
                int64_t size = json_get_integer(upload, "size_bytes", 0);
                bool mask = json_get_bool(upload, "mask", false);

                if (intake->n == UPLOADS_MAX || size < 1 || size > IMAGE_BYTES_MAX ||
                    (mask && intake->mask < UPLOADS_MAX))
                        return UPLOAD_REFUSED;
                if (mask)
                        intake->mask = intake->n;
                intake->sizes[intake->n++] = (uint64_t) size;
        }
        return intake->n > (has_mask(intake) ? 1 : 0) ? 0 : UPLOAD_REFUSED;
}

void upload_intake_done(UploadIntake *intake) {
        for (size_t i = 0; i < UPLOADS_MAX; i++)
                intake->images[i] = temporary_image_free(intake->images[i]);
        intake->fd = fd_close(intake->fd);
}

static int refuse(Failure *failure, const char *param, const char *message) {
        int r = failure_set(failure, 400, "invalid_request_error", "invalid_image", param, message);

        return r < 0 ? r : UPLOAD_REFUSED;
}

static int refuse_file(const UploadIntake *intake, size_t i, const char *reason, Failure *failure) {
        char message[256];

        if (i == intake->mask)
                (void) snprintf(message, sizeof(message), "Invalid 'mask': %s.", reason);
        else
                (void) snprintf(message, sizeof(message),
                                "Invalid 'image': %s (image %zu of the request). Expected a PNG, JPEG or WebP file.",
                                reason, i + 1 - (i > intake->mask));
        return refuse(failure, i == intake->mask ? "mask" : "image", message);
}

/* The peer still has the file and may cut it while we read. */
static int copy_bytes(const UploadIntake *intake, size_t i, off_t offset, uint8_t *buffer) {
        for (uint64_t left = intake->sizes[i]; left > 0;) {
                size_t size = (size_t) MIN(left, (uint64_t) COPY_BYTES);
                ssize_t n = fd_pread_all(intake->fd, buffer, size, offset);
                int r;

                if (n < (ssize_t) size)
                        return n < 0 ? (int) n : -EBADMSG;
                r = temporary_image_write(intake->images[i], buffer, size);
                if (r < 0)
                        return r;
                offset += n;
                left -= size;
        }
        return 0;
}

static int copy_file(UploadIntake *intake, ImageStore *store, size_t i, off_t offset, uint8_t *buffer,
                     Failure *failure) {
        const char *reason = NULL;
        int r;

        r = temporary_image_new(&intake->images[i], store);
        if (r >= 0)
                r = copy_bytes(intake, i, offset, buffer);
        if (r >= 0)
                r = temporary_image_finish(intake->images[i], &reason);
        return r == -EBADMSG ? refuse_file(intake, i, reason ?: "image cut short", failure) : r;
}

static int check_mask(const UploadIntake *intake, Failure *failure) {
        const ImageFacts *first = temporary_image_facts(intake->images[intake->mask == 0 ? 1 : 0]);
        const ImageFacts *mask = temporary_image_facts(intake->images[intake->mask]);
        _cleanup_close_ int fd = -1;
        char message[256];
        int r;

        if (mask->format != IMAGE_PNG)
                return refuse(failure, "mask", "Invalid 'mask': expected a PNG file.");
        if (mask->width != first->width || mask->height != first->height) {
                (void) snprintf(message, sizeof(message),
                                "Invalid 'mask': it has %ux%u pixels; expected %ux%u, as the first image has.",
                                mask->width, mask->height, first->width, first->height);
                return refuse(failure, "mask", message);
        }
        fd = temporary_image_open(intake->images[intake->mask]);
        r = fd < 0 ? fd : png_has_alpha(fd);
        if (r < 0)
                return r;
        return r > 0 ? 0 : refuse(failure, "mask",
                                  "Invalid 'mask': it has no alpha channel; its transparent parts are to be edited.");
}

static int check_source(const UploadIntake *intake, Failure *failure) {
        uint64_t total = 0;
        struct stat st;

        for (size_t i = 0; i < intake->n; i++)
                total += intake->sizes[i];
        if (fstat(intake->fd, &st) < 0)
                return -errno;
        if (S_ISREG(st.st_mode) && (uint64_t) st.st_size == total)
                return 0;
        return refuse(failure, "image", "The uploads are no file of the size that was announced.");
}

int upload_intake_copy(UploadIntake *intake, ImageStore *store, Failure *failure) {
        _cleanup_free_ uint8_t *buffer = malloc(COPY_BYTES);
        off_t offset = 0;
        int r;

        if (!buffer)
                return -ENOMEM;
        r = check_source(intake, failure);
        for (size_t i = 0; i < intake->n && r == 0; i++) {
                r = copy_file(intake, store, i, offset, buffer, failure);
                offset += (off_t) intake->sizes[i];
        }
        return r == 0 && has_mask(intake) ? check_mask(intake, failure) : r;
}

static JsonValue *describe(const UploadIntake *intake, size_t i) {
        const ImageFacts *facts = temporary_image_facts(intake->images[i]);
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r = 0;

        if (i == intake->mask)
                r = json_add_bool(value, "mask", true);
        if (r >= 0)
                r = json_add_string(value, "sha256", facts->sha256);
        if (r >= 0)
                r = json_add_string(value, "format", image_format_name(facts->format));
        if (r >= 0)
                r = json_add_integer(value, "width", facts->width);
        if (r >= 0)
                r = json_add_integer(value, "height", facts->height);
        if (r >= 0)
                r = json_add_integer(value, "size_bytes", (int64_t) facts->size_bytes);
        return r < 0 ? NULL : TAKE_PTR(value);
}

JsonValue *upload_intake_describe(const UploadIntake *intake) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        for (size_t i = 0; i < intake->n; i++)
                if (i != intake->mask && json_append(array, describe(intake, i)) < 0)
                        return NULL;
        if (has_mask(intake) && json_append(array, describe(intake, intake->mask)) < 0)
                return NULL;
        return TAKE_PTR(array);
}
