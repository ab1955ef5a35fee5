/* The tables behind settings.h. */
#pragma once

#include "conf/settings.h"

extern const ConfTable common_table, provider_table, model_table, receiver_table, price_table, webhook_table, api_table, worker_table,
        secrets_table, scheduler_table, alerter_table;

/* The six of Settings, in the order of its members, and where each struct lies in it. */
#define SETTINGS_TABLES_COUNT 6
extern const ConfTable *const settings_tables[SETTINGS_TABLES_COUNT];
void settings_configs(Settings *settings, void *configs[static SETTINGS_TABLES_COUNT]);
