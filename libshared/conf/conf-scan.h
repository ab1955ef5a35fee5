/* What libconfig 1.5 lets pass in a file and we do not. */
#pragma once

#include "conf/conf-error.h"

/* Looks at text, which ends by NUL at text[size], before libconfig does: bytes that are not UTF-8, NUL bytes also as
 * \x00, inclusion of other files, integers that would wrap, nesting past CONF_DEPTH_MAX. Appends an error for each
 * and returns how many there were, or -ENOMEM. */
int conf_scan(const char *path, const char *text, size_t size, Buffer *errors);
