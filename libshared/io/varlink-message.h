/* Varlink's messages: the JSON objects of calls and replies, taken strictly and written exactly. */
#pragma once

#include "base/buffer.h"
#include "base/json.h"
#include "base/macro.h"

/* A call as it came. The strings and parameters belong to `root`. */
typedef struct VarlinkRequest {
        JsonValue *root;
        const char *method;           /* qualified; any text, the server judges it */
        const JsonValue *parameters;  /* an object, never NULL */
        bool oneway, more;
} VarlinkRequest;

void varlink_request_done(VarlinkRequest *request);

/* -EBADMSG for everything that is not a call: not JSON, no method, unknown or doubled members, wrong types, oneway
 * together with more, and `upgrade`, which we do not speak. -ENOMEM. */
int varlink_request_parse(VarlinkRequest *ret, const char *text, size_t size);

/* A reply as it came. */
typedef struct VarlinkResponse {
        JsonValue *root;
        const char *error;            /* qualified, or NULL */
        const JsonValue *parameters;  /* an object, never NULL */
        bool continues;
} VarlinkResponse;

void varlink_response_done(VarlinkResponse *response);

/* -EBADMSG as above, also for `continues` together with `error`. */
int varlink_response_parse(VarlinkResponse *ret, const char *text, size_t size);

/* Append a message and its NUL; parameters NULL go as {}. -EMSGSIZE past VARLINK_MESSAGE_BYTES_MAX, -ENOMEM,
 * -EINVAL for a method or error that is not a qualified name; the buffer is then as before. */
int varlink_request_format(Buffer *buffer, const char *method, const JsonValue *parameters, bool more);
int varlink_response_format(Buffer *buffer, const char *error, const JsonValue *parameters, bool continues);
