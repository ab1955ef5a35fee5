/* What the query of a link to an image says: `expires` and `signature`. The worker judges it. */
#pragma once

#include "base/json.h"
#include "base/time.h"
#include "uri.h"

#define SIGNED_LINK_EXPIRES "expires"
#define SIGNED_LINK_SIGNATURE "signature"

/* Whether the request shows a link, be it only a part of one. */
bool signed_link_is_shown(const Uri *uri);

/* Adds `link` of io.atelier.Store.Open. */
int signed_link_add(const Uri *uri, JsonValue *parameters);

/* Cache-Control of what was opened, for caches of the client's own: for good, or as long as the link that opened it. */
#define SIGNED_LINK_CACHE_MAX sizeof("private, max-age=31536000, immutable")
void signed_link_format_cache(const Uri *uri, usec_t now, char text[static SIGNED_LINK_CACHE_MAX]);
