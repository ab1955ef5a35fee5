/* An answer of text/event-stream under way: events go in as they happen and out as fast as the client reads. */
#pragma once

#include <systemd/sd-event.h>

#include "event-queue.h"

typedef struct HttpRequest HttpRequest;
typedef struct EventStream EventStream;

#define EVENT_KEEPALIVE_USEC (15 * USEC_PER_SEC) /* without an event; then a comment is sent */

/* What the client has been told, for those who make its events. */
typedef struct EventsTold {
        char state[16];
        int64_t partial; /* index of the newest partial image; -1: none */
        unsigned n; /* events */
} EventsTold;

int event_stream_new(EventStream **ret, sd_event *event, HttpRequest *request);
EventStream *event_stream_free(EventStream *stream);
DEFINE_CLEANUP(EventStream *, event_stream_free);

EventsTold *event_stream_told(EventStream *stream);

/* As event_queue_push(). */
int event_stream_push(EventStream *stream, EventKind kind, ImageStream *event);

/* Something went wrong: what was pushed is still sent, then the answer breaks off. */
void event_stream_abort(EventStream *stream);

/* For the answer's reader: the next bytes; 0 when the connection was suspended until there are some; -ENODATA at the
 * end; other errors break the answer off. */
ssize_t event_stream_read(EventStream *stream, char *data, size_t size);
