/* Is a request one that its model takes? Pure: by the settings alone. */
#pragma once

#include "base/json.h"
#include "conf/settings.h"
#include "store/job.h"

#define PROMPT_CHARS_MIN 1
#define USER_BYTES_MAX 256

enum {
        REQUEST_INVALID = 1,  /* *failure says what was wrong and what was expected */
};

/* `request` is an io.atelier.Queue.ImageRequest. On success *ret is the model that it names, from the settings: it may
 * be an alias, in whose terms the request is judged. `now`, of the wall clock, tells which models are gone. */
int request_check(const Settings *settings, const JsonValue *request, usec_t now, const ModelConf **ret,
                  Failure *failure);

/* A checked request in the provider's terms; its strings point into `request` and `model`, which is no alias: see
 * request-translate.h. */
void request_to_generation(const JsonValue *request, const ModelConf *model, GenerationRequest *ret);

/* "url" or "b64_json": as asked for, or as the model answers. */
const char *request_response_format(const JsonValue *request, const ModelConf *model);
