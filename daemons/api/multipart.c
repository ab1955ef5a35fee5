/* The problem: a form of hundreds of megabytes arrives in pieces of any size, and its bytes go on as they come.
 *
 * The model: the body is lines until a part's head is complete, then bytes up to the delimiter, CRLF and "--" and the
 * boundary. Of what looks like the delimiter only the number of bytes that fit is kept: CR stands at its beginning and
 * nowhere else in it, so that what did not fit after all can only begin anew at the byte that broke it. Before the first
 * part the delimiter stands without its CRLF; nothing may come before it, and nothing but a line end behind the last.
 *
 * One part's head is held, up to MULTIPART_HEAD_BYTES_MAX; of its bytes nothing is. */
#include "multipart.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TYPE "multipart/form-data"
#define DELIMITER_BYTES_MAX (sizeof("\r\n--") + MULTIPART_BOUNDARY_BYTES_MAX)

typedef enum State {
        STATE_DELIMITER, /* the first one is being matched */
        STATE_BEHIND, /* a delimiter: CRLF or "--" follow */
        STATE_HEAD,
        STATE_BODY,
        STATE_EPILOGUE,
} State;

struct Multipart {
        const MultipartHandlers *handlers;
        void *userdata;
        char delimiter[DELIMITER_BYTES_MAX]; /* with its CRLF */
        size_t delimiter_size, matched;
        State state;
        char behind[2];
        size_t n_behind;
        char head[MULTIPART_HEAD_BYTES_MAX + 1];
        size_t head_size;
        char name[MULTIPART_NAME_BYTES_MAX + 1];
        unsigned n_parts;
        const char *reason;
};

static int refuse(Multipart *parser, const char *reason) {
        parser->reason = reason;
        return MULTIPART_INVALID;
}

/* ---------------------------------------------------------------- the type */

bool multipart_is_type(const char *content_type) {
        size_t length = strlen(TYPE);

        return content_type && strncasecmp(content_type, TYPE, length) == 0 && strchr("; \t", content_type[length]);
}

/* The bchars of RFC 2046; a space may not be the last. */
static bool boundary_valid(const char *text, size_t size) {
        if (size == 0 || size > MULTIPART_BOUNDARY_BYTES_MAX || text[size - 1] == ' ')
                return false;
        for (size_t i = 0; i < size; i++) {
                char c = text[i], lower = (char) (c | 0x20);

                if (!(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'z') && (!c || !strchr("'()+_,-./:=? ", c)))
                        return false;
        }
        return true;
}

/* Of the value of a parameter, quoted or not. Backslashes are not taken: nobody needs them here. */
static size_t value_length(const char **value) {
        if (**value != '"')
                return strcspn(*value, "; \t");
        (*value)++;
        return strcspn(*value, "\"\\");
}

static const char *skip_space(const char *text) {
        return text + strspn(text, " \t");
}

/* The parameter of that name in "…; a=b; c=\"d\"", which follows `text`. */
static const char *find_parameter(const char *text, const char *name, size_t *ret_size) {
        size_t length = strlen(name);

        for (text = strchr(text, ';'); text; text = strchr(text, ';')) {
                const char *value;
                bool found, quoted;

                text = skip_space(text + 1);
                found = strncasecmp(text, name, length) == 0 && text[length] == '=';
                value = strchr(text, '=');
                if (!value)
                        return NULL;
                value++;
                quoted = *value == '"';
                *ret_size = value_length(&value);
                if (quoted && value[*ret_size] != '"')
                        return NULL;
                if (found)
                        return value;
                text = value + *ret_size + quoted;
        }
        return NULL;
}

int multipart_new(Multipart **ret, const char *content_type, const MultipartHandlers *handlers, void *userdata) {
        Multipart *parser;
        const char *boundary;
        size_t size = 0;

        boundary = find_parameter(content_type, "boundary", &size);
        if (!boundary || !boundary_valid(boundary, size))
                return MULTIPART_INVALID;
        parser = calloc(1, sizeof(*parser));
        if (!parser)
                return -ENOMEM;
        parser->handlers = handlers;
        parser->userdata = userdata;
        memcpy(parser->delimiter, "\r\n--", 4);
        memcpy(parser->delimiter + 4, boundary, size);
        parser->delimiter_size = 4 + size;
        parser->matched = 2;
        *ret = parser;
        return 0;
}

Multipart *multipart_free(Multipart *parser) {
        free(parser);
        return NULL;
}

/* ---------------------------------------------------------------- a part's head */

/* What is sent is the bytes themselves: another encoding would have to be undone. */
static bool encoding_is_plain(const char *value) {
        return strcasecmp(value, "binary") == 0 || strcasecmp(value, "8bit") == 0 || strcasecmp(value, "7bit") == 0;
}

static int read_disposition(Multipart *parser, const char *value) {
        const char *name;
        size_t size;

        if (*parser->name)
                return refuse(parser, "a part with two Content-Disposition");
        if (strncasecmp(value, "form-data", 9) != 0 || !strchr("; \t", value[9]))
                return refuse(parser, "a part whose Content-Disposition is not form-data");
        name = find_parameter(value, "name", &size);
        if (!name || size == 0)
                return refuse(parser, "a part without a name");
        if (size > MULTIPART_NAME_BYTES_MAX)
                return refuse(parser, "a part's name is longer than 64 bytes");
        memcpy(parser->name, name, size);
        parser->name[size] = '\0';
        return 0;
}

static int read_line(Multipart *parser, char *line) {
        char *colon = strchr(line, ':'), *end;
        const char *value;

        if (!colon || colon == line || strpbrk(line, " \t") == line)
                return refuse(parser, "a part's header line is none");
        *colon = '\0';
        value = skip_space(colon + 1);
        for (end = colon + 1 + strlen(colon + 1); end > value && (end[-1] == ' ' || end[-1] == '\t');)
                *--end = '\0';
        if (strcasecmp(line, "Content-Disposition") == 0)
                return read_disposition(parser, value);
        if (strcasecmp(line, "Content-Transfer-Encoding") == 0 && !encoding_is_plain(value))
                return refuse(parser, "a part with a Content-Transfer-Encoding; expected its bytes as they are");
        return 0;
}

/* All lines, each ended by CRLF. */
static int read_head(Multipart *parser) {
        char *line = parser->head, *end;
        int r = 0;

        *parser->name = '\0';
        for (; r == 0 && (end = strstr(line, "\r\n")); line = end + 2) {
                *end = '\0';
                r = read_line(parser, line);
        }
        if (r == 0 && !*parser->name)
                r = refuse(parser, "a part without Content-Disposition");
        if (r == 0 && ++parser->n_parts > MULTIPART_PARTS_MAX)
                r = refuse(parser, "more than 64 parts");
        return r != 0 ? r : parser->handlers->begin(parser->name, parser->userdata);
}

static bool head_complete(const Multipart *parser) {
        return parser->head_size >= 4 && memcmp(parser->head + parser->head_size - 4, "\r\n\r\n", 4) == 0;
}

static int take_head(Multipart *parser, char c) {
        if (parser->head_size == MULTIPART_HEAD_BYTES_MAX)
                return refuse(parser, "a part's head is longer than 2048 bytes");
        if ((unsigned char) c < ' ' && c != '\r' && c != '\n' && c != '\t')
                return refuse(parser, "a control character in a part's head");
        parser->head[parser->head_size++] = c;
        if (parser->head_size == 2 && memcmp(parser->head, "\r\n", 2) == 0)
                return refuse(parser, "a part without Content-Disposition");
        if (!head_complete(parser))
                return 0;
        /* Without the empty line. */
        parser->head[parser->head_size - 2] = '\0';
        parser->head_size = 0;
        parser->state = STATE_BODY;
        parser->matched = 0;
        return read_head(parser);
}

/* ---------------------------------------------------------------- bytes */

static int tell(Multipart *parser, const void *data, size_t size) {
        return size > 0 ? parser->handlers->data(data, size, parser->userdata) : 0;
}

/* What had fitted was the part's own. */
static int give_back(Multipart *parser) {
        size_t size = parser->matched;

        parser->matched = 0;
        return tell(parser, parser->delimiter, size);
}

static int end_part(Multipart *parser) {
        parser->state = STATE_BEHIND;
        parser->n_behind = 0;
        return parser->handlers->end(parser->userdata);
}

/* Returns the bytes consumed, or what ends the parsing in *ret. */
static size_t take_body(Multipart *parser, const char *data, size_t size, int *ret) {
        const char *cr;

        if (parser->matched > 0) {
                if (*data != parser->delimiter[parser->matched]) {
                        *ret = give_back(parser);
                        return 0;
                }
                if (++parser->matched == parser->delimiter_size)
                        *ret = end_part(parser);
                return 1;
        }
        cr = memchr(data, '\r', size);
        if (cr == data) {
                parser->matched = 1;
                return 1;
        }
        size = cr ? (size_t) (cr - data) : size;
        *ret = tell(parser, data, size);
        return size;
}

static int take_first_delimiter(Multipart *parser, char c) {
        if (c != parser->delimiter[parser->matched])
                return refuse(parser, "the body does not begin with its boundary");
        if (++parser->matched == parser->delimiter_size) {
                parser->state = STATE_BEHIND;
                parser->n_behind = 0;
        }
        return 0;
}

static int take_behind(Multipart *parser, char c) {
        parser->behind[parser->n_behind++] = c;
        if (parser->n_behind < sizeof(parser->behind))
                return 0;
        if (memcmp(parser->behind, "\r\n", 2) == 0)
                parser->state = STATE_HEAD;
        else if (memcmp(parser->behind, "--", 2) == 0)
                parser->state = STATE_EPILOGUE;
        else
                return refuse(parser, "a boundary is followed by what is no line end");
        parser->n_behind = 0;
        return 0;
}

static int take_epilogue(Multipart *parser, char c) {
        if (parser->n_behind == 2 || c != "\r\n"[parser->n_behind])
                return refuse(parser, "bytes behind the last boundary");
        parser->n_behind++;
        return 0;
}

static int take_byte(Multipart *parser, char c) {
        switch (parser->state) {
        case STATE_DELIMITER:
                return take_first_delimiter(parser, c);
        case STATE_BEHIND:
                return take_behind(parser, c);
        case STATE_HEAD:
                return take_head(parser, c);
        default:
                return take_epilogue(parser, c);
        }
}

int multipart_write(Multipart *parser, const void *data, size_t size) {
        const char *text = data;
        int r = parser->reason ? MULTIPART_INVALID : 0;

        while (size > 0 && r == 0) {
                size_t n = 1;

                if (parser->state == STATE_BODY)
                        n = take_body(parser, text, size, &r);
                else
                        r = take_byte(parser, *text);
                text += n;
                size -= n;
        }
        return r;
}

int multipart_finish(Multipart *parser) {
        if (parser->reason)
                return MULTIPART_INVALID;
        return parser->state == STATE_EPILOGUE ? 0 : refuse(parser, "the body ends before its last boundary");
}

const char *multipart_reason(const Multipart *parser) {
        return parser->reason;
}
