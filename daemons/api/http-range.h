/* Conditional and partial requests (RFC 9110, sections 13 and 14). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum HttpRange {
        HTTP_RANGE_WHOLE, /* no Range, one that we do not take (several, another unit), or a broken one */
        HTTP_RANGE_PART,
        HTTP_RANGE_UNSATISFIABLE, /* 416 */
} HttpRange;

/* `field` is the value of Range, or NULL; size that of the whole in bytes. */
HttpRange http_range_parse(const char *field, uint64_t size, uint64_t *ret_start, uint64_t *ret_length);

/* Whether the list of entity tags in `field` (NULL: none) names `etag` (with its quotes) or is "*". `weak` compares as
 * If-None-Match does; without it as If-Range does, for which a weak tag never matches. */
bool http_etag_listed(const char *field, const char *etag, bool weak);
