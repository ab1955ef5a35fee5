/* Reads the reply of an images API while it arrives: the base64 of each image goes, decoded, into a temporary image, and
 * the rest is kept as JSON. Memory is bounded whatever the size of the images. */
#pragma once

#include "base/json.h"
#include "base/json-number.h"
#include "base/macro.h"
#include "images/image-store.h"

#define REPLY_TEXT_BYTES_MAX (256 * 1024)  /* of a reply without its images */

typedef struct ReplySink ReplySink;

/* Where the images stand. */
typedef enum ReplyLayout {
        REPLY_IMAGES,   /* data[i].b64_json */
        REPLY_EVENT,    /* b64_json of the outermost object, of one event of a stream */
        REPLY_CHAT,     /* choices[0].message.images[i].image_url.url: as a data: URL */
        _REPLY_LAYOUTS,
} ReplyLayout;

/* n_images_max: as many as were asked for, at most GENERATION_IMAGES_MAX. */
int reply_sink_new(ReplySink **ret, ImageStore *images, ReplyLayout layout, unsigned n_images_max);
ReplySink *reply_sink_free(ReplySink *sink);  /* with the images that were not taken */
DEFINE_CLEANUP(ReplySink *, reply_sink_free);

/* Takes the next bytes, in pieces of any size. -EBADMSG: not a reply, see reply_sink_reason(). -ENOSPC, -EDQUOT, -EIO,
 * -ENOMEM: our own trouble. After an error nothing more is taken. */
int reply_sink_write(ReplySink *sink, const void *data, size_t size);

/* At the end. Checks the images and the JSON. *ret is the reply, in which b64_json stands for an image and is good for
 * reply_sink_take_image() only. Errors as above. */
int reply_sink_finish(ReplySink *sink, JsonValue **ret);

/* A number of the whole reply, as json_number_text(). */
int reply_sink_number(const ReplySink *sink, const char *object, const char *member, char ret[static JSON_NUMBER_MAX]);

/* The image that a b64_json or url member of the reply stands for; NULL when it is none or was taken. */
TemporaryImage *reply_sink_take_image(ReplySink *sink, const JsonValue *b64_json);

/* Why -EBADMSG; text of the sink. */
const char *reply_sink_reason(const ReplySink *sink);
