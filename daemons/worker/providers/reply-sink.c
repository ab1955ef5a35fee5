/* The problem: a reply holds up to ten images as base64 in JSON strings, tens of megabytes, and arrives in pieces cut
 * anywhere. Neither the text nor the images shall lie in memory.
 *
 * The model: a scanner that knows just enough of JSON to see where strings begin and end, whether a string is a name,
 * and how deep it lies. All bytes are copied to `rest`, except what stands between the quotes of an image, which its
 * name, the levels around it and the outermost name tell: that is decoded into a TemporaryImage, and `rest` gets the
 * image's number instead. The scanner judges nothing: at the end the strict check of json_parse() is run over `rest`,
 * and since that is the reply itself but for the insides of those strings, what is not JSON is found there.
 *
 * Invariants: rest.size is at most REPLY_TEXT_BYTES_MAX; at most n_images_max images are begun; once `error` is set
 * nothing more is read. */
#include "providers/reply-sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "base/text.h"
#include "providers/provider.h"

#define SCAN_DEPTH_MAX JSON_DEPTH_MAX
#define NAME_BYTES_MAX 16                 /* the names that matter are shorter */
#define DECODE_BYTES_MAX (16 * 1024)      /* base64 characters decoded at a time */
#define DATA_PREFIX "data:"               /* some servers send a data: URL */
#define DATA_PREFIX_BYTES_MAX 128

typedef enum ScanState {
        SCAN_STRUCTURE,
        SCAN_STRING,
        SCAN_IMAGE,
} ScanState;

/* By what an image is known: the name of its string, the levels around that, the name that the outermost object has for
 * them (NULL: that is the whole), and the one that the object so many levels deep has (NULL: whichever). */
typedef struct ImagePlace {
        const char *name, *levels, *outermost;
        unsigned inner_depth;
        const char *inner;
} ImagePlace;

static const ImagePlace places[_REPLY_LAYOUTS] = {
        [REPLY_IMAGES] = { "b64_json", "{[{", "data" },
        [REPLY_EVENT] = { "b64_json", "{", NULL },
        [REPLY_CHAT] = { "url", "{[{{[{{", "choices", 4, "images" },
};

struct ReplySink {
        ImageStore *store;
        const ImagePlace *place;
        Buffer rest;
        int error;
        char reason[128];

        ScanState state;
        char containers[SCAN_DEPTH_MAX];  /* '{' or '[' of each open level */
        unsigned depth;
        bool expects_name;                /* the next string of this object is a name */
        bool is_name;                     /* the string being read is one */
        bool escaped;                     /* the last character was a backslash */
        char name[NAME_BYTES_MAX];        /* last name read, or its beginning */
        size_t name_size;
        bool in_place, in_inner;          /* the last name there was that of the place */

        TemporaryImage *images[GENERATION_IMAGES_MAX];
        unsigned n_images, n_images_max;
        Base64Decoder decoder;
        char prefix[DATA_PREFIX_BYTES_MAX];
        size_t prefix_size;
        bool prefix_over;                 /* what follows is base64 */
        unsigned hex_left;                /* digits of a \u escape still to come */
        unsigned hex_value;
        uint8_t decoded[DECODE_BYTES_MAX / 4 * 3 + 3];
};

static int refuse(ReplySink *sink, const char *reason) {
        if (sink->error >= 0)
                (void) snprintf(sink->reason, sizeof(sink->reason), "%s", reason);
        sink->error = -EBADMSG;
        return -EBADMSG;
}

static int refuse_image(ReplySink *sink, unsigned index, const char *reason) {
        char text[sizeof(sink->reason)];

        (void) snprintf(text, sizeof(text), "image %u: %s", index, reason);
        return refuse(sink, text);
}

static int fail(ReplySink *sink, int error) {
        sink->error = error;
        return error;
}

int reply_sink_new(ReplySink **ret, ImageStore *images, ReplyLayout layout, unsigned n_images_max) {
        ReplySink *sink;

        assert(n_images_max <= GENERATION_IMAGES_MAX);

        sink = calloc(1, sizeof(*sink));
        if (!sink)
                return -ENOMEM;
        sink->store = images;
        sink->place = &places[layout];
        sink->n_images_max = n_images_max;
        sink->rest.size_max = REPLY_TEXT_BYTES_MAX;

        *ret = sink;
        return 0;
}

ReplySink *reply_sink_free(ReplySink *sink) {
        if (!sink)
                return NULL;
        for (unsigned i = 0; i < sink->n_images; i++)
                (void) temporary_image_free(sink->images[i]);
        buffer_done(&sink->rest);
        free(sink);
        return NULL;
}

static int keep_text(ReplySink *sink, const void *data, size_t size) {
        int r;

        r = buffer_append(&sink->rest, data, size);
        if (r == -EMSGSIZE)
                return refuse(sink, "too much text besides the images");
        return r < 0 ? fail(sink, r) : 0;
}

/* Inside an image's string: decodes plain base64. */
static int decode(ReplySink *sink, const char *text, size_t size) {
        TemporaryImage *image = sink->images[sink->n_images - 1];

        while (size > 0) {
                size_t n = MIN(size, (size_t) DECODE_BYTES_MAX);
                ssize_t n_bytes;
                int r;

                n_bytes = base64_decode(&sink->decoder, text, n, sink->decoded);
                if (n_bytes < 0)
                        return refuse_image(sink, sink->n_images - 1, "not base64");
                r = temporary_image_write(image, sink->decoded, (size_t) n_bytes);
                if (r == -EFBIG)
                        return refuse_image(sink, sink->n_images - 1, "too large");
                if (r < 0)
                        return fail(sink, r);
                text += n;
                size -= n;
        }
        return 0;
}

/* The beginning of an image's string, until it is known whether a data: URL begins there. */
static int take_prefix(ReplySink *sink, char character) {
        size_t known = strlen(DATA_PREFIX);

        if (sink->prefix_size == sizeof(sink->prefix) - 1)
                return refuse_image(sink, sink->n_images - 1, "data: URL of an unknown form");
        sink->prefix[sink->prefix_size++] = character;
        sink->prefix[sink->prefix_size] = 0;

        if (strncmp(sink->prefix, DATA_PREFIX, MIN(sink->prefix_size, known)) != 0) {
                sink->prefix_over = true;
                return decode(sink, sink->prefix, sink->prefix_size);
        }
        if (character != ',')
                return 0;
        if (!strstr(sink->prefix, ";base64,"))
                return refuse_image(sink, sink->n_images - 1, "data: URL that is not base64");
        sink->prefix_over = true;
        return 0;
}

static int take_image_text(ReplySink *sink, const char *text, size_t size) {
        while (size > 0 && !sink->prefix_over) {
                int r = take_prefix(sink, *text);

                if (r < 0)
                        return r;
                text++;
                size--;
        }
        return decode(sink, text, size);
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Escapes in an image's string. Base64 needs none, but encoders write \/ and \u002b. */
static int take_escape(ReplySink *sink, char c) {
        int digit;
        char plain;

        if (sink->hex_left == 0) {
                sink->escaped = false;
                if (c == '/')
                        return take_image_text(sink, &c, 1);
                if (c != 'u')
                        return refuse_image(sink, sink->n_images - 1, "not base64");
                sink->hex_left = 4;
                sink->hex_value = 0;
                return 0;
        }

        digit = hex_digit(c);
        if (digit < 0)
                return refuse_image(sink, sink->n_images - 1, "not base64");
        sink->hex_value = sink->hex_value << 4 | (unsigned) digit;
        if (--sink->hex_left > 0)
                return 0;
        if (sink->hex_value == 0 || sink->hex_value > 0x7f)
                return refuse_image(sink, sink->n_images - 1, "not base64");
        plain = (char) sink->hex_value;
        return take_image_text(sink, &plain, 1);
}

static int end_image(ReplySink *sink) {
        sink->state = SCAN_STRUCTURE;
        if (!sink->prefix_over) {
                int r = decode(sink, sink->prefix, sink->prefix_size);

                if (r < 0)
                        return r;
        }
        if (base64_decode_finish(&sink->decoder) < 0)
                return refuse_image(sink, sink->n_images - 1, "base64 cut short");
        return 0;
}

/* Returns the bytes consumed: up to the closing quote or the end of this piece. */
static ssize_t scan_image(ReplySink *sink, const char *text, size_t size) {
        const char *end, *backslash;
        size_t n;
        int r;

        if (sink->escaped || sink->hex_left > 0) {
                r = take_escape(sink, *text);
                return r < 0 ? r : 1;
        }

        end = memchr(text, '"', size);
        n = end ? (size_t) (end - text) : size;
        backslash = memchr(text, '\\', n);
        if (backslash)
                n = (size_t) (backslash - text);

        r = take_image_text(sink, text, n);
        if (r < 0)
                return r;
        if (backslash) {
                sink->escaped = true;
                return (ssize_t) n + 1;
        }
        if (!end)
                return (ssize_t) n;
        r = end_image(sink);
        return r < 0 ? r : (ssize_t) n + 1;
}

static int begin_image(ReplySink *sink) {
        char number[16];
        int r;

        if (sink->n_images == sink->n_images_max)
                return refuse(sink, "more images than were asked for");
        r = temporary_image_new(&sink->images[sink->n_images], sink->store);
        if (r < 0)
                return fail(sink, r);

        sink->decoder = (Base64Decoder) {};
        sink->prefix_size = 0;
        sink->prefix_over = false;
        sink->state = SCAN_IMAGE;
        (void) snprintf(number, sizeof(number), "\"%u\"", sink->n_images++);
        return keep_text(sink, number, strlen(number));
}

static bool in_object(const ReplySink *sink) {
        return sink->depth > 0 && sink->containers[sink->depth - 1] == '{';
}

static bool has_name(const ReplySink *sink, const char *name) {
        return sink->name_size == strlen(name) && memcmp(sink->name, name, sink->name_size) == 0;
}

/* Whether the string that begins is an image. */
static bool is_image(const ReplySink *sink) {
        const ImagePlace *place = sink->place;

        return sink->depth == strlen(place->levels) && memcmp(sink->containers, place->levels, sink->depth) == 0 &&
               (!place->outermost || sink->in_place) && (!place->inner || sink->in_inner) &&
               has_name(sink, place->name);
}

static int begin_string(ReplySink *sink) {
        sink->is_name = in_object(sink) && sink->expects_name;
        if (!sink->is_name && is_image(sink))
                return begin_image(sink);

        if (sink->is_name)
                sink->name_size = 0;
        sink->state = SCAN_STRING;
        return keep_text(sink, "\"", 1);
}

static void end_string(ReplySink *sink) {
        sink->state = SCAN_STRUCTURE;
        if (!sink->is_name)
                return;
        sink->expects_name = false;
        if (sink->depth == 1 && sink->place->outermost)
                sink->in_place = has_name(sink, sink->place->outermost);
        else if (sink->depth == sink->place->inner_depth && sink->place->inner)
                sink->in_inner = has_name(sink, sink->place->inner);
}

static int scan_string(ReplySink *sink, char c) {
        if (sink->escaped)
                sink->escaped = false;
        else if (c == '\\')
                sink->escaped = true;
        else if (c == '"') {
                end_string(sink);
                return keep_text(sink, &c, 1);
        }

        if (sink->is_name && sink->name_size < sizeof(sink->name))
                sink->name[sink->name_size++] = c;
        return keep_text(sink, &c, 1);
}

static int scan_structure(ReplySink *sink, char c) {
        switch (c) {
        case '"':
                return begin_string(sink);
        case '{':
        case '[':
                if (sink->depth == SCAN_DEPTH_MAX)
                        return refuse(sink, "nested too deeply");
                sink->containers[sink->depth++] = c;
                sink->expects_name = true;
                break;
        case '}':
        case ']':
                if (sink->depth == 0)
                        return refuse(sink, "not JSON");
                sink->depth--;
                sink->expects_name = false;
                break;
        case ',':
                sink->expects_name = true;
                break;
        default:
                break;
        }
        return keep_text(sink, &c, 1);
}

int reply_sink_write(ReplySink *sink, const void *data, size_t size) {
        const char *text = data;

        while (size > 0 && sink->error >= 0) {
                ssize_t n = 1;

                if (sink->state == SCAN_IMAGE)
                        n = scan_image(sink, text, size);
                else if (sink->state == SCAN_STRING)
                        (void) scan_string(sink, *text);
                else
                        (void) scan_structure(sink, *text);
                if (n < 0)
                        break;
                text += n;
                size -= (size_t) n;
        }
        return sink->error;
}

static int check_images(ReplySink *sink) {
        for (unsigned i = 0; i < sink->n_images; i++) {
                const char *reason;
                int r;

                r = temporary_image_finish(sink->images[i], &reason);
                if (r == -EBADMSG)
                        return refuse_image(sink, i, reason);
                if (r < 0)
                        return fail(sink, r);
        }
        return 0;
}

int reply_sink_finish(ReplySink *sink, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        JsonError error;
        int r;

        if (sink->error < 0)
                return sink->error;
        if (sink->rest.size == 0)
                return refuse(sink, "empty reply");
        if (sink->state != SCAN_STRUCTURE || sink->depth > 0)
                return refuse(sink, "reply cut short");

        r = json_parse((const char *) sink->rest.data, sink->rest.size, &reply, &error);
        if (r == -EBADMSG)
                return refuse(sink, error.reason);
        if (r < 0)
                return fail(sink, r);
        r = check_images(sink);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(reply);
        return 0;
}

int reply_sink_number(const ReplySink *sink, const char *object, const char *member,
                      char ret[static JSON_NUMBER_MAX]) {
        return json_number_text((const char *) sink->rest.data, sink->rest.size, object, member, ret);
}

TemporaryImage *reply_sink_take_image(ReplySink *sink, const JsonValue *b64_json) {
        uint64_t index;

        if (!cJSON_IsString(b64_json) || text_to_unsigned(b64_json->valuestring, UINT32_MAX, &index) < 0 ||
            index >= sink->n_images)
                return NULL;
        return TAKE_PTR(sink->images[index]);
}

const char *reply_sink_reason(const ReplySink *sink) {
        return sink->reason;
}
