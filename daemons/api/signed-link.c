#include "signed-link.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

#define CACHE_SECONDS_MAX UINT64_C(31536000) /* a year; images never change */

bool signed_link_is_shown(const Uri *uri) {
        return uri_parameter(uri, SIGNED_LINK_EXPIRES) || uri_parameter(uri, SIGNED_LINK_SIGNATURE);
}

int signed_link_add(const Uri *uri, JsonValue *parameters) {
        _cleanup_(json_freep) JsonValue *link = json_new_object();
        int r;

        r = json_add_string(link, SIGNED_LINK_EXPIRES, uri_parameter(uri, SIGNED_LINK_EXPIRES));
        if (r >= 0)
                r = json_add_string(link, SIGNED_LINK_SIGNATURE, uri_parameter(uri, SIGNED_LINK_SIGNATURE));
        return r < 0 ? r : json_add(parameters, "link", TAKE_PTR(link));
}

/* Whole seconds that are left; the clock may have reached the end since the worker looked at it. */
static uint64_t seconds_left(const Uri *uri, usec_t now) {
        const char *text = uri_parameter(uri, SIGNED_LINK_EXPIRES);
        uint64_t expires;

        if (!text || text_to_unsigned(text, UINT64_MAX / USEC_PER_SEC, &expires) < 0 || expires * USEC_PER_SEC <= now)
                return 0;
        return MIN((expires * USEC_PER_SEC - now) / USEC_PER_SEC, CACHE_SECONDS_MAX);
}

void signed_link_format_cache(const Uri *uri, usec_t now, char text[static SIGNED_LINK_CACHE_MAX]) {
        uint64_t seconds = signed_link_is_shown(uri) ? seconds_left(uri, now) : CACHE_SECONDS_MAX;

        (void) snprintf(text, SIGNED_LINK_CACHE_MAX, "private, max-age=%" PRIu64 ", immutable", seconds);
}
