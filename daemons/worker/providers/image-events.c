/* The problem: a paid image arrives behind pictures that were given for free, in a stream that may hold anything.
 *
 * The model: an SseParser hands the data of one event at a time to a ReplySink of its own, which decodes b64_json to a
 * temporary image while it arrives. What the event is, its `type` says, or else its name; both are known only at its
 * end. The stream is open, then completed or failed, for good.
 *
 * Only the completed event is worth money. A partial image that is no image, or for which there is no room, is passed
 * over; so are events of a type that nobody knows. Trouble in an event that does not say what it is ends the reading:
 * it may have been the image. */
#include "providers/image-events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "providers/reply-sink.h"
#include "providers/sse-parser.h"
#include "providers/upstream-error.h"

#define CONTENT_TYPE "text/event-stream"
#define END_MARK "[DONE]"  /* some send it behind the last event */

typedef enum EventKind {
        EVENT_UNKNOWN,
        EVENT_PARTIAL,
        EVENT_COMPLETED,
        EVENT_ERROR,
} EventKind;

struct ImageEvents {
        Generation *generation;
        SseParser *parser;
        unsigned n_partials, n_partials_max;

        ReplySink *sink;           /* of the event that arrives; NULL: none of its data came */
        int event_error;           /* of that event */
        size_t end_mark_size;      /* bytes of the end mark that its data began with; all of it, and nothing else */
        size_t event_size;
        char reason[128];

        JsonValue *completed;      /* of the completed event */
        TemporaryImage *image;
        char cost[JSON_NUMBER_MAX];
        bool failed;
        JsonValue *failure;        /* of the error event, if it could be read */
};

static int on_data(const char *data, size_t size, void *userdata);
static int on_event(const char *name, void *userdata);

int image_events_new(ImageEvents **ret, Generation *generation, unsigned n_partials_max) {
        static const SseHandlers handlers = { .data = on_data, .event = on_event };
        _cleanup_(image_events_freep) ImageEvents *events = NULL;
        int r;

        events = calloc(1, sizeof(*events));
        if (!events)
                return -ENOMEM;
        events->generation = generation;
        events->n_partials_max = n_partials_max;
        r = sse_parser_new(&events->parser, &handlers, events);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(events);
        return 0;
}

ImageEvents *image_events_free(ImageEvents *events) {
        if (!events)
                return NULL;
        (void) json_free(events->failure);
        (void) json_free(events->completed);
        (void) temporary_image_free(events->image);
        (void) reply_sink_free(events->sink);
        (void) sse_parser_free(events->parser);
        free(events);
        return NULL;
}

bool image_events_is_type(const char *value) {
        size_t length = strlen(CONTENT_TYPE);

        return strncasecmp(value, CONTENT_TYPE, length) == 0 && strchr("; \t", value[length]);
}

bool image_events_completed(const ImageEvents *events) {
        return events->completed;
}

bool image_events_failed(const ImageEvents *events) {
        return events->failed;
}

const char *image_events_reason(const ImageEvents *events) {
        return events->reason;
}

static bool is_over(const ImageEvents *events) {
        return events->completed || events->failed;
}

static void note_event_error(ImageEvents *events, int error, const char *reason) {
        events->event_error = error;
        (void) snprintf(events->reason, sizeof(events->reason), "%s", reason);
}

/* ------------------------------------------------------------------ data */

static void match_end_mark(ImageEvents *events, const char *data, size_t size) {
        for (size_t i = 0; i < size && events->end_mark_size == events->event_size + i; i++)
                if (events->end_mark_size < strlen(END_MARK) && data[i] == END_MARK[events->end_mark_size])
                        events->end_mark_size++;
        events->event_size += size;
}

static bool is_end_mark(const ImageEvents *events) {
        return events->event_size == strlen(END_MARK) && events->end_mark_size == events->event_size;
}

/* What is wrong with the event is judged at its end. */
static int on_data(const char *data, size_t size, void *userdata) {
        ImageEvents *events = userdata;
        int r;

        if (is_over(events) || events->event_error < 0)
                return 0;
        if (!events->sink) {
                r = reply_sink_new(&events->sink, events->generation->provider->context.images, REPLY_EVENT, 1);
                if (r < 0)
                        return r;
        }

        match_end_mark(events, data, size);
        r = reply_sink_write(events->sink, data, size);
        if (r < 0)
                note_event_error(events, r, reply_sink_reason(events->sink));
        return 0;
}

/* ------------------------------------------------------------------ events */

static bool ends_with(const char *text, const char *end) {
        size_t length = strlen(text), end_length = strlen(end);

        return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static EventKind event_kind(const JsonValue *event, const char *name) {
        const char *type = json_get_string(event, "type") ?: name;

        if (json_get_object(event, "error") || json_get_string(event, "error") || text_equal(type, "error"))
                return EVENT_ERROR;
        if (ends_with(type, ".partial_image"))
                return EVENT_PARTIAL;
        return ends_with(type, ".completed") ? EVENT_COMPLETED : EVENT_UNKNOWN;
}

int image_events_copy_facts(const JsonValue *event, JsonValue **ret) {
        static const char *const names[] = { "background", "output_format", "size", "quality" };
        _cleanup_(json_freep) JsonValue *facts = json_new_object();
        int r = facts ? 0 : -ENOMEM;

        for (size_t i = 0; i < ELEMENTS(names) && r >= 0; i++)
                r = json_add_string(facts, names[i], json_get_string(event, names[i]));
        if (r >= 0)
                *ret = TAKE_PTR(facts);
        return r;
}

/* Partial images are for looking at: one that cannot be shown is no reason to lose what is being paid for. */
static void take_partial(ImageEvents *events, const JsonValue *event, ReplySink *sink) {
        PartialImage image = {};
        int64_t index = json_get_integer(event, "partial_image_index", events->n_partials);

        image.file = reply_sink_take_image(sink, json_member(event, "b64_json"));
        if (!image.file || index < 0 || index >= events->n_partials_max ||
            events->n_partials == events->n_partials_max ||
            image_events_copy_facts(event, &image.reply) < 0) {
                (void) temporary_image_free(image.file);
                return;
        }
        image.index = (unsigned) index;
        events->n_partials++;
        generation_tell_partial(events->generation, &image);
}

static int take_completed(ImageEvents *events, JsonValue **event, ReplySink *sink) {
        events->image = reply_sink_take_image(sink, json_member(*event, "b64_json"));
        if (!events->image) {
                note_event_error(events, -EBADMSG, "an image is missing");
                return -EBADMSG;
        }
        events->completed = TAKE_PTR(*event);
        (void) reply_sink_number(sink, "usage", "cost", events->cost);
        return 0;
}

static int end_event(ImageEvents *events, JsonValue **event, ReplySink *sink, const char *name) {
        EventKind kind = event_kind(*event, name);

        if (kind == EVENT_ERROR) {
                events->failed = true;
                events->failure = TAKE_PTR(*event);
                return 0;
        }
        if (events->event_error < 0)
                return kind == EVENT_PARTIAL || (kind == EVENT_UNKNOWN && !text_empty(name)) ? 0 : events->event_error;
        if (kind == EVENT_PARTIAL)
                take_partial(events, *event, sink);
        return kind == EVENT_COMPLETED ? take_completed(events, event, sink) : 0;
}

static int on_event(const char *name, void *userdata) {
        ImageEvents *events = userdata;
        _cleanup_(reply_sink_freep) ReplySink *sink = TAKE_PTR(events->sink);
        _cleanup_(json_freep) JsonValue *event = NULL;
        bool is_mark = is_end_mark(events);
        int r = 0;

        events->event_size = events->end_mark_size = 0;
        if (!sink || is_over(events) || is_mark)
                return 0;
        if (events->event_error >= 0)
                r = reply_sink_finish(sink, &event);
        if (r < 0)
                note_event_error(events, r, reply_sink_reason(sink));

        r = end_event(events, &event, sink, name);
        if (r >= 0)
                events->event_error = 0;
        return r;
}

int image_events_write(ImageEvents *events, const void *data, size_t size) {
        int r = sse_parser_write(events->parser, data, size);

        if (r == -EMSGSIZE) {
                note_event_error(events, -EBADMSG, "the name of an event is too long");
                return -EBADMSG;
        }
        return r;
}

void image_events_take(ImageEvents *events, JsonValue **ret_reply, TemporaryImage **ret_image,
                       char ret_cost[static JSON_NUMBER_MAX]) {
        (void) strcpy(ret_cost, events->cost);
        *ret_reply = TAKE_PTR(events->completed);
        *ret_image = TAKE_PTR(events->image);
}

/* ------------------------------------------------------------------ errors */

void image_events_read_failure(const ImageEvents *events, GenerationResult *result, const char *key) {
        _cleanup_free_ char *body = events->failure ? json_format(events->failure) : NULL;

        upstream_error_read(result, upstream_error_status(events->failure), body ?: "", body ? strlen(body) : 0, key);
        /* Whatever its form: the provider itself has given up, and said so. */
        result->outcome = GENERATION_REFUSED;
        generation_result_set_cause(result, "an error in the stream:%s%s %s", result->code ? " " : "",
                                    result->code ?: "", result->message ?: "");
}
