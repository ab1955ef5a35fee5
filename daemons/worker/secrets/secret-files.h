/* Folders of files that hold secrets, watched for changes. */
#pragma once

#include <systemd/sd-event.h>

#include "base/macro.h"

typedef struct SecretFiles SecretFiles;

/* Told once a burst of changes in the watched folders is over. */
typedef void (*SecretFilesChanged)(void *userdata);

int secret_files_new(SecretFiles **ret, sd_event *event, SecretFilesChanged changed, void *userdata);
SecretFiles *secret_files_free(SecretFiles *files);
DEFINE_CLEANUP(SecretFiles *, secret_files_free);

/* Watches the folder of a file. One that is not there can't be watched: -ENOENT. */
int secret_files_watch(SecretFiles *files, const char *path);
void secret_files_forget(SecretFiles *files);  /* all of them */

/* What the link ..data of the file's folder leads to; NULL: there is none, or memory is short. The caller frees it. */
char *secret_files_generation(const char *path);
