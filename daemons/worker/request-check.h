/* Is a request one that its model takes? Pure: by the settings alone. */
#pragma once

#include "base/json.h"
#include "conf/settings.h"
#include "job.h"

#define PROMPT_CHARS_MIN 1
#define USER_BYTES_MAX 256

enum {
        REQUEST_INVALID = 1,  /* *failure says what was wrong and what was expected */
};

/* `request` is an io.atelier.Queue.ImageRequest. On success *ret is the model that it is for, from the settings. */
int request_check(const Settings *settings, const JsonValue *request, const ModelConf **ret, Failure *failure);

/* A checked request in the provider's terms; its strings point into `request` and `model`. */
void request_to_generation(const JsonValue *request, const ModelConf *model, GenerationRequest *ret);

/* "url" or "b64_json": as asked for, or as the model answers. */
const char *request_response_format(const JsonValue *request, const ModelConf *model);
