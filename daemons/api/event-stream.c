/* The problem: an answer whose parts come when they come, on a server that asks for bytes whenever its client has room
 * for them.
 *
 * The model: libmicrohttpd reads from an EventQueue. When that is empty the connection is suspended, in the reader;
 * the next event resumes it. While the client does not read, nobody asks for bytes, and the queue lets older events
 * give way to newer ones: a slow client costs a few events and descriptors, and holds back nobody.
 *
 * A suspended connection is out of libmicrohttpd's sight: a client that left is noticed by the comment that is sent
 * when there has been no event for EVENT_KEEPALIVE_USEC. It keeps proxies from closing the connection, too.
 *
 * The stream belongs to the answer, which the request outlives; whoever pushes is the request's work and ends
 * before. */
#include "event-stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "http-request.h"
#include "http-server.h"

#define KEEPALIVE ": still at work\n\n"

struct EventStream {
        HttpRequest *request;
        EventQueue *queue;
        sd_event_source *keepalive;
        bool suspended, aborted;
        EventsTold told;
};

static void rearm(EventStream *stream) {
        (void) sd_event_source_set_time_relative(stream->keepalive, EVENT_KEEPALIVE_USEC);
        (void) sd_event_source_set_enabled(stream->keepalive, SD_EVENT_ONESHOT);
}

static void wake(EventStream *stream) {
        if (!stream->suspended)
                return;
        stream->suspended = false;
        http_connection_resume(http_request_connection(stream->request), stream->request);
}

static int push_text(EventStream *stream, const char *text) {
        _cleanup_(image_stream_freep) ImageStream *event = NULL;
        int r;

        r = image_stream_new(&event);
        if (r >= 0)
                r = image_stream_add_text(event, strdup(text));
        return r < 0 ? r : event_queue_push(stream->queue, EVENT_STATE, TAKE_PTR(event));
}

/* A client that does not even read what there is needs no more of it. */
static int on_keepalive(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        EventStream *stream = userdata;

        if (stream->suspended && push_text(stream, KEEPALIVE) >= 0)
                wake(stream);
        rearm(stream);
        return 0;
}

int event_stream_new(EventStream **ret, sd_event *event, HttpRequest *request) {
        _cleanup_(event_stream_freep) EventStream *stream = NULL;
        int r;

        stream = calloc(1, sizeof(*stream));
        if (!stream)
                return -ENOMEM;
        stream->request = request;
        stream->told.partial = -1;
        r = event_queue_new(&stream->queue);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &stream->keepalive, CLOCK_MONOTONIC, EVENT_KEEPALIVE_USEC,
                                               USEC_PER_SEC, on_keepalive, stream);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(stream->keepalive, "event-keepalive");

        *ret = TAKE_PTR(stream);
        return 0;
}

EventStream *event_stream_free(EventStream *stream) {
        if (!stream)
                return NULL;

        (void) sd_event_source_disable_unref(stream->keepalive);
        (void) event_queue_free(stream->queue);
        free(stream);
        return NULL;
}

EventsTold *event_stream_told(EventStream *stream) {
        return &stream->told;
}

int event_stream_push(EventStream *stream, EventKind kind, ImageStream *event) {
        int r;

        r = event_queue_push(stream->queue, kind, event);
        if (r < 0)
                return r;
        stream->told.n++;
        rearm(stream);
        wake(stream);
        return 0;
}

void event_stream_abort(EventStream *stream) {
        stream->aborted = true;
        wake(stream);
}

ssize_t event_stream_read(EventStream *stream, char *data, size_t size) {
        HttpConnection *connection = http_request_connection(stream->request);
        ssize_t n = event_queue_read(stream->queue, data, size);

        stream->suspended = false;
        if (n != 0)
                return n;
        if (event_queue_ended(stream->queue))
                return -ENODATA;
        if (stream->aborted || http_connection_stopping(connection))
                return -ECANCELED;
        stream->suspended = true;
        http_connection_suspend(connection, stream->request);
        return 0;
}
