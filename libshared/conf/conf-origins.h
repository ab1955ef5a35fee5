/* Where what is in force was given: FILE:LINE, or a variable. Settings are known by the field that holds them. */
#pragma once

#include <stddef.h>

#include "base/macro.h"
#include "conf/conf-error.h"

typedef struct ConfOrigin {
        const void *field;
        char *place;
} ConfOrigin;

typedef struct ConfOrigins {
        ConfOrigin *items;
        size_t count, allocated;
} ConfOrigins;

/* What is noted last for a field counts. -ENOMEM. */
int conf_origins_note(ConfOrigins *origins, const void *field, const ConfPlace *place);
void conf_origins_done(ConfOrigins *origins);

/* "/etc/atelier/atelier.conf:3", "environment variable LOG_LEVEL"; NULL: nobody gave it. */
const char *conf_origins_find(const ConfOrigins *origins, const void *field);
