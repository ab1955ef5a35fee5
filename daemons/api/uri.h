/* A request's target, taken apart strictly: "/PATH?NAME=VALUE&…" with percent-encoding. */
#pragma once

#include <stddef.h>

#include "base/macro.h"

#define URI_PARAMETERS_MAX 8

typedef struct UriParameter {
        const char *name;
        const char *value;
} UriParameter;

typedef struct Uri {
        const char *path; /* decoded */
        UriParameter parameters[URI_PARAMETERS_MAX];
        size_t n_parameters;
        const char *problem; /* why it is not one; static text */
} Uri;

/* Decodes in place; *ret points into `text`. -EBADMSG with ret->problem: a path that does not begin with a slash, a
 * broken or forbidden percent-encoding (control characters, what is not UTF-8), a parameter without '=' or given
 * twice, too many of them. ret->path is then what could be read of it, or "". */
int uri_parse(char *text, Uri *ret);

/* NULL when the parameter was not given. */
const char *uri_parameter(const Uri *uri, const char *name);
