/* The name of an archive that is not whole yet: .atelier-20261123T020000Z-XXXXXX.partial. */
#pragma once

#include "archive-name.h"

/* XXXXXX is the beginning of `tag`, which has six characters or more. */
void archive_partial_name(char ret[static ARCHIVE_NAME_MAX], usec_t created_at, const char *tag);
