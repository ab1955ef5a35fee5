/* A file without a name goes with its last descriptor: with the request, and with the worker's copying of it, however either
 * of them ends. Bytes are counted where all uploads are, from the moment that they are announced. */
#include "upload-spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

#define FOLDER "/var/tmp" /* of our own: PrivateTmp= */

struct UploadSpool {
        UploadMeter *meter;
        UploadLimits limits;
        uint64_t counted; /* in the meter */
        uint64_t size;
        int fd;
        size_t count, mask; /* mask UPLOADS_MAX: none */
        uint64_t sizes[UPLOADS_MAX];
};

/* Some file systems know no O_TMPFILE. */
static int open_unnamed(void) {
        char path[] = FOLDER "/atelier-upload-XXXXXX";
        int fd = open(FOLDER, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
                return fd < 0 ? -errno : fd;
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        (void) unlink(path);
        return fd;
}

static int refuse_busy(ApiError *error) {
        api_error_set(error, 503, ERROR_TYPE_UNAVAILABLE, "too_many_uploads", NULL,
                      "Too many uploads are under way (api.uploads_in_flight_max). Please try again.");
        return UPLOAD_SPOOL_REFUSED;
}

static bool count(UploadSpool *spool, uint64_t size) {
        if (size <= spool->counted)
                return true;
        if (size - spool->counted > spool->limits.in_flight_max ||
            spool->meter->bytes > spool->limits.in_flight_max - (size - spool->counted))
                return false;
        spool->meter->bytes += size - spool->counted;
        spool->counted = size;
        return true;
}

int upload_spool_new(UploadSpool **ret, UploadMeter *meter, const UploadLimits *limits, uint64_t expected,
                     ApiError *error) {
        _cleanup_(upload_spool_freep) UploadSpool *spool = malloc(sizeof(*spool));

        if (!spool)
                return -ENOMEM;
        *spool = (UploadSpool){ .meter = meter, .limits = *limits, .fd = -1, .mask = UPLOADS_MAX };
        if (!count(spool, MIN(expected, limits->request_max)))
                return refuse_busy(error);
        spool->fd = open_unnamed();
        if (spool->fd < 0)
                return spool->fd;

        *ret = TAKE_PTR(spool);
        return 0;
}

UploadSpool *upload_spool_free(UploadSpool *spool) {
        if (!spool)
                return NULL;
        spool->meter->bytes -= spool->counted;
        (void) fd_close(spool->fd);
        free(spool);
        return NULL;
}

int upload_spool_begin(UploadSpool *spool, ApiError *error) {
        if (spool->count == UPLOADS_MAX) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "array_above_max_length", "image",
                              "Invalid 'image': expected at most %d images.", UPLOAD_IMAGES_MAX);
                return UPLOAD_SPOOL_REFUSED;
        }
        spool->sizes[spool->count++] = 0;
        return 0;
}

static int refuse_disk(ApiError *error) {
        api_error_set(error, 503, ERROR_TYPE_SERVER, "storage_full", NULL,
                      "The disk of this server is full; nothing was accepted. Try again later.");
        return UPLOAD_SPOOL_REFUSED;
}

int upload_spool_write(UploadSpool *spool, const void *data, size_t size, ApiError *error) {
        uint64_t *file = &spool->sizes[spool->count - 1];
        int r;

        if (size > spool->limits.file_max - *file) {
                api_error_set(error, 413, ERROR_TYPE_REQUEST, "image_too_large", "image",
                              "An image is larger than %" PRIu64 " bytes (api.upload_bytes_max).",
                              spool->limits.file_max);
                return UPLOAD_SPOOL_REFUSED;
        }
        if (size > spool->limits.request_max - spool->size) {
                api_error_set(error, 413, ERROR_TYPE_REQUEST, "body_too_large", NULL,
                              "The images are larger than %" PRIu64 " bytes together (api.uploads_bytes_max).",
                              spool->limits.request_max);
                return UPLOAD_SPOOL_REFUSED;
        }
        if (!count(spool, spool->size + size))
                return refuse_busy(error);
        r = fd_write_all(spool->fd, data, size);
        if (r == -ENOSPC || r == -EDQUOT)
                return refuse_disk(error);
        if (r < 0)
                return r;
        *file += size;
        spool->size += size;
        return 0;
}

void upload_spool_set_mask(UploadSpool *spool, size_t index) {
        spool->mask = index;
}

size_t upload_spool_count(const UploadSpool *spool) {
        return spool->count;
}

uint64_t upload_spool_size(const UploadSpool *spool, size_t index) {
        return spool->sizes[index];
}

int upload_spool_fd(const UploadSpool *spool) {
        return spool->fd;
}

static JsonValue *describe(const UploadSpool *spool, size_t index) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "size_bytes", (int64_t) spool->sizes[index]);
        if (r >= 0 && index == spool->mask)
                r = json_add_bool(value, "mask", true);
        return r < 0 ? NULL : TAKE_PTR(value);
}

JsonValue *upload_spool_describe(const UploadSpool *spool) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        for (size_t i = 0; i < spool->count; i++)
                if (json_append(array, describe(spool, i)) < 0)
                        return NULL;
        return TAKE_PTR(array);
}
