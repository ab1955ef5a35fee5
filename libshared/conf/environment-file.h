/* A file of variables as systemd reads it for EnvironmentFile= (systemd.exec(5)): NAME=VALUE lines, comments with # or ;, a
 * backslash before the end of a line continues it, values between quotes keep their blanks. */
#pragma once

#include "base/buffer.h"

#define ENVIRONMENT_FILE_BYTES_MAX (1024 * 1024)
#define ENVIRONMENT_FILE_VARIABLES_MAX 4096

typedef struct EnvironmentFile {
        char **variables;    /* "NAME=VALUE", ended by NULL; a name that comes twice has its last value alone */
        char **places;       /* FILE:LINE of each, in their order */
        size_t count;
} EnvironmentFile;

/* 0; -EBADMSG with a line FILE:LINE: … in `errors` for each that is none; -EFBIG, -E2BIG past the limits; else why the file can't be
 * read. What it filled in is to be freed in any case; values may be secrets, and are wiped. */
int environment_file_read(EnvironmentFile *file, const char *path, Buffer *errors);
void environment_file_done(EnvironmentFile *file);
