/* What is made anew while the worker runs: by new settings, and by secrets that have changed. */
#pragma once

#include "manager.h"

/* For ServiceKind: all or nothing. Attempts under way go on with the provider that they began with. */
int reload_settings(const Settings *settings, Buffer *errors, void *manager);

/* Sets manager->secrets up, whose changes make providers and webhooks anew from then on. */
int reload_open_secrets(Manager *manager);

/* As provider_table_new(). */
int reload_new_providers(Manager *manager, const Settings *settings, Buffer *errors, ProviderTable **ret);
