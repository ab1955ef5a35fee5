#include "conf/conf-origins.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ITEMS 64

static int reserve(ConfOrigins *origins) {
        size_t allocated = MAX(origins->allocated * 2, (size_t) FIRST_ITEMS);
        ConfOrigin *items;

        if (origins->count < origins->allocated)
                return 0;
        items = reallocarray(origins->items, allocated, sizeof(*items));
        if (!items)
                return -ENOMEM;
        origins->items = items;
        origins->allocated = allocated;
        return 0;
}

int conf_origins_note(ConfOrigins *origins, const void *field, const ConfPlace *place) {
        _cleanup_(buffer_done) Buffer text = {};
        char *copy;

        if (reserve(origins) < 0 || conf_place_format(place, &text) < 0 || !(copy = buffer_take_text(&text)))
                return -ENOMEM;
        origins->items[origins->count++] = (ConfOrigin) { field, copy };
        return 0;
}

void conf_origins_done(ConfOrigins *origins) {
        for (size_t i = 0; i < origins->count; i++)
                free(origins->items[i].place);
        free(origins->items);
        *origins = (ConfOrigins) {};
}

const char *conf_origins_find(const ConfOrigins *origins, const void *field) {
        for (size_t i = origins->count; i > 0; i--)
                if (origins->items[i - 1].field == field)
                        return origins->items[i - 1].place;
        return NULL;
}
