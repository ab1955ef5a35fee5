/* Configuration files, read and parsed. */
#pragma once

#include <libconfig.h>

#include "conf/conf.h"

typedef struct ConfFile ConfFile;

typedef enum ConfFileOutcome {
        CONF_FILE_MISSING = 1,
        CONF_FILE_BROKEN,       /* errors say why */
} ConfFileOutcome;

/* Reads FOLDER/NAME. 0, -ENOMEM or a ConfFileOutcome. */
int conf_file_read(ConfFile **ret, const char *folder, const char *name, Buffer *errors);
ConfFile *conf_file_free(ConfFile *file);
DEFINE_CLEANUP(ConfFile *, conf_file_free);

const char *conf_file_path(const ConfFile *file);
config_setting_t *conf_file_root(const ConfFile *file);

/* All files of a folder in the order in which they count, the last one last. */
typedef struct ConfFiles {
        ConfFile **items;
        size_t count;
} ConfFiles;

/* 0 or -ENOMEM; what is wrong with a file is in `errors`, and the file is left out. */
int conf_files_read(ConfFiles *files, const char *folder, Buffer *errors);
void conf_files_done(ConfFiles *files);
