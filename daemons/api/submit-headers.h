/* What the headers of a submission say, of one request or of a batch. */
#pragma once

#include "http-request.h"

#define IDEMPOTENCY_KEY "Idempotency-Key"

/* It is optional; one that can't be kept is refused rather than ignored, since its client relies on it. */
bool idempotency_key_fits(const HttpRequest *request, ApiError *error);

/* What Cache-Control says, as parameters of Queue.Submit and Queue.SubmitBatch. */
int cache_wish_add(JsonValue *parameters, HttpRequest *request);
