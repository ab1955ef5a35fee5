/* A batch of io.atelier.Queue, and its items, as HTTP clients see them. */
#pragma once

#include "base/json.h"

/* As of job_reply_object(): parts of *ret refer to the argument, which must outlive it. */
int batch_reply_object(const JsonValue *batch, JsonValue **ret);
int batch_reply_item(const JsonValue *entry, const char *link_base, JsonValue **ret);

/* "/v1/batches/ID"; NULL when memory is short. */
char *batch_reply_location(const JsonValue *batch);
