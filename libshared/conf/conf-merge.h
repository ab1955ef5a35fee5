/* One group of a file merged into one struct. */
#pragma once

#include "conf/conf-error.h"
#include "conf/conf-file.h"
#include "conf/conf-origins.h"

#define CONF_PREFIX_MAX 256  /* "providers.NAME." in messages; longer names are cut there */

/* A file that is being merged, and where in it we are. */
typedef struct ConfSource {
        const char *path;
        size_t preset;          /* column of ConfSetting.presets */
        Buffer *errors;
        ConfOrigins *origins;   /* or NULL */
        char prefix[CONF_PREFIX_MAX];
} ConfSource;

/* Each returns 0 or -ENOMEM; what is wrong with the file goes to source->errors. */
int conf_merge_defaults(const ConfTable *table, size_t preset, void *config);
int conf_merge_setting(ConfSource *source, const ConfSetting *setting, config_setting_t *node, void *config);
int conf_merge_group(ConfSource *source, const ConfTable *table, config_setting_t *group, void *config);

int conf_refuse_unknown(const ConfSource *source, const config_setting_t *node, const char *const *names,
                        size_t count);
int conf_refuse_type(const ConfSource *source, const char *name, const config_setting_t *node, const char *expected);

const ConfSetting *conf_find_setting(const ConfTable *table, const char *name);

static inline void *conf_field(const ConfSetting *setting, void *config) {
        return (char *) config + setting->offset;
}

static inline ConfPlace conf_place(const ConfSource *source, const config_setting_t *node) {
        return (ConfPlace) { .file = source->path, .line = config_setting_source_line(node) };
}
