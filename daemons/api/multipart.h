/* multipart/form-data (RFC 7578) as it arrives: the parts of a form and their bytes, in pieces. Strict: what a browser or an
 * HTTP library does not send is refused. */
#pragma once

#include <stddef.h>

#include "base/macro.h"

#define MULTIPART_BOUNDARY_BYTES_MAX 70 /* RFC 2046 */
#define MULTIPART_HEAD_BYTES_MAX 2048 /* of one part: all its header lines */
#define MULTIPART_NAME_BYTES_MAX 64
#define MULTIPART_PARTS_MAX 64

typedef struct Multipart Multipart;

enum {
        MULTIPART_INVALID = 1,
};

/* What a handler returns but 0 ends the parsing and is returned by multipart_write(); handlers use negative errnos and
 * numbers from MULTIPART_INVALID + 1 on. `name` lives until `end`. */
typedef struct MultipartHandlers {
        int (*begin)(const char *name, void *userdata);
        int (*data)(const void *data, size_t size, void *userdata);
        int (*end)(void *userdata);
} MultipartHandlers;

/* Whether the value of a Content-Type says that a body is one, whatever its boundary. */
bool multipart_is_type(const char *content_type);

/* MULTIPART_INVALID: the type has no boundary, or none that can be one. `handlers` outlive the parser. */
int multipart_new(Multipart **ret, const char *content_type, const MultipartHandlers *handlers, void *userdata);
Multipart *multipart_free(Multipart *parser);
DEFINE_CLEANUP(Multipart *, multipart_free);

/* Takes the next bytes. MULTIPART_INVALID (multipart_reason() says why), or what a handler returned; nothing may follow. */
int multipart_write(Multipart *parser, const void *data, size_t size);

/* At the end of the body: MULTIPART_INVALID when it is cut short. */
int multipart_finish(Multipart *parser);
const char *multipart_reason(const Multipart *parser); /* static text */
