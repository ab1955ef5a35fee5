/* Reads the reply of an images API while it arrives: the base64 of data[i].b64_json goes, decoded, into temporary
 * images, and the rest is kept as JSON. Memory is bounded whatever the size of the images. */
#pragma once

#include "base/json.h"
#include "base/macro.h"
#include "images/image-store.h"

#define REPLY_TEXT_BYTES_MAX (256 * 1024)  /* of a reply without its images */

typedef struct ReplySink ReplySink;

/* n_images_max: as many as were asked for, at most GENERATION_IMAGES_MAX. */
int reply_sink_new(ReplySink **ret, ImageStore *images, unsigned n_images_max);
/* For the JSON of one event of a stream, in which the image is the member b64_json. */
int reply_sink_new_event(ReplySink **ret, ImageStore *images);
ReplySink *reply_sink_free(ReplySink *sink);  /* with the images that were not taken */
DEFINE_CLEANUP(ReplySink *, reply_sink_free);

/* Takes the next bytes, in pieces of any size. -EBADMSG: not a reply, see reply_sink_reason(). -ENOSPC, -EDQUOT, -EIO,
 * -ENOMEM: our own trouble. After an error nothing more is taken. */
int reply_sink_write(ReplySink *sink, const void *data, size_t size);

/* At the end. Checks the images and the JSON. *ret is the reply, in which b64_json stands for an image and is good for
 * reply_sink_take_image() only. Errors as above. */
int reply_sink_finish(ReplySink *sink, JsonValue **ret);

/* The image that a b64_json member of the reply stands for; NULL when it is none or was taken. */
TemporaryImage *reply_sink_take_image(ReplySink *sink, const JsonValue *b64_json);

/* Why -EBADMSG; text of the sink. */
const char *reply_sink_reason(const ReplySink *sink);
