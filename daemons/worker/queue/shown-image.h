/* A partial image as it is shown to those who watch a job: the reply and the bytes, shared by all of them. */
#pragma once

#include "io/varlink-server.h"
#include "store/job.h"

typedef struct ShownImage ShownImage;

/* `image` is not needed any more afterwards. */
int shown_image_new(ShownImage **ret, const Job *job, const PartialImage *image);
ShownImage *shown_image_ref(ShownImage *shown);
ShownImage *shown_image_unref(ShownImage *shown);
DEFINE_CLEANUP(ShownImage *, shown_image_unref);

/* One reply of the call, which goes on. Errors of varlink_call_notify(). */
int shown_image_send(const ShownImage *shown, VarlinkCall *call);
