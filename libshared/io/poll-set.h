/* Many file descriptors behind one event source.
 *
 * An sd_event_source per descriptor costs time in proportion to their number at every turn of the loop; an epoll
 * descriptor nested in one source does not. The Varlink server and clients and the HTTP client share this form. */
#pragma once

#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/macro.h"

typedef struct PollSet PollSet;
typedef struct PollSource PollSource;

/* revents are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR. The handler may free any source of the set, its own included.
 * A negative return ends the loop with that error. */
typedef int (*PollHandler)(PollSource *source, int fd, uint32_t revents, void *userdata);

int poll_set_new(PollSet **ret, sd_event *event, const char *description, int64_t priority);
PollSet *poll_set_free(PollSet *set);  /* its sources must be gone */
DEFINE_CLEANUP(PollSet *, poll_set_free);

/* Whether an event waits that the loop has not come to yet. */
bool poll_set_ready(const PollSet *set);

/* fd stays the caller's, who frees the source before closing it. events may be 0. */
int poll_set_add(PollSet *set, int fd, uint32_t events, PollHandler handler, void *userdata, PollSource **ret);
int poll_source_set_events(PollSource *source, uint32_t events);
PollSource *poll_source_free(PollSource *source);
DEFINE_CLEANUP(PollSource *, poll_source_free);
