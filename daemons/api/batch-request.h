/* The body of POST /v1/batches: many requests, and what they have in common. Each is checked for its shape as a request of
 * its own is (image-request.h), and made an ImageRequest of io.atelier.Queue; the rest is the worker's to judge. */
#pragma once

#include "api-error.h"
#include "base/json.h"

#define BATCH_REQUESTS_MAX 1000 /* as the worker has it */
#define BATCH_BYTES_MAX (3 * 1024 * 1024) /* of all requests once each has what they have in common: of one message */

enum {
        BATCH_REQUEST_INVALID = 1,
};

/* 0 with *ret {items, metadata}, as Queue.SubmitBatch takes them; BATCH_REQUEST_INVALID with *error the answer
 * to give; -ENOMEM. */
int batch_request_parse(const char *text, size_t size, JsonValue **ret, ApiError *error);
