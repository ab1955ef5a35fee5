/* The body of POST /v1/images/generations, and the fields of POST /v1/images/edits: OpenAI's JSON checked for its shape,
 * and made an ImageRequest of io.atelier.Queue. What a model takes (sizes, lengths, counts) is the worker's to judge. */
#pragma once

#include "api-error.h"
#include "base/json.h"

#define IMAGE_REQUEST_FIELD_BYTES_MAX 512 /* of any text but the prompt, whose length the model bounds */

enum {
        IMAGE_REQUEST_INVALID = 1,
};

/* 0 with *ret the ImageRequest (null members left out); IMAGE_REQUEST_INVALID with *error the
 * answer to give; -ENOMEM. */
int image_request_parse(const char *text, size_t size, JsonValue **ret, ApiError *error);

/* The two steps of it: the body as an object, as yet unchecked; and the check, which makes it the ImageRequest. */
int image_request_parse_object(const char *text, size_t size, JsonValue **ret, ApiError *error);
int image_request_check(JsonValue *body, ApiError *error);

/* Of a field whose value comes as text, in a form: the same fields, types and limits. */
typedef enum ImageFieldType {
        IMAGE_FIELD_UNKNOWN,
        IMAGE_FIELD_TEXT,
        IMAGE_FIELD_INTEGER,
        IMAGE_FIELD_BOOLEAN,
} ImageFieldType;

ImageFieldType image_request_field_type(const char *name);
