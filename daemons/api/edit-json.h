/* POST /v1/images/edits as JSON: the pictures of its data URLs to a spool while they arrive, the rest to a tree. */
#pragma once

#include "edit-form.h"

typedef struct EditJson EditJson;

/* `spool` outlives it; `nonce` is what no client can know beforehand, in place of a picture in the tree. */
int edit_json_new(EditJson **ret, UploadSpool *spool, const char *nonce);
EditJson *edit_json_free(EditJson *json);
DEFINE_CLEANUP(EditJson *, edit_json_free);

/* EDIT_REFUSED with *error, the answer to give. */
int edit_json_write(EditJson *json, const void *data, size_t size, ApiError *error);

/* At the end of the body: its members but images and mask, as yet unchecked. */
int edit_json_finish(EditJson *json, JsonValue **ret, ApiError *error);
