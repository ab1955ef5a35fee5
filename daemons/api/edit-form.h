/* POST /v1/images/edits as multipart/form-data: fields to a tree, pictures to a spool. */
#pragma once

#include "api-error.h"
#include "upload-spool.h"

#define EDIT_TEXT_BYTES_MAX (512 * 1024) /* all that is no picture: the longest prompt, however it is escaped */

typedef struct EditForm EditForm;

enum {
        EDIT_REFUSED = 1,
};

/* `spool` outlives the form. EDIT_REFUSED with *error, the answer to give; so in all of these. */
int edit_form_new(EditForm **ret, const char *content_type, UploadSpool *spool, ApiError *error);
EditForm *edit_form_free(EditForm *form);
DEFINE_CLEANUP(EditForm *, edit_form_free);

int edit_form_write(EditForm *form, const void *data, size_t size, ApiError *error);

/* At the end of the body: the fields, as yet unchecked. */
int edit_form_finish(EditForm *form, JsonValue **ret, ApiError *error);
