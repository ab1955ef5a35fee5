/* The configuration as a snapshot hands it out: the files that the settings were read from, by flat names. A file of
 * atelier.conf.d/ is "atelier.conf.d-NAME". They hold no secrets, only where those are found. */
#pragma once

#include "base/macro.h"

typedef struct ConfigFiles ConfigFiles;

/* What the folder (NULL: the usual one) has now, ascending. One whose name an archive cannot take (anything but a-z, 0-9,
 * "-", "_", "."; past 100 bytes) is left out with a warning. */
int config_files_new(ConfigFiles **ret, const char *folder);
ConfigFiles *config_files_free(ConfigFiles *files);
DEFINE_CLEANUP(ConfigFiles *, config_files_free);

size_t config_files_count(const ConfigFiles *files);
int64_t config_files_bytes(const ConfigFiles *files);                 /* together */
const char *config_files_name(const ConfigFiles *files, size_t index);
int config_files_open(const ConfigFiles *files, size_t index);       /* a new fd, read-only */
