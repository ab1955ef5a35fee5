/* Numbers of a JSON text (RFC 8259) as they are written, for those that a double would change: money. Pure. */
#pragma once

#include <stddef.h>

#define JSON_NUMBER_MAX 64  /* with the final zero */

/* The number that stands at `object`.`member` of the outermost object, which is known to be JSON. The first, where a name
 * comes twice; names with escapes are others. -ENOENT: there is none, or it is no number. -E2BIG: longer than ret. */
int json_number_text(const char *text, size_t size, const char *object, const char *member,
                     char ret[static JSON_NUMBER_MAX]);
