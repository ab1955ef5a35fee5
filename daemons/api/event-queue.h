/* Events on their way to one client: a few wait, and for one that reads slowly older ones give way to newer ones. */
#pragma once

#include "image-stream.h"

#define EVENTS_WAITING_MAX 4 /* of a kind; the one being sent does not wait */

typedef enum EventKind {
        EVENT_STATE,
        EVENT_PARTIAL,
        EVENT_FINAL, /* never gives way */
        _EVENT_KINDS,
} EventKind;

typedef struct EventQueue EventQueue;

int event_queue_new(EventQueue **ret);
EventQueue *event_queue_free(EventQueue *queue);
DEFINE_CLEANUP(EventQueue *, event_queue_free);

/* Takes `event` over, also on failure: the text of a whole event, images and all. Nothing may follow EVENT_FINAL.
 * Where EVENTS_WAITING_MAX of a kind wait, the oldest of them is dropped. */
int event_queue_push(EventQueue *queue, EventKind kind, ImageStream *event);

/* The next bytes, across events. 0: none for now. Errors of image_stream_read(). */
ssize_t event_queue_read(EventQueue *queue, char *data, size_t size);

bool event_queue_ended(const EventQueue *queue); /* the final event has been read to its end */
