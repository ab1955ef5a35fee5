/* Names of archives: atelier-20261123T020000Z-SHA256.tar.zst, SHA256 of the whole file in 64 hexadecimal digits. While
 * it is written: .atelier-20261123T020000Z-XXXXXX.partial. */
#pragma once

#include "base/hash.h"
#include "base/macro.h"
#include "base/time.h"

#define ARCHIVE_NAME_MAX 128

typedef struct ArchiveName {
        char text[ARCHIVE_NAME_MAX];
        usec_t created_at;             /* realtime, whole seconds */
        char sha256[SHA256_TEXT_MAX];
} ArchiveName;

void archive_name_format(ArchiveName *ret, usec_t created_at, const char *sha256);

/* -EINVAL for what is not exactly such a name. */
int archive_name_parse(ArchiveName *ret, const char *text);

/* The archives in a folder, newest first (by name); *ret is to be freed. Everything else in it is passed over. */
int archive_name_list(int folder_fd, ArchiveName **ret, size_t *ret_count);

/* Removes what cut-off runs have left. Only when no run is under way. */
int archive_remove_partials(int folder_fd, unsigned *ret_removed);
