/* An image as a stream of events, in the form of OpenAI's images API: partial images, then the image with what it took
 * to make it, or an error. Names (OpenAI) and data alone (OpenRouter) are both understood. */
#pragma once

#include "base/json-number.h"
#include "providers/provider-kind.h"

typedef struct ImageEvents ImageEvents;

/* Partial images are handed out by generation_tell_partial() while they arrive; more than n_partials_max are passed
 * over. `generation` outlives the events. */
int image_events_new(ImageEvents **ret, Generation *generation, unsigned n_partials_max);
ImageEvents *image_events_free(ImageEvents *events);
DEFINE_CLEANUP(ImageEvents *, image_events_free);

/* Whether the value of a Content-Type says that this is one. */
bool image_events_is_type(const char *value);

/* Takes the next bytes, in pieces of any size. -EBADMSG: no stream of images, or one whose image is none, see
 * image_events_reason(). -ENOSPC, -EDQUOT, -EIO, -ENOMEM: our own trouble. A partial image that cannot be used is
 * passed over. What comes after the image, or after an error, is not looked at. */
int image_events_write(ImageEvents *events, const void *data, size_t size);
const char *image_events_reason(const ImageEvents *events);

/* How far it has come: neither, or one of them. */
bool image_events_completed(const ImageEvents *events);
bool image_events_failed(const ImageEvents *events);

/* Of a completed stream: the event without its image, the image, and usage.cost as the event tells it, or "". */
void image_events_take(ImageEvents *events, JsonValue **ret_reply, TemporaryImage **ret_image,
                       char ret_cost[static JSON_NUMBER_MAX]);

/* Of a failed one: what the provider said, cleared of secrets. */
void image_events_read_failure(const ImageEvents *events, GenerationResult *result, const char *key);

/* A copy of the members that tell about an image: background, output_format, size, quality. */
int image_events_copy_facts(const JsonValue *event, JsonValue **ret);
