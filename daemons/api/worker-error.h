/* What the worker refuses, as HTTP clients see it. */
#pragma once

#include "api-error.h"
#include "io/varlink-client.h"

enum {
        WORKER_ERROR_UNEXPECTED = 1, /* nothing that a client could have brought about: a 500, and worth a warning */
};

/* `reply` has an error, or a status < 0. Returns 0 or WORKER_ERROR_UNEXPECTED; *ret is filled in either case. */
int worker_error(const VarlinkReply *reply, ApiError *ret);
