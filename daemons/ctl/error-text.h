/* What the errors of the daemons mean, in sentences. */
#pragma once

#include "base/buffer.h"
#include "base/json.h"

/* Appends one sentence without a newline: what was wrong and what helps. Every error of our interfaces and every
 * standard error of Varlink has its own; others are named. -ENOMEM. */
int error_text(Buffer *buffer, const char *daemon, const char *method, const char *error, const JsonValue *parameters);

/* The same on standard error, and before it what comes in several lines. */
void error_text_print(const char *daemon, const char *method, const char *error, const JsonValue *parameters);
