#include "event-queue.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

typedef struct Event {
        EventKind kind;
        ImageStream *stream;
        uint64_t position; /* bytes read; 0: it waits */
        TAILQ_ENTRY(Event) entry;
} Event;

struct EventQueue {
        TAILQ_HEAD(, Event) events;
        unsigned n_waiting[_EVENT_KINDS];
        bool final; /* it was pushed */
};

int event_queue_new(EventQueue **ret) {
        EventQueue *queue = calloc(1, sizeof(*queue));

        if (!queue)
                return -ENOMEM;
        TAILQ_INIT(&queue->events);
        *ret = queue;
        return 0;
}

static void drop_event(EventQueue *queue, Event *event) {
        TAILQ_REMOVE(&queue->events, event, entry);
        if (event->position == 0)
                queue->n_waiting[event->kind]--;
        (void) image_stream_free(event->stream);
        free(event);
}

EventQueue *event_queue_free(EventQueue *queue) {
        if (!queue)
                return NULL;

        while (!TAILQ_EMPTY(&queue->events))
                drop_event(queue, TAILQ_FIRST(&queue->events));
        free(queue);
        return NULL;
}

static void drop_oldest(EventQueue *queue, EventKind kind) {
        Event *event;

        TAILQ_FOREACH (event, &queue->events, entry)
                if (event->kind == kind && event->position == 0) {
                        drop_event(queue, event);
                        return;
                }
}

int event_queue_push(EventQueue *queue, EventKind kind, ImageStream *stream) {
        Event *event = malloc(sizeof(*event));

        assert(!queue->final);

        if (!event) {
                (void) image_stream_free(stream);
                return -ENOMEM;
        }
        if (queue->n_waiting[kind] == EVENTS_WAITING_MAX)
                drop_oldest(queue, kind);
        *event = (Event){ .kind = kind, .stream = stream };
        TAILQ_INSERT_TAIL(&queue->events, event, entry);
        queue->n_waiting[kind]++;
        queue->final = kind == EVENT_FINAL;
        return 0;
}

static ssize_t read_event(EventQueue *queue, Event *event, char *data, size_t size) {
        ssize_t n = image_stream_read(event->stream, event->position, data, size);

        if (n < 0)
                return n;
        if (event->position == 0 && n > 0)
                queue->n_waiting[event->kind]--;
        event->position += (uint64_t) n;
        if (event->position == image_stream_size(event->stream))
                drop_event(queue, event);
        return n;
}

ssize_t event_queue_read(EventQueue *queue, char *data, size_t size) {
        size_t filled = 0;

        while (filled < size && !TAILQ_EMPTY(&queue->events)) {
                ssize_t n = read_event(queue, TAILQ_FIRST(&queue->events), data + filled, size - filled);

                if (n < 0)
                        return n;
                filled += (size_t) n;
        }
        return (ssize_t) filled;
}

bool event_queue_ended(const EventQueue *queue) {
        return queue->final && TAILQ_EMPTY(&queue->events);
}
