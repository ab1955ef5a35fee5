/* POST /images/edits as OpenAI takes it: the fields of a form. */
#pragma once

#include "images/image-store.h"
#include "io/http-client.h"
#include "providers/provider.h"

#define OPENAI_EDIT_FIELDS_MAX 16

typedef struct OpenaiEdit {
        HttpPart parts[GENERATION_UPLOADS_MAX + OPENAI_EDIT_FIELDS_MAX];
        size_t n_parts;
        int fds[GENERATION_UPLOADS_MAX];
        size_t n_fds;
        char numbers[3][16];
} OpenaiEdit;

/* Opens the files of the request, whose strings the parts point to. -ENOENT: one is not there any more. */
int openai_edit_init(OpenaiEdit *edit, ImageStore *images, const GenerationRequest *request);
void openai_edit_done(OpenaiEdit *edit);
