/* What one request uploads, in a file without a name: its pictures one behind another. */
#pragma once

#include "api-error.h"

#define UPLOAD_IMAGES_MAX 16 /* of one request; a mask comes on top */
#define UPLOADS_MAX (UPLOAD_IMAGES_MAX + 1)

/* All uploads in flight. */
typedef struct UploadMeter {
        uint64_t bytes;
} UploadMeter;

typedef struct UploadLimits {
        uint64_t file_max; /* bytes of one picture */
        uint64_t request_max; /* of those of one request */
        uint64_t in_flight_max; /* of all requests */
} UploadLimits;

typedef struct UploadSpool UploadSpool;

enum {
        UPLOAD_SPOOL_REFUSED = 1,
};

/* `expected` bytes are counted from now on, as announced; 0: unknown. `meter` outlives the spool. Here and below
 * UPLOAD_SPOOL_REFUSED comes with *error, the answer to give. */
int upload_spool_new(UploadSpool **ret, UploadMeter *meter, const UploadLimits *limits, uint64_t expected,
                     ApiError *error);
UploadSpool *upload_spool_free(UploadSpool *spool);
DEFINE_CLEANUP(UploadSpool *, upload_spool_free);

/* The next picture. What is written goes to it. */
int upload_spool_begin(UploadSpool *spool, ApiError *error);
int upload_spool_write(UploadSpool *spool, const void *data, size_t size, ApiError *error);
void upload_spool_set_mask(UploadSpool *spool, size_t index);

size_t upload_spool_count(const UploadSpool *spool);
uint64_t upload_spool_size(const UploadSpool *spool, size_t index);
int upload_spool_fd(const UploadSpool *spool);

/* io.atelier.Queue.ImageRequest's uploads. NULL when memory is short. */
JsonValue *upload_spool_describe(const UploadSpool *spool);
