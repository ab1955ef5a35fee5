/* What the headers of a submission say, of one request or of a batch: Idempotency-Key, Cache-Control, and ours. */
#pragma once

#include "http-request.h"

/* All of them are optional; one that can't be kept is refused rather than ignored, since its client relies on it. */
bool submit_headers_fit(const HttpRequest *request, ApiError *error);

/* Adds what they say to the parameters of Queue.Submit or Queue.SubmitBatch, and the request's id. */
int submit_headers_add(const HttpRequest *request, JsonValue *parameters);
