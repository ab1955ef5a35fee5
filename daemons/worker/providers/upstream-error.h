/* What an images API says when it refuses, put into OpenAI's terms and cleared of secrets. Pure. */
#pragma once

#include <stddef.h>

#include "providers/provider-kind.h"

#define UPSTREAM_ERROR_BYTES_MAX (64 * 1024)  /* of a body; what is longer is not looked at */
#define UPSTREAM_TEXT_BYTES_MAX 1024          /* of a message that is passed on */

/* Fills in `result` from an HTTP status of 300 or more and the body, which may be anything. `key` (may be NULL) is
 * masked wherever it stands. */
void upstream_error_read(GenerationResult *result, long status, const char *body, size_t size, const char *key);

/* The status that an error within an answer of success, or in a stream, would have had as an answer of its own. */
long upstream_error_status(const JsonValue *reply);

/* A copy of text (or of its beginning) that is fit for clients and logs: the key, what looks like one (sk-…) and
 * what follows "Bearer " become ***, control characters become spaces. NULL when text is, or memory is short. */
char *upstream_text_copy(const char *text, const char *key);
