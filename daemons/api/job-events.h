/* What happens to a job as events of text/event-stream: OpenAI's of a streamed image, and our own of a job. */
#pragma once

#include "api-error.h"
#include "base/json.h"
#include "image-stream.h"

/* Of OpenAI, whose events have no id. `fd` is taken (set to -1), also on failure. */
int job_event_partial_image(ImageStream **ret, const JsonValue *job, const JsonValue *partial, int *fd);
int job_event_completed_image(ImageStream **ret, const JsonValue *job, const JsonValue *image, int *fd);
int job_event_error(ImageStream **ret, const ApiError *error);

/* Our own, numbered: "job." and the state with the job object; "job.partial_image". */
int job_event_state(ImageStream **ret, unsigned id, const JsonValue *job, const char *link_base);
int job_event_partial(ImageStream **ret, unsigned id, const JsonValue *job, const JsonValue *partial, int *fd);
