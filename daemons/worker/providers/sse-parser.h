/* Reads text/event-stream (WHATWG HTML, 9.2) while it arrives, in pieces cut anywhere. Holds no data: the bytes of an
 * event's data are handed out as they come, its name once it has ended, since the name may stand behind the data. */
#pragma once

#include <stddef.h>

#include "base/macro.h"

#define SSE_EVENT_NAME_BYTES_MAX 64

typedef struct SseParser SseParser;

/* `userdata` is of sse_parser_new(). Either may return a negative errno, which ends the reading. */
typedef struct SseHandlers {
        /* The next bytes of the event's data: its lines, with one "\n" between two of them. */
        int (*data)(const char *data, size_t size, void *userdata);
        /* The event is whole, and what follows belongs to the next one. `name` is "" when it has none. An event
         * without a data line is none; one that the end of the stream cuts off is not told of. */
        int (*event)(const char *name, void *userdata);
} SseHandlers;

/* `handlers` outlives the parser. */
int sse_parser_new(SseParser **ret, const SseHandlers *handlers, void *userdata);
SseParser *sse_parser_free(SseParser *parser);
DEFINE_CLEANUP(SseParser *, sse_parser_free);

/* Takes the next bytes. -EMSGSIZE: an event's name is longer than SSE_EVENT_NAME_BYTES_MAX. Otherwise what a handler
 * returned. After an error nothing more is taken. */
int sse_parser_write(SseParser *parser, const void *data, size_t size);
