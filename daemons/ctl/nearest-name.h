/* What somebody meant to type. */
#pragma once

#include <stddef.h>

/* The name that is closest to `typed` and not far from it, or NULL: about a third of it at most has to be changed,
 * added or dropped, or it is how the name begins. */
const char *nearest_name(const char *typed, const char *const names[], size_t count);
