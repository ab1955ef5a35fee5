/* x-ratelimit-* and Retry-After, named and written as OpenAI does: what a reply of the worker says of the rates of a key. */
#pragma once

#include "base/json.h"
#include "base/time.h"
#include "http-reply.h"

/* {rates, retry_after_usec} of a reply's parameters, for rate_headers_add(); NULL where it says nothing of them. */
JsonValue *rate_facts(const JsonValue *parameters);

int rate_headers_add(HttpReply *reply, const JsonValue *facts);

/* As Go writes durations: "120ms", "1s", "6m0s", "1h2m3.5s". Returns buffer. */
#define GO_DURATION_MAX 40
const char *go_duration(usec_t duration, char buffer[static GO_DURATION_MAX]);
