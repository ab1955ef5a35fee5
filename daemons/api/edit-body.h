/* The body of POST /v1/images/edits, as a form or as JSON, while it arrives and until it is answered. */
#pragma once

#include "edit-form.h"
#include "upload-spool.h"

typedef struct EditBody EditBody;

/* EDIT_REFUSED with *error, the answer to give; so in all of these. `length` is what Content-Length says, 0: nothing;
 * `nonce` outlives the body. */
int edit_body_new(EditBody **ret, const char *content_type, uint64_t length, const char *nonce, UploadMeter *meter,
                  const UploadLimits *limits, ApiError *error);
EditBody *edit_body_free(EditBody *body);
DEFINE_CLEANUP(EditBody *, edit_body_free);

int edit_body_write(EditBody *body, const void *data, size_t size, ApiError *error);

/* The whole body has come. */
int edit_body_finish(EditBody *body, ApiError *error);

/* The longest that such a body can be, by its type. */
uint64_t edit_body_bytes_max(const char *content_type, const UploadLimits *limits);

/* Of a finished one: the ImageRequest with its uploads, a copy; and their file. NULL when memory is short. */
JsonValue *edit_body_request(const EditBody *body);
int edit_body_fd(const EditBody *body);
