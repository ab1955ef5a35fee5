/* A job of io.atelier.Queue as HTTP clients see it: the job object, OpenAI's images response. */
#pragma once

#include "api-error.h"
#include "base/json.h"
#include "http-reply.h"
#include "image-stream.h"

typedef enum JobOutcome {
        JOB_UNFINISHED,
        JOB_COMPLETED,
        JOB_FAILED, /* failed or cancelled */
} JobOutcome;

JobOutcome job_reply_outcome(const JsonValue *job);

/* Whether the request's answer carries the images themselves. */
bool job_reply_is_base64(const JsonValue *job);

/* What the client of a job that ended without images is told. */
void job_reply_error(const JsonValue *job, ApiError *error);

/* `link_base` is "http://HOST"; links are LINK_BASE/v1/images/SHA256.FORMAT. Parts of *ret refer to `job`, which must
 * outlive it. */
int job_reply_object(const JsonValue *job, const char *link_base, JsonValue **ret);
int job_reply_images(const JsonValue *job, const char *link_base, JsonValue **ret);

/* The same with the signed links that there are: an array of io.atelier.Queue.ImageLink, or NULL. */
int job_reply_signed_images(const JsonValue *job, const char *link_base, const JsonValue *links, JsonValue **ret);

/* OpenAI's images response with the bytes from `fds`, one per image, which are taken (set to -1). -EBADMSG when their
 * number is not that of the images. */
int job_reply_stream(const JsonValue *job, int *fds, size_t n_fds, ImageStream **ret);

/* "/v1/jobs/ID"; NULL when memory is short. */
char *job_reply_location(const JsonValue *job);

/* x-atelier-cache: where its images are from, if the cache is on. x-atelier-optimised: what of the request the optimiser
 * changed, if anything: "quality=medium, size=1024x1024, saved=$0.0400". `job` may be NULL. */
int job_reply_add_headers(const JsonValue *job, HttpReply *reply);
