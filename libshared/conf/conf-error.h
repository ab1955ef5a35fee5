/* Errors of configuration: one line each, with its place and, for unknown names, the nearest known one. */
#pragma once

#include "conf/conf.h"

typedef struct ConfPlace {
        const char *file;       /* NULL: environment variable */
        unsigned line;          /* 0: the file as a whole */
        const char *variable;
        const char *text;       /* in place of all others, as it is to be shown; or NULL */
} ConfPlace;

/* "FILE:LINE", "environment variable NAME" */
int conf_place_format(const ConfPlace *place, Buffer *buffer);

/* Appends "PLACE: message\n". Returns 0 or -ENOMEM. */
int conf_error(Buffer *errors, const ConfPlace *place, const char *format, ...) _printf_(3, 4);

/* Appends "PLACE: PREFIX.NAME: WHAT; expected …", where WHAT is `text` as given and the ValueOutcome's reason. The
 * text of a secret is never shown: it may be the secret itself, put there by mistake. */
int conf_error_value(Buffer *errors, const ConfPlace *place, const char *prefix, const ConfSetting *setting,
                     const char *text, int outcome);

/* The name that a writer of `name` may have meant, from names[0..count), or NULL. */
#define CONF_NEAREST_BYTES_MAX 64
const char *conf_nearest(const char *name, const char *const *names, size_t count);
