/* Settings in force, and the settings themselves for the manual. */
#include <stdio.h>

#include "conf/conf-groups.h"
#include "conf/conf-origins.h"
#include "conf/conf-value.h"

static bool is_unset(const ConfSetting *setting, const void *field) {
        return (setting->type == CONF_STRING || setting->type == CONF_URL || setting->type == CONF_SECRET) &&
               !*(const char *const *) field;
}

static int format_origin(const ConfSetting *setting, const void *field, const ConfShown *shown, Buffer *buffer) {
        const char *place = conf_origins_find(shown->origins, field);

        if (place)
                return buffer_printf(buffer, CONF_FROM "%s\n", place);
        if (setting->presets[shown->preset])
                return buffer_printf(buffer, CONF_FROM "preset of %s\n", shown->preset_name);
        return buffer_append_text(buffer, CONF_FROM "default\n");
}

static int format_line(const ConfSetting *setting, const char *prefix, const void *config, const ConfShown *shown,
                       Buffer *buffer) {
        const void *field = (const char *) config + setting->offset;
        int r;

        if (is_unset(setting, field))
                return buffer_printf(buffer, "# %s\n# %s%s is unset\n", setting->help, prefix, setting->name);

        r = buffer_printf(buffer, "# %s\n", setting->help);
        if (r >= 0 && shown)
                r = format_origin(setting, field, shown, buffer);
        if (r >= 0)
                r = buffer_printf(buffer, "%s%s = ", prefix, setting->name);
        if (r >= 0)
                r = value_format(setting, field, buffer);
        return r < 0 ? r : buffer_append(buffer, "\n", 1);
}

static int format_struct(const ConfTable *table, const char *prefix, const void *config, const ConfShown *shown,
                         Buffer *buffer);

static int format_groups(const ConfSetting *setting, const ConfGroups *groups, const ConfShown *shown, Buffer *buffer) {
        char prefix[CONF_PREFIX_MAX];
        int r = 0;

        for (size_t i = 0; i < groups->count && r >= 0; i++) {
                (void) snprintf(prefix, sizeof(prefix), "%s.%s.", setting->name,
                                conf_groups_name(setting->table, groups->items[i]));
                r = format_struct(setting->table, prefix, groups->items[i], shown, buffer);
        }
        return r;
}

static int format_struct(const ConfTable *table, const char *prefix, const void *config, const ConfShown *shown,
                         Buffer *buffer) {
        int r = 0;

        for (const ConfSetting *setting = table->settings; setting->name && r >= 0; setting++)
                if (setting->type == CONF_GROUPS)
                        r = format_groups(setting, (const void *) ((const char *) config + setting->offset), shown, buffer);
                else
                        r = format_line(setting, prefix, config, shown, buffer);
        return r;
}

int conf_format(const ConfTable *table, const void *config, const ConfShown *shown, Buffer *buffer) {
        char prefix[CONF_PREFIX_MAX] = "";

        if (table->section)
                (void) snprintf(prefix, sizeof(prefix), "%s.", table->section);
        return format_struct(table, prefix, config, shown, buffer);
}

static int document_default(const ConfSetting *setting, Buffer *buffer) {
        static const char *const environments[] = { "development", "staging", "production" };
        bool presets = false;
        int r = 0;

        for (size_t i = 0; i < ELEMENTS(environments) && r >= 0; i++)
                if (setting->presets[i]) {
                        r = buffer_printf(buffer, "%s%s: %s", presets ? "<br>" : "", environments[i],
                                          setting->presets[i]);
                        presets = true;
                }
        if (r < 0 || presets || !setting->fallback)
                return r;
        return buffer_append_text(buffer, *setting->fallback ? setting->fallback : "(empty)");
}

static int document_setting(const ConfTable *table, const ConfSetting *setting, Buffer *buffer) {
        int r;

        r = buffer_printf(buffer, "| `%s%s%s` | %s | ", table->section ? table->section : "",
                          table->section ? "." : "", setting->name, setting->help);
        if (r >= 0)
                r = value_expect(setting, buffer);
        if (r >= 0)
                r = buffer_append_text(buffer, " | ");
        if (r >= 0)
                r = document_default(setting, buffer);
        if (r >= 0)
                r = buffer_append_text(buffer, " | ");
        if (r >= 0 && setting->environment)
                r = buffer_printf(buffer, "`%s`", setting->environment);
        return r < 0 ? r : buffer_append_text(buffer, " |\n");
}

int conf_document(const ConfTable *table, Buffer *buffer) {
        int r;

        r = buffer_append_text(buffer, "| setting | meaning | takes | default | variable |\n|---|---|---|---|---|\n");
        for (const ConfSetting *setting = table->settings; setting->name && r >= 0; setting++)
                r = document_setting(table, setting, buffer);
        return r;
}
