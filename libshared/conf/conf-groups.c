#include "conf/conf-groups.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"

static const char *name_in_file(config_setting_t *group) {
        config_setting_t *name = config_setting_get_member(group, "name");

        return name ? config_setting_get_string(name) : NULL;
}

const char *conf_groups_name(const ConfTable *table, const void *item) {
        return *(char *const *) ((const char *) item + table->settings[0].offset);
}

/* The index of the item, or the count when there is none. */
static size_t find_item(const ConfTable *table, const ConfGroups *groups, const char *name) {
        size_t i = 0;

        while (i < groups->count && !text_equal(conf_groups_name(table, groups->items[i]), name))
                i++;
        return i;
}

/* Appends an item with its defaults. */
static int append_item(const ConfTable *table, size_t preset, ConfGroups *groups) {
        void *item, **items;
        char **places;

        items = reallocarray(groups->items, groups->count + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        groups->items = items;

        places = reallocarray(groups->places, groups->count + 1, sizeof(*places));
        if (!places)
                return -ENOMEM;
        groups->places = places;

        item = calloc(1, table->struct_size);
        if (!item)
                return -ENOMEM;
        groups->items[groups->count] = item;
        groups->places[groups->count] = NULL;
        groups->count++;
        return conf_merge_defaults(table, preset, item);
}

static int replace_place(const ConfSource *source, const config_setting_t *group, char **place) {
        char *text = text_format("%s:%u", source->path, config_setting_source_line(group));

        if (!text)
                return -ENOMEM;
        free(*place);
        *place = text;
        return 0;
}

static int merge_item(ConfSource *source, const ConfSetting *setting, config_setting_t *group, const char *name,
                      ConfGroups *groups) {
        size_t max = setting->max ? (size_t) setting->max : CONF_GROUPS_MAX;
        size_t index = find_item(setting->table, groups, name);
        ConfPlace place = conf_place(source, group);
        int r;

        if (index == max)
                return conf_error(source->errors, &place, "%s: too many; expected at most %zu", setting->name, max);
        if (index == groups->count) {
                r = append_item(setting->table, source->preset, groups);
                if (r < 0)
                        return r;
        }

        r = replace_place(source, group, &groups->places[index]);
        if (r < 0)
                return r;

        (void) snprintf(source->prefix, sizeof(source->prefix), "%s.%s.", setting->name, name);
        r = conf_merge_group(source, setting->table, group, groups->items[index]);
        source->prefix[0] = 0;
        return r;
}

static bool name_stands_before(config_setting_t *list, int index, const char *name) {
        for (int i = 0; i < index; i++)
                if (text_equal(name_in_file(config_setting_get_elem(list, (unsigned) i)), name))
                        return true;
        return false;
}

int conf_groups_merge(ConfSource *source, const ConfSetting *setting, config_setting_t *list, ConfGroups *groups) {
        int r = 0;

        assert(!source->prefix[0]);  /* such lists stand at the top level */

        for (int i = 0; i < config_setting_length(list) && r >= 0; i++) {
                config_setting_t *group = config_setting_get_elem(list, (unsigned) i);
                const char *name = name_in_file(group);
                ConfPlace place = conf_place(source, group);

                if (!name)
                        r = conf_error(source->errors, &place, "%s: group without a name; expected name = \"…\";",
                                       setting->name);
                else if (name_stands_before(list, i, name))
                        r = conf_error(source->errors, &place, "%s.%s: given before in this list; expected once",
                                       setting->name, name);
                else
                        r = merge_item(source, setting, group, name, groups);
        }
        return r;
}

void conf_groups_done(const ConfTable *table, ConfGroups *groups) {
        for (size_t i = 0; i < groups->count; i++) {
                conf_done(table, groups->items[i]);
                free(groups->items[i]);
                free(groups->places[i]);
        }
        free(groups->items);
        free(groups->places);
        *groups = (ConfGroups) {};
}
