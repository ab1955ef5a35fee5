/* Lists of groups: providers, models. */
#pragma once

#include "conf/conf-merge.h"

/* Merges the groups of `list` into *groups by their names. 0 or -ENOMEM. */
int conf_groups_merge(ConfSource *source, const ConfSetting *setting, config_setting_t *list, ConfGroups *groups);
void conf_groups_done(const ConfTable *table, ConfGroups *groups);

/* An item's name; NULL while it has none. */
const char *conf_groups_name(const ConfTable *table, const void *item);
