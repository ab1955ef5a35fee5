/* An answer before it is sent: status, headers and a body that is a text, a file, a stream of images or events. */
#pragma once

#include <stdint.h>

#include <microhttpd.h>

#include "api-error.h"
#include "base/json.h"
#include "event-stream.h"
#include "image-stream.h"

#define HTTP_RETRY_AFTER_SECONDS "2" /* with every 503 */

typedef struct HttpReply HttpReply;

/* Takes text over; NULL is -ENOMEM. content_type NULL: none. */
int http_reply_new_text(HttpReply **ret, unsigned status, const char *content_type, char *text);
int http_reply_new_json(HttpReply **ret, unsigned status, const JsonValue *value);
int http_reply_new_error(HttpReply **ret, const ApiError *error);
int http_reply_new_file(HttpReply **ret, unsigned status, const char *content_type, int fd, uint64_t offset,
                        uint64_t size); /* takes fd over; sent by sendfile(2) */
int http_reply_new_stream(HttpReply **ret, ImageStream *stream); /* takes stream over; 200, JSON */
int http_reply_new_events(HttpReply **ret, EventStream *stream); /* takes stream over; 200, text/event-stream */
HttpReply *http_reply_free(HttpReply *reply);
DEFINE_CLEANUP(HttpReply *, http_reply_free);

int http_reply_add_header(HttpReply *reply, const char *name, const char *value);

EventStream *http_reply_events(const HttpReply *reply); /* NULL: it is none, or `reply` is NULL */
unsigned http_reply_status(const HttpReply *reply);
struct MHD_Response *http_reply_response(const HttpReply *reply);
