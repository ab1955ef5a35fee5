/* Members of an archive on their way to the worker, by Store.Receive.
 *
 * archive_read() tells a member's begin, its data and its end, one member after the other, and does not say which is
 * the last. Small ones are gathered: up to FEED_MEMBERS_MAX or FEED_BYTES_MAX in memory files, which go in one call;
 * while the worker stores them the next are gathered in a second set. A memory file is written anew when its set comes
 * around again, so that its pages are not given back and asked for each time. A large member goes through a pipe in a
 * call of its own.
 *
 * Nothing waits for what waits for it: memory files are whole before they are sent, and of a pipe the worker is the
 * reader; one that refuses closes it, which is EPIPE here, and its reply has the reason.
 *
 * What the worker says it has stored must have the hashes that the archive says. */
#pragma once

#include "worker-dialog.h"

#define FEED_MEMBERS_MAX VARLINK_FDS_MAX
#define FEED_BYTES_MAX (2 * 1024 * 1024)          /* of a set: then it is sent */
#define FEED_MEMBER_BYTES_MAX (1024 * 1024)       /* larger ones go through a pipe */

typedef struct MemberFeed MemberFeed;

/* `worker` and `adoption` outlive it. */
int member_feed_new(MemberFeed **ret, WorkerDialog *worker, const char *adoption);
MemberFeed *member_feed_free(MemberFeed *feed);
DEFINE_CLEANUP(MemberFeed *, member_feed_free);

/* As ArchiveHandlers has them; `userdata` is the feed. Negative errno, and task_say() has been told. */
int member_feed_begin(const char *name, uint64_t size, void *userdata);
int member_feed_data(const void *data, size_t size, void *userdata);
int member_feed_end(const char *sha256, void *userdata);

/* What is still gathered is sent, and all replies are there. */
int member_feed_finish(MemberFeed *feed);

/* Was it the feed that ended the reading of the archive? */
bool member_feed_failed(const MemberFeed *feed);
