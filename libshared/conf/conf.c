#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/conf-groups.h"
#include "conf/conf-value.h"

#define CONF_FOLDER "/etc/atelier"
#define PRESET_SETTING "environment"
#define TOP_LEVEL_NAMES_MAX 64

typedef struct Loader {
        const ConfTable *const *tables;
        void *const *configs;
        size_t n_tables;
        char *const *environment, *const *places;
        ConfOrigins *origins;
        ConfFiles files;
        size_t preset;          /* column of ConfSetting.presets */
        Buffer *errors;
} Loader;

/* The value of a variable, or NULL when it is unset or empty. *ret_place: where it was given, if that is known. */
static const char *find_variable(const Loader *loader, const char *name, const char **ret_place) {
        for (size_t i = 0; loader->environment[i]; i++) {
                const char *rest = text_after(loader->environment[i], name);

                if (!rest || rest[0] != '=')
                        continue;
                *ret_place = loader->places ? loader->places[i] : NULL;
                return rest[1] ? rest + 1 : NULL;
        }
        return NULL;
}

static const ConfTable *find_section(const Loader *loader, const char *name, void **ret_config) {
        for (size_t i = 0; i < loader->n_tables; i++)
                if (loader->tables[i]->section && text_equal(loader->tables[i]->section, name)) {
                        *ret_config = loader->configs[i];
                        return loader->tables[i];
                }
        return NULL;
}

static const ConfSetting *find_top_level(const Loader *loader, const char *name, void **ret_config) {
        for (size_t i = 0; i < loader->n_tables; i++) {
                const ConfSetting *setting =
                        loader->tables[i]->section ? NULL : conf_find_setting(loader->tables[i], name);

                if (setting) {
                        *ret_config = loader->configs[i];
                        return setting;
                }
        }
        return NULL;
}

/* The environment must be known before anything else is merged. Where a source gives it wrongly, the merge that
 * follows reports it; until then the source counts as silent. */
static void choose_preset(Loader *loader) {
        const char *text, *place;
        void *config;
        const ConfSetting *setting = find_top_level(loader, PRESET_SETTING, &config);
        int index = 0;

        if (!setting)
                return;

        if (setting->fallback)
                (void) value_parse(setting, setting->fallback, &index);
        for (size_t i = 0; i < loader->files.count; i++)
                if (config_setting_lookup_string(conf_file_root(loader->files.items[i]), PRESET_SETTING, &text))
                        (void) value_parse(setting, text, &index);
        text = setting->environment ? find_variable(loader, setting->environment, &place) : NULL;
        if (text)
                (void) value_parse(setting, text, &index);

        assert((size_t) index < ELEMENTS(setting->presets));
        loader->preset = (size_t) index;
}

static int merge_defaults(const Loader *loader) {
        int r = 0;

        for (size_t i = 0; i < loader->n_tables && r >= 0; i++)
                r = conf_merge_defaults(loader->tables[i], loader->preset, loader->configs[i]);
        return r;
}

static int refuse_top_level(const Loader *loader, const ConfSource *source, const config_setting_t *node) {
        const char *names[TOP_LEVEL_NAMES_MAX];
        size_t count = 0;

        for (size_t i = 0; i < loader->n_tables; i++)
                if (loader->tables[i]->section) {
                        assert(count < ELEMENTS(names));
                        names[count++] = loader->tables[i]->section;
                } else
                        for (const ConfSetting *s = loader->tables[i]->settings; s->name; s++) {
                                assert(count < ELEMENTS(names));
                                names[count++] = s->name;
                        }
        return conf_refuse_unknown(source, node, names, count);
}

static int merge_top_level(const Loader *loader, ConfSource *source, config_setting_t *node) {
        const char *name = config_setting_name(node);
        const ConfSetting *setting;
        const ConfTable *section;
        void *config;
        int r;

        setting = find_top_level(loader, name, &config);
        if (setting)
                return conf_merge_setting(source, setting, node, config);

        section = find_section(loader, name, &config);
        if (!section)
                return refuse_top_level(loader, source, node);
        if (!config_setting_is_group(node))
                return conf_refuse_type(source, name, node, "a group of settings: { NAME = VALUE; … }");

        (void) snprintf(source->prefix, sizeof(source->prefix), "%s.", name);
        r = conf_merge_group(source, section, node, config);
        source->prefix[0] = 0;
        return r;
}

static int merge_file(const Loader *loader, const ConfFile *file) {
        ConfSource source = { .path = conf_file_path(file), .preset = loader->preset, .errors = loader->errors,
                              .origins = loader->origins };
        config_setting_t *root = conf_file_root(file);
        int r = 0;

        for (int i = 0; i < config_setting_length(root) && r >= 0; i++)
                r = merge_top_level(loader, &source, config_setting_get_elem(root, (unsigned) i));
        return r;
}

static int merge_variable(const Loader *loader, const ConfTable *table, const ConfSetting *setting, void *config) {
        ConfPlace place = { .variable = setting->environment };
        const char *text = setting->environment ? find_variable(loader, setting->environment, &place.text) : NULL;
        char prefix[CONF_PREFIX_MAX] = "";
        int r;

        if (!text)
                return 0;

        r = value_parse(setting, text, conf_field(setting, config));
        if (r == 0 && loader->origins)
                return conf_origins_note(loader->origins, conf_field(setting, config), &place);
        if (r <= 0)
                return r;
        if (table->section)
                (void) snprintf(prefix, sizeof(prefix), "%s.", table->section);
        return conf_error_value(loader->errors, &place, prefix, setting, text, r);
}

static int merge_variables(const Loader *loader) {
        int r = 0;

        for (size_t i = 0; i < loader->n_tables; i++)
                for (const ConfSetting *s = loader->tables[i]->settings; s->name && r >= 0; s++)
                        r = merge_variable(loader, loader->tables[i], s, loader->configs[i]);
        return r;
}

static int merge_everything(Loader *loader) {
        int r;

        choose_preset(loader);
        r = merge_defaults(loader);
        for (size_t i = 0; i < loader->files.count && r >= 0; i++)
                r = merge_file(loader, loader->files.items[i]);
        return r < 0 ? r : merge_variables(loader);
}

int conf_load(const ConfSources *sources, const ConfTable *const *tables, void *const *configs, size_t n_tables,
              Buffer *errors) {
        Loader loader = { .tables = tables, .configs = configs, .n_tables = n_tables, .errors = errors };
        const char *folder = sources && sources->folder ? sources->folder : CONF_FOLDER;
        size_t errors_before = errors->size;
        int r;

        loader.environment = sources && sources->environment ? sources->environment : environ;
        loader.places = sources ? sources->places : NULL;
        loader.origins = sources ? sources->origins : NULL;
        r = conf_files_read(&loader.files, folder, errors);
        if (r >= 0)
                r = merge_everything(&loader);
        conf_files_done(&loader.files);
        if (r < 0)
                return r;
        return errors->size > errors_before ? -EBADMSG : 0;
}

void conf_done(const ConfTable *table, void *config) {
        for (const ConfSetting *setting = table->settings; setting->name; setting++)
                if (setting->type == CONF_GROUPS)
                        conf_groups_done(setting->table, conf_field(setting, config));
                else
                        value_done(setting, conf_field(setting, config));
}
