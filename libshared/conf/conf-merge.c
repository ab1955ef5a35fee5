/* Merging.
 *
 * Defaults and presets fill a struct first; then each file in its order overwrites what it names, then the variables.
 * A list of groups is merged item by item: a name that is known already keeps its struct, a new one starts from the
 * defaults. So a drop-in that says ( { name = "openai"; timeout = "2min"; } ) changes the timeout and nothing else. */
#include "conf/conf-merge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf-groups.h"
#include "conf/conf-value.h"

#define SETTINGS_MAX 64       /* of one table */
#define NUMBER_TEXT_MAX 32

const ConfSetting *conf_find_setting(const ConfTable *table, const char *name) {
        for (const ConfSetting *setting = table->settings; setting->name; setting++)
                if (text_equal(setting->name, name))
                        return setting;
        return NULL;
}

int conf_merge_defaults(const ConfTable *table, size_t preset, void *config) {
        int r;

        for (const ConfSetting *setting = table->settings; setting->name; setting++) {
                const char *text = setting->presets[preset] ? setting->presets[preset] : setting->fallback;

                if (!text)
                        continue;
                r = value_parse(setting, text, conf_field(setting, config));
                if (r < 0)
                        return r;
                assert(r == 0);
        }
        return 0;
}

int conf_refuse_unknown(const ConfSource *source, const config_setting_t *node, const char *const *names,
                        size_t count) {
        const char *name = config_setting_name(node), *nearest = conf_nearest(name, names, count);
        ConfPlace place = conf_place(source, node);

        if (nearest)
                return conf_error(source->errors, &place, "%s%s: unknown setting; did you mean \"%s\"?",
                                  source->prefix, name, nearest);
        return conf_error(source->errors, &place, "%s%s: unknown setting; expected one of those in: atelierctl config show",
                          source->prefix, name);
}

int conf_refuse_type(const ConfSource *source, const char *name, const config_setting_t *node, const char *expected) {
        static const char *const types[] = {
                [CONFIG_TYPE_NONE] = "nothing",     [CONFIG_TYPE_GROUP] = "a group",
                [CONFIG_TYPE_INT] = "an integer",   [CONFIG_TYPE_INT64] = "an integer",
                [CONFIG_TYPE_FLOAT] = "a fraction", [CONFIG_TYPE_STRING] = "a string",
                [CONFIG_TYPE_BOOL] = "a bool",      [CONFIG_TYPE_ARRAY] = "an array",
                [CONFIG_TYPE_LIST] = "a list",
        };
        ConfPlace place = conf_place(source, node);

        return conf_error(source->errors, &place, "%s%s: %s is not taken; expected %s", source->prefix, name,
                          types[config_setting_type(node)], expected);
}

static int refuse_type_of(const ConfSource *source, const ConfSetting *setting, const config_setting_t *node) {
        _cleanup_(buffer_done) Buffer expected = BUFFER_INIT(0);
        _cleanup_free_ char *text = NULL;

        if (value_expect(setting, &expected) < 0 || !(text = buffer_take_text(&expected)))
                return -ENOMEM;
        return conf_refuse_type(source, setting->name, node, text);
}

static bool is_integer(const config_setting_t *node) {
        return config_setting_type(node) == CONFIG_TYPE_INT || config_setting_type(node) == CONFIG_TYPE_INT64;
}

static bool is_list_of(config_setting_t *node, int type) {
        if (!config_setting_is_array(node) && !config_setting_is_list(node))
                return false;
        for (int i = 0; i < config_setting_length(node); i++)
                if (config_setting_type(config_setting_get_elem(node, (unsigned) i)) != type)
                        return false;
        return true;
}

static bool type_fits(const ConfSetting *setting, config_setting_t *node) {
        switch (setting->type) {
        case CONF_BOOL:
                return config_setting_type(node) == CONFIG_TYPE_BOOL;
        case CONF_INTEGER:
                return is_integer(node);
        case CONF_DURATION:
        case CONF_SIZE:
        case CONF_MONEY:
                return is_integer(node) || config_setting_type(node) == CONFIG_TYPE_STRING;
        case CONF_STRING:
        case CONF_URL:
        case CONF_SECRET:
        case CONF_ENUM:
        case CONF_SHARE:
                return config_setting_type(node) == CONFIG_TYPE_STRING;
        case CONF_STRINGS:
        case CONF_FLAGS:
                return is_list_of(node, CONFIG_TYPE_STRING);
        case CONF_GROUPS:
                return is_list_of(node, CONFIG_TYPE_GROUP);
        }
        return false;
}

/* A scalar as text, so that files, variables and defaults go one way. */
static const char *scalar_text(const config_setting_t *node, char buffer[static NUMBER_TEXT_MAX]) {
        if (config_setting_type(node) == CONFIG_TYPE_STRING)
                return config_setting_get_string(node);
        if (config_setting_type(node) == CONFIG_TYPE_BOOL)
                return config_setting_get_bool(node) ? "true" : "false";

        (void) snprintf(buffer, NUMBER_TEXT_MAX, "%lld",
                        config_setting_type(node) == CONFIG_TYPE_INT ? (long long) config_setting_get_int(node)
                                                                     : config_setting_get_int64(node));
        return buffer;
}

static int note_origin(const ConfSource *source, const config_setting_t *node, const void *field) {
        ConfPlace place = conf_place(source, node);

        return source->origins ? conf_origins_note(source->origins, field, &place) : 0;
}

static int merge_scalar(ConfSource *source, const ConfSetting *setting, const config_setting_t *node, void *field) {
        ConfPlace place = conf_place(source, node);
        char number[NUMBER_TEXT_MAX];
        const char *text = scalar_text(node, number);
        int r;

        r = value_parse(setting, text, field);
        if (r == 0)
                return note_origin(source, node, field);
        return r < 0 ? r : conf_error_value(source->errors, &place, source->prefix, setting, text, r);
}

/* Names the first element that is at fault, or the number of elements. */
static int refuse_list(ConfSource *source, const ConfSetting *setting, config_setting_t *node, char *const *texts,
                       size_t count, int outcome) {
        ConfPlace place = conf_place(source, node);
        char number[NUMBER_TEXT_MAX];

        for (size_t i = 0; outcome == VALUE_WRONG && i < count; i++)
                if (!value_element_fits(setting, texts[i])) {
                        place = conf_place(source, config_setting_get_elem(node, (unsigned) i));
                        return conf_error_value(source->errors, &place, source->prefix, setting, texts[i], outcome);
                }

        (void) snprintf(number, sizeof(number), "%zu elements", count);
        return conf_error_value(source->errors, &place, source->prefix, setting, number, outcome);
}

static int merge_list(ConfSource *source, const ConfSetting *setting, config_setting_t *node, void *field) {
        size_t count = (size_t) config_setting_length(node);
        _cleanup_free_ char **texts = calloc(count + 1, sizeof(*texts));
        int r;

        if (!texts)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                texts[i] = (char *) config_setting_get_string(config_setting_get_elem(node, (unsigned) i));

        r = value_parse_list(setting, texts, count, field);
        if (r == 0)
                return note_origin(source, node, field);
        return r < 0 ? r : refuse_list(source, setting, node, texts, count, r);
}

int conf_merge_setting(ConfSource *source, const ConfSetting *setting, config_setting_t *node, void *config) {
        void *field = conf_field(setting, config);

        if (!type_fits(setting, node))
                return refuse_type_of(source, setting, node);

        switch (setting->type) {
        case CONF_GROUPS:
                return conf_groups_merge(source, setting, node, field);
        case CONF_STRINGS:
        case CONF_FLAGS:
                return merge_list(source, setting, node, field);
        default:
                return merge_scalar(source, setting, node, field);
        }
}

static int refuse_unknown_in(ConfSource *source, const ConfTable *table, config_setting_t *node) {
        const char *names[SETTINGS_MAX];
        size_t count = 0;

        for (const ConfSetting *setting = table->settings; setting->name; setting++) {
                assert(count < SETTINGS_MAX);
                names[count++] = setting->name;
        }
        return conf_refuse_unknown(source, node, names, count);
}

int conf_merge_group(ConfSource *source, const ConfTable *table, config_setting_t *group, void *config) {
        int r = 0;

        for (int i = 0; i < config_setting_length(group) && r >= 0; i++) {
                config_setting_t *node = config_setting_get_elem(group, (unsigned) i);
                const ConfSetting *setting = conf_find_setting(table, config_setting_name(node));

                r = setting ? conf_merge_setting(source, setting, node, config)
                            : refuse_unknown_in(source, table, node);
        }
        return r;
}
