/* Who waits for a job: calls of Submit and Watch that asked for more. */
#pragma once

#include "base/macro.h"
#include "images/image-store.h"
#include "io/varlink-server.h"
#include "keys/image-links.h"
#include "store/job.h"

typedef struct Watchers Watchers;

#define WATCHERS_PER_JOB_MAX 64
#define WATCHER_PARTIALS_MAX PARTIAL_IMAGES_MAX  /* that wait for a slow reader; then the oldest gives way */

int watchers_new(Watchers **ret, ImageStore *images, ImageLinks *links);
Watchers *watchers_free(Watchers *watchers);
DEFINE_CLEANUP(Watchers *, watchers_free);

/* Tells `call` of the job as it is: the final reply if it has ended (with the images' fds, and
 * links where the request wants them) or the call does not want
 * more; otherwise one reply now and the others as the job goes on. Past WATCHERS_PER_JOB_MAX the call is answered with
 * an error. Returns -ECONNRESET when the peer has gone. */
int watchers_add(Watchers *watchers, const Job *job, VarlinkCall *call, bool with_partials);

/* Tells everyone who waits for the job. */
void watchers_notify(Watchers *watchers, const Job *job);

/* Shows those who asked for partial images one of a job in progress. */
void watchers_show(Watchers *watchers, const Job *job, const PartialImage *image);

/* Closes the connections of those who wait for jobs that `goes_on` denies: they ask again, and the next worker takes
 * their jobs up. From then on nobody can wait for such a job here. */
void watchers_abandon(Watchers *watchers, bool (*goes_on)(const char *id, void *userdata), void *userdata);

/* The same once, for all: they ask again, and find what is there then. */
void watchers_abandon_all(Watchers *watchers);
