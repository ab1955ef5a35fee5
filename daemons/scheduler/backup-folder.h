/* The folder where archives are kept: what is in it, and how much room. */
#pragma once

#include "archive-name.h"
#include "base/macro.h"

typedef struct BackupFile {
        ArchiveName name;
        uint64_t size_bytes;
} BackupFile;

int backup_folder_open(const char *path);   /* an fd */

/* Newest first; *ret is to be freed. */
int backup_folder_list(const char *path, BackupFile **ret, size_t *ret_count);

enum {
        BACKUP_NOT_FOUND = 1,
};

/* By its name, or the newest (text NULL). BACKUP_NOT_FOUND: there is none, or none can be called so. */
int backup_folder_find(const char *path, const char *text, BackupFile *ret);

int backup_folder_free_bytes(const char *path, uint64_t *ret);
