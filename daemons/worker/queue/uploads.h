/* What comes with a request to be worked on: taken in before the job is stored, and removed when it has ended. */
#pragma once

#include "keys/caller.h"
#include "manager.h"

#define UPLOAD_IMAGES_MAX 16                        /* of one request; the mask comes on top */
#define UPLOADS_MAX (UPLOAD_IMAGES_MAX + 1)
_Static_assert(UPLOADS_MAX == GENERATION_UPLOADS_MAX, "as many as an attempt can carry");
#define UPLOAD_MASK_BYTES_MAX (4 * 1024 * 1024)
#define UPLOAD_INTAKES_MAX 2                        /* copied at a time, so that helper threads are left for the rest */

int uploads_new(Uploads **ret, Manager *manager);
Uploads *uploads_free(Uploads *uploads);  /* after the threads and the group */
DEFINE_CLEANUP(Uploads *, uploads_free);

/* Goes on with a call of Submit whose uploads are stored; `parameters` has them with all that is known. As the handler
 * of a method it has answered or will, or returns a negative errno. */
typedef int (*UploadsReceived)(Manager *manager, VarlinkCall *call, const Caller *caller, const JsonValue *parameters);

/* Copies what the call's descriptor has for request.uploads into the image store, judges it by its own bytes, makes it
 * durable, and calls `received`; or refuses the call. */
int uploads_receive(Uploads *uploads, VarlinkCall *call, const Caller *caller, const JsonValue *parameters,
                    UploadsReceived received);
bool uploads_idle(const Uploads *uploads);  /* nothing is being copied or made durable */

/* Whether a job that has not ended, or is about to be stored, needs that file of the image store. */
bool uploads_need_image(Uploads *uploads, const char *sha256, ImageFormat format);

/* Jobs may have ended. */
void uploads_on_committed(Uploads *uploads);
