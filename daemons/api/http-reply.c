#include "http-reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"

#define CONTENT_TYPE_JSON "application/json"
#define CONTENT_TYPE_EVENTS "text/event-stream; charset=utf-8"

struct HttpReply {
        unsigned status;
        struct MHD_Response *response;
        EventStream *events; /* the response's; NULL: none */
};

/* Takes the response over; NULL says that there was no memory for it. */
static int reply_new(HttpReply **ret, unsigned status, struct MHD_Response *response, const char *content_type) {
        _cleanup_(http_reply_freep) HttpReply *reply = NULL;
        int r;

        if (!response)
                return -ENOMEM;
        reply = malloc(sizeof(*reply));
        if (!reply) {
                MHD_destroy_response(response);
                return -ENOMEM;
        }
        *reply = (HttpReply){ .status = status, .response = response };

        if (content_type) {
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(reply);
        return 0;
}

int http_reply_new_text(HttpReply **ret, unsigned status, const char *content_type, char *text) {
        struct MHD_Response *response;

        if (!text)
                return -ENOMEM;
        response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
        if (!response)
                free(text);
        return reply_new(ret, status, response, content_type);
}

int http_reply_new_json(HttpReply **ret, unsigned status, const JsonValue *value) {
        return http_reply_new_text(ret, status, CONTENT_TYPE_JSON, json_format(value));
}

int http_reply_new_error(HttpReply **ret, const ApiError *error) {
        _cleanup_(http_reply_freep) HttpReply *reply = NULL;
        _cleanup_(json_freep) JsonValue *body = json_new_object();
        int r;

        r = json_add(body, "error", api_error_members(error));
        if (r >= 0)
                r = http_reply_new_json(&reply, error->status, body);
        if (r >= 0 && error->status == MHD_HTTP_SERVICE_UNAVAILABLE)
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_RETRY_AFTER, HTTP_RETRY_AFTER_SECONDS);
        /* Money that is gone does not come back by asking again. */
        if (r >= 0 && text_equal(error->type, ERROR_TYPE_QUOTA))
                r = http_reply_add_header(reply, "x-should-retry", "false");
        if (r >= 0 && error->status == MHD_HTTP_UNAUTHORIZED)
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
        if (r < 0)
                return r;

        *ret = TAKE_PTR(reply);
        return 0;
}

int http_reply_new_file(HttpReply **ret, unsigned status, const char *content_type, int fd, uint64_t offset,
                        uint64_t size) {
        struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(size, fd, offset);

        if (!response)
                (void) fd_close(fd);
        return reply_new(ret, status, response, content_type);
}

static ssize_t read_stream(void *userdata, uint64_t position, char *data, size_t size) {
        ssize_t r = image_stream_read(userdata, position, data, size);

        if (r < 0)
                return MHD_CONTENT_READER_END_WITH_ERROR;
        return r > 0 ? r : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_stream(void *userdata) {
        (void) image_stream_free(userdata);
}

int http_reply_new_stream(HttpReply **ret, ImageStream *stream) {
        struct MHD_Response *response;

        response = MHD_create_response_from_callback(image_stream_size(stream), IMAGE_STREAM_BLOCK_BYTES, read_stream,
                                                     stream, free_stream);
        if (!response)
                (void) image_stream_free(stream);
        return reply_new(ret, MHD_HTTP_OK, response, CONTENT_TYPE_JSON);
}

static ssize_t read_events(void *userdata, _unused_ uint64_t position, char *data, size_t size) {
        ssize_t r = event_stream_read(userdata, data, size);

        if (r == -ENODATA)
                return MHD_CONTENT_READER_END_OF_STREAM;
        return r < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : r;
}

static void free_events(void *userdata) {
        (void) event_stream_free(userdata);
}

int http_reply_new_events(HttpReply **ret, EventStream *stream) {
        _cleanup_(http_reply_freep) HttpReply *reply = NULL;
        struct MHD_Response *response;
        int r;

        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, IMAGE_STREAM_BLOCK_BYTES, read_events, stream,
                                                     free_events);
        if (!response)
                (void) event_stream_free(stream);
        r = reply_new(&reply, MHD_HTTP_OK, response, CONTENT_TYPE_EVENTS);
        if (r >= 0)
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
        if (r < 0)
                return r;

        reply->events = stream;
        *ret = TAKE_PTR(reply);
        return 0;
}

EventStream *http_reply_events(const HttpReply *reply) {
        return reply ? reply->events : NULL;
}

HttpReply *http_reply_free(HttpReply *reply) {
        if (!reply)
                return NULL;

        MHD_destroy_response(reply->response);
        free(reply);
        return NULL;
}

int http_reply_add_header(HttpReply *reply, const char *name, const char *value) {
        return MHD_add_response_header(reply->response, name, value) == MHD_YES ? 0 : -ENOMEM;
}

unsigned http_reply_status(const HttpReply *reply) {
        return reply->status;
}

struct MHD_Response *http_reply_response(const HttpReply *reply) {
        return reply->response;
}
