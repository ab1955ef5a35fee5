#include "providers/provider-table.h"

#include <errno.h>

#include "base/text.h"
#include "secrets/secrets.h"

struct ProviderTable {
        unsigned references;
        size_t count;
        ProviderSlot slots[];
};

/* The names stand in the order of ProviderConf.kind. */
static const char *const kind_names[] = { "sandbox", "openai", "openrouter", "openai-compatible" };

static int add_key(Provider *provider, const Secrets *secrets, const ProviderConf *conf, const char *setting,
                   const char *reference, Buffer *errors) {
        _cleanup_(secret_freep) char *key = NULL;
        int r;

        r = secrets_resolve(secrets, reference, &key);
        if (r < 0 && r != -ENOENT && r != -EAGAIN) {
                (void) buffer_printf(errors, "providers.%s.%s: %s can't be read: %s\n", conf->name, setting, reference,
                                     strerror(-r));
                return -EBADMSG;
        }
        return provider_add_key(provider, key);
}

_Static_assert(KEYS_MAX == PROVIDER_KEYS_MAX, "the settings allow as many keys as a provider takes");

/* `keys` stands in place of `key`. */
static int add_keys(Provider *provider, const Secrets *secrets, const ProviderConf *conf, Buffer *errors) {
        int r = 0;

        if (!conf->keys || !conf->keys[0])
                return conf->key ? add_key(provider, secrets, conf, "key", conf->key, errors) : 0;
        for (char **reference = conf->keys; *reference && r >= 0; reference++)
                r = add_key(provider, secrets, conf, "keys", *reference, errors);
        return r;
}

static int add_provider(ProviderTable *table, const ProviderContext *context, const ProviderConf *conf,
                        Buffer *errors) {
        ProviderSlot *slot = &table->slots[table->count];
        ProviderSettings settings = {
                .name = conf->name,
                .kind = kind_names[conf->kind],
                .base_url = conf->base_url,
                .app_url = conf->app_url,
                .server = conf->server,
                .app_title = conf->app_title,
                .connect_timeout = conf->connect_timeout,
                .sandbox_delay = conf->delay,
        };
        int r;

        r = provider_new(&slot->provider, context, &settings);
        if (r == -EINVAL) {
                (void) buffer_printf(errors, "providers.%s.base_url: expected an http or https URL, got '%s'\n",
                                     conf->name, conf->base_url ?: "");
                return -EBADMSG;
        }
        if (r >= 0)
                r = add_keys(slot->provider, context->secrets, conf, errors);
        if (r < 0) {
                slot->provider = provider_free(slot->provider);
                return r;
        }

        slot->table = table;
        slot->timeout = conf->timeout;
        slot->retry_unknown = conf->retry_unknown;
        slot->concurrency = (unsigned) conf->concurrency;
        table->count++;
        return 0;
}

static bool names_remote_key(const ProviderConf *conf) {
        for (unsigned number = 1; settings_provider_key(conf, number); number++)
                if (secret_reference_is_remote(settings_provider_key(conf, number)))
                        return true;
        return false;
}

/* What a secret manager keeps may still come: while it is out, no start fails for it. */
static bool any_usable(const ProviderTable *table, const Settings *settings) {
        for (size_t i = 0; i < table->count; i++) {
                const Provider *provider = table->slots[i].provider;

                if (provider_has_key(provider) || names_remote_key(settings_find_provider(settings, provider_name(provider))))
                        return true;
        }
        return false;
}

int provider_table_new(ProviderTable **ret, const ProviderContext *context, const Settings *settings,
                       Buffer *errors) {
        _cleanup_(provider_table_unrefp) ProviderTable *table = NULL;
        const ConfGroups *providers = &settings->common.providers;
        int r;

        table = calloc(1, sizeof(*table) + providers->count * sizeof(table->slots[0]));
        if (!table)
                return -ENOMEM;
        table->references = 1;

        for (size_t i = 0; i < providers->count; i++) {
                const ProviderConf *conf = providers->items[i];

                if (!conf->enabled)
                        continue;
                r = add_provider(table, context, conf, errors);
                if (r < 0)
                        return r;
        }

        if (settings->common.environment == ENVIRONMENT_PRODUCTION && !any_usable(table, settings)) {
                (void) buffer_append_text(errors, "providers: none has a key; production needs one, for instance "
                                                  "/etc/credstore/openai-api-key\n");
                return -EBADMSG;
        }

        *ret = TAKE_PTR(table);
        return 0;
}

ProviderTable *provider_table_ref(ProviderTable *table) {
        table->references++;
        return table;
}

ProviderTable *provider_table_unref(ProviderTable *table) {
        if (!table || --table->references > 0)
                return NULL;

        for (size_t i = 0; i < table->count; i++)
                (void) provider_free(table->slots[i].provider);
        free(table);
        return NULL;
}

ProviderSlot *provider_table_find(ProviderTable *table, const char *name) {
        for (size_t i = 0; i < table->count; i++)
                if (text_equal(provider_name(table->slots[i].provider), name))
                        return &table->slots[i];
        return NULL;
}

ProviderSlot *provider_table_at(ProviderTable *table, size_t index) {
        return index < table->count ? &table->slots[index] : NULL;
}

bool provider_table_is_paid(const ProviderTable *table) {
        for (size_t i = 0; i < table->count; i++)
                if (provider_is_paid(table->slots[i].provider) && provider_has_key(table->slots[i].provider))
                        return true;
        return false;
}
