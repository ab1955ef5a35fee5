/* The problem: one event's data may be megabytes of base64, in pieces cut anywhere, and it must not lie in memory.
 *
 * The model: a line is a field's name, a colon, perhaps one space, and a value. The name is gathered in a few bytes
 * (what does not fit there is no field that matters), and by the time the value begins it is known what becomes of
 * it: handed out (data), gathered (event), or skipped (comments, id, retry and what nobody knows). Values are handed
 * out in runs that end with the line or the piece.
 *
 * Ends of lines are CR, LF or both: after a CR, an LF that follows is passed over, wherever the pieces are cut. A byte
 * order mark is passed over at the very beginning only.
 *
 * Memory is fixed: how long lines, comments or data are is of no matter here. */
#include "providers/sse-parser.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_NAME_BYTES_MAX 8 /* those that matter are shorter */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

typedef enum LineState {
        LINE_NAME, /* of a field; where a line begins */
        LINE_SPACE, /* right behind the colon */
        LINE_VALUE,
} LineState;

typedef enum Field {
        FIELD_NONE, /* nobody asks for the value */
        FIELD_DATA,
        FIELD_EVENT,
} Field;

struct SseParser {
        const SseHandlers *handlers;
        void *userdata;
        int error;

        size_t mark_size; /* bytes of the byte order mark seen */
        bool mark_over;
        bool after_cr;

        LineState state;
        Field field;
        char name[FIELD_NAME_BYTES_MAX];
        size_t name_size; /* one more than fits: too long to matter */

        bool has_data; /* the event has a data line */
        char event[SSE_EVENT_NAME_BYTES_MAX + 1];
        size_t event_size;
};

int sse_parser_new(SseParser **ret, const SseHandlers *handlers, void *userdata) {
        SseParser *parser = calloc(1, sizeof(*parser));

        if (!parser)
                return -ENOMEM;
        parser->handlers = handlers;
        parser->userdata = userdata;
        *ret = parser;
        return 0;
}

SseParser *sse_parser_free(SseParser *parser) {
        free(parser);
        return NULL;
}

static bool is_named(const SseParser *parser, const char *name) {
        return parser->name_size == strlen(name) && memcmp(parser->name, name, parser->name_size) == 0;
}

/* The field's name is whole: its value begins. */
static int begin_value(SseParser *parser) {
        parser->state = LINE_SPACE;
        parser->field = FIELD_NONE;
        if (is_named(parser, "event")) {
                parser->field = FIELD_EVENT;
                parser->event_size = 0; /* the last one counts */
        } else if (is_named(parser, "data")) {
                bool further = parser->has_data;

                parser->field = FIELD_DATA;
                parser->has_data = true;
                if (further)
                        return parser->handlers->data("\n", 1, parser->userdata);
        }
        return 0;
}

static int end_event(SseParser *parser) {
        bool whole = parser->has_data;

        parser->event[parser->event_size] = 0;
        parser->event_size = 0;
        parser->has_data = false;
        return whole ? parser->handlers->event(parser->event, parser->userdata) : 0;
}

static int end_line(SseParser *parser) {
        int r = 0;

        if (parser->state == LINE_NAME)  /* a line without a colon is a name with an empty value */
                r = parser->name_size == 0 ? end_event(parser) : begin_value(parser);
        parser->state = LINE_NAME;
        parser->name_size = 0;
        return r;
}

static int take_value(SseParser *parser, const char *text, size_t size) {
        if (parser->field == FIELD_DATA)
                return parser->handlers->data(text, size, parser->userdata);
        if (parser->field == FIELD_NONE)
                return 0;

        if (size > SSE_EVENT_NAME_BYTES_MAX - parser->event_size)
                return -EMSGSIZE;
        memcpy(parser->event + parser->event_size, text, size);
        parser->event_size += size;
        return 0;
}

/* One byte of a line, whose end is told by `take_text`. */
static int take_byte(SseParser *parser, char c) {
        if (parser->state == LINE_SPACE) {
                parser->state = LINE_VALUE;
                return c == ' ' ? 0 : take_value(parser, &c, 1);
        }
        if (c == ':')
                return begin_value(parser); /* of a comment too: its name is empty */
        if (parser->name_size < sizeof(parser->name))
                parser->name[parser->name_size] = c;
        parser->name_size = MIN(parser->name_size, sizeof(parser->name)) + 1;
        return 0;
}

/* Bytes up to the end of the line or of this piece. */
static size_t run_length(const char *text, size_t size) {
        const char *end = memchr(text, '\n', size);
        const char *cr;

        if (end)
                size = (size_t) (end - text);
        cr = memchr(text, '\r', size);
        return cr ? (size_t) (cr - text) : size;
}

/* Consumes some of the text, at least a byte of it. */
static size_t take_some(SseParser *parser, const char *text, size_t size) {
        bool after_cr = parser->after_cr;

        parser->after_cr = *text == '\r';
        if (*text == '\n' && after_cr)
                return 1;
        if (*text == '\n' || *text == '\r') {
                parser->error = end_line(parser);
                return 1;
        }
        if (parser->state != LINE_VALUE) {
                parser->error = take_byte(parser, *text);
                return 1;
        }

        size = run_length(text, size);
        parser->error = take_value(parser, text, size);
        return size;
}

static void take_text(SseParser *parser, const char *text, size_t size) {
        while (size > 0 && parser->error >= 0) {
                size_t n = take_some(parser, text, size);

                text += n;
                size -= n;
        }
}

/* What begins like the mark and is not it belongs to the first line. */
static size_t pass_mark(SseParser *parser, const char *text, size_t size) {
        size_t n = 0, seen;

        while (n < size && parser->mark_size < strlen(BYTE_ORDER_MARK) &&
               text[n] == BYTE_ORDER_MARK[parser->mark_size]) {
                parser->mark_size++;
                n++;
        }
        if (parser->mark_size == strlen(BYTE_ORDER_MARK))
                parser->mark_over = true;
        else if (n < size) {
                seen = parser->mark_size;
                parser->mark_over = true;
                take_text(parser, BYTE_ORDER_MARK, seen);
        }
        return n;
}

int sse_parser_write(SseParser *parser, const void *data, size_t size) {
        const char *text = data;
        size_t n = 0;

        if (parser->error >= 0 && !parser->mark_over)
                n = pass_mark(parser, text, size);
        take_text(parser, text + n, size - n);
        return parser->error;
}
