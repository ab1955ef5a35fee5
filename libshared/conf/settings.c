#include "conf/settings.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/conf-origins.h"
#include "conf/settings-check.h"
#include "conf/settings-tables.h"

#define KEY_SUFFIX "_API_KEY"
#define CACHE_TTL_DEFAULT USEC_PER_HOUR
#define URL_SUFFIX "_WEBHOOK_URL"

Settings *settings_free(Settings *settings) {
        void *configs[SETTINGS_TABLES_COUNT];

        if (!settings)
                return NULL;
        settings_configs(settings, configs);
        for (size_t i = 0; i < SETTINGS_TABLES_COUNT; i++)
                conf_done(settings_tables[i], configs[i]);
        free(settings);
        return NULL;
}

ProviderConf *settings_find_provider(const Settings *settings, const char *name) {
        for (size_t i = 0; i < settings->common.providers.count; i++) {
                ProviderConf *provider = settings->common.providers.items[i];

                if (text_equal(provider->name, name))
                        return provider;
        }
        return NULL;
}

ModelConf *settings_find_model(const Settings *settings, const char *name) {
        for (size_t i = 0; i < settings->common.models.count; i++) {
                ModelConf *model = settings->common.models.items[i];

                if (text_equal(model->name, name))
                        return model;
        }
        return NULL;
}

const char *settings_provider_key(const ProviderConf *provider, unsigned number) {
        if (!provider->keys || !provider->keys[0])
                return number == 1 ? provider->key : NULL;
        for (char **key = provider->keys; *key; key++)
                if (--number == 0)
                        return *key;
        return NULL;
}

const ModelConf *settings_model_asked(const Settings *settings, const ModelConf *model) {
        return model->alias_of ? settings_find_model(settings, model->alias_of) : model;
}

const WebhookConf *settings_find_webhook(const Settings *settings, const char *name) {
        for (size_t i = 0; i < settings->common.webhooks.count; i++) {
                const WebhookConf *webhook = settings->common.webhooks.items[i];

                if (text_equal(webhook->name, name))
                        return webhook;
        }
        return NULL;
}

bool settings_model_usable(const Settings *settings, const ModelConf *model) {
        const ProviderConf *provider = settings_find_provider(settings, model->provider);

        return provider && provider->enabled;
}

/* "open-router" → "OPEN_ROUTER_API_KEY" */
static char *variable_of(const char *group, const char *suffix) {
        char *name = text_format("%s%s", group, suffix);

        for (char *p = name; p && *p; p++)
                *p = isalnum((unsigned char) *p) ? (char) toupper((unsigned char) *p) : '_';
        return name;
}

/* Where variables are found, and where it is noted what was taken from them. */
typedef struct Variables {
        char *const *environment, *const *places;
        ConfOrigins *origins;
} Variables;

static bool is_set(const Variables *variables, const char *name, ConfPlace *ret_place) {
        for (size_t i = 0; variables->environment[i]; i++) {
                const char *rest = text_after(variables->environment[i], name);

                if (!rest || rest[0] != '=')
                        continue;
                *ret_place = (ConfPlace) { .variable = name, .text = variables->places ? variables->places[i] : NULL };
                return rest[1] != 0;
        }
        return false;
}

/* A secret in the environment wins over the file, as every variable does. */
static int take_secret_of_environment(const char *group, const char *suffix, const Variables *variables,
                                      char **reference) {
        _cleanup_free_ char *variable = variable_of(group, suffix);
        ConfPlace place;
        char *found;

        if (!variable)
                return -ENOMEM;
        if (!is_set(variables, variable, &place))
                return 0;

        found = text_format("env:%s", variable);
        if (!found)
                return -ENOMEM;
        free(*reference);
        *reference = found;
        return conf_origins_note(variables->origins, reference, &place);
}

/* It is the only one then. */
static int take_key_of_environment(ProviderConf *provider, const Variables *variables) {
        _cleanup_free_ char *before = provider->key;
        int r;

        provider->key = NULL;
        r = take_secret_of_environment(provider->name, KEY_SUFFIX, variables, &provider->key);
        if (provider->key) {
                for (char **key = provider->keys; key && *key; key++) {
                        free(*key);
                        *key = NULL;
                }
        } else
                provider->key = TAKE_PTR(before);
        return r;
}

static int complete_providers(Settings *settings, const Variables *variables) {
        int r = 0;

        for (size_t i = 0; i < settings->common.providers.count && r >= 0; i++) {
                ProviderConf *provider = settings->common.providers.items[i];

                provider->enabled = provider->environments & 1u << settings->common.environment;
                if (provider->kind != PROVIDER_SANDBOX)
                        r = take_key_of_environment(provider, variables);
        }
        return r;
}

static int complete_receivers(Settings *settings, const Variables *variables) {
        int r = 0;

        for (size_t i = 0; i < settings->common.receivers.count && r >= 0; i++) {
                ReceiverConf *receiver = settings->common.receivers.items[i];

                if (receiver->kind != RECEIVER_JOURNALD)
                        r = take_secret_of_environment(receiver->name, URL_SUFFIX, variables, &receiver->url);
        }
        return r;
}

/* The names are those of the managers' own tools. */
static int complete_secrets(SecretsSettings *secrets, const Variables *variables) {
        const struct {
                const char *variable;
                char **reference;
        } keys[] = {
                { "AWS_ACCESS_KEY_ID", &secrets->aws_access_key },
                { "AWS_SECRET_ACCESS_KEY", &secrets->aws_secret_key },
                { "AWS_SESSION_TOKEN", &secrets->aws_session_token },
                { "AZURE_CLIENT_SECRET", &secrets->azure_client_secret },
                { "VAULT_TOKEN", &secrets->vault_token },
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTS(keys) && r >= 0; i++)
                r = take_secret_of_environment(keys[i].variable, "", variables, keys[i].reference);
        return r;
}

/* "" takes back what another file says. */
static void drop_if_empty(char **text) {
        if (*text && !(*text)[0]) {
                free(*text);
                *text = NULL;
        }
}

static int inherit(char **text, const char *from) {
        if (!*text && from && !(*text = strdup(from)))
                return -ENOMEM;
        return 0;
}

static void complete_shutdown(ModelConf *model) {
        drop_if_empty(&model->shutdown_date);
        drop_if_empty(&model->replaced_by);
        model->shutdown = USEC_INFINITY;
        if (model->shutdown_date)
                (void) time_parse_day(model->shutdown_date, &model->shutdown);  /* settings_check() says what is wrong */
}

/* An alias takes no more than its model, and lives no longer. */
static int complete_alias(ModelConf *alias, const ModelConf *target) {
        int r;

        alias->images_max = MIN(alias->images_max, target->images_max);
        alias->prompt_max = MIN(alias->prompt_max, target->prompt_max);
        alias->edit_images_max = MIN(alias->edit_images_max, target->edit_images_max);
        alias->edit_bytes_max = MIN(alias->edit_bytes_max, target->edit_bytes_max);
        alias->input_fidelity &= target->input_fidelity;
        r = inherit(&alias->provider, target->provider);
        if (r >= 0)
                r = inherit(&alias->provider_model, target->provider_model);
        /* A date that could not be read stays, to be complained about. */
        if (r < 0 || alias->shutdown <= target->shutdown || (alias->shutdown_date && alias->shutdown == USEC_INFINITY))
                return r;

        alias->shutdown = target->shutdown;
        free(alias->shutdown_date);
        alias->shutdown_date = strdup(target->shutdown_date);
        if (!alias->shutdown_date)
                return -ENOMEM;
        return inherit(&alias->replaced_by, target->replaced_by);
}

static int complete_aliases(const Settings *settings) {
        int r = 0;

        for (size_t i = 0; i < settings->common.models.count && r >= 0; i++) {
                ModelConf *model = settings->common.models.items[i];
                const ModelConf *target = settings_model_asked(settings, model);

                if (model->alias_of && target && !target->alias_of)
                        r = complete_alias(model, target);
        }
        return r;
}

static int complete_models(Settings *settings) {
        int r;

        for (size_t i = 0; i < settings->common.models.count; i++) {
                ModelConf *model = settings->common.models.items[i];

                complete_shutdown(model);
                drop_if_empty(&model->alias_of);
                if (!model->alias_of && !model->provider_model && !(model->provider_model = strdup(model->name)))
                        return -ENOMEM;
        }
        r = complete_aliases(settings);
        if (r < 0)
                return r;

        for (size_t i = 0; i < settings->common.models.count; i++) {
                ModelConf *model = settings->common.models.items[i];

                if (!settings->worker.default_model && settings_model_usable(settings, model) &&
                    !(settings->worker.default_model = strdup(model->name)))
                        return -ENOMEM;
        }
        return 0;
}

static void complete_prices(const ConfGroups *prices) {
        for (size_t i = 0; i < prices->count; i++) {
                PriceConf *price = prices->items[i];

                (void) time_parse_day(price->from, &price->since);  /* settings_check() says what is wrong */
        }
}

/* What follows from other settings. All of them are sound by themselves here. */
static int complete(Settings *settings, const Variables *variables) {
        int r;

        if (settings->worker.cache == CACHE_OFF)
                settings->worker.cache_ttl = 0;
        else if (settings->worker.cache == CACHE_ON && settings->worker.cache_ttl == 0)
                settings->worker.cache_ttl = CACHE_TTL_DEFAULT;
        if (settings->common.debug)
                settings->common.log_level = LOG_DEBUG;

        r = complete_providers(settings, variables);
        if (r >= 0)
                r = complete_receivers(settings, variables);
        if (r >= 0)
                r = complete_secrets(&settings->secrets, variables);
        complete_prices(&settings->common.prices);
        return r < 0 ? r : complete_models(settings);
}

static int load(Settings *settings, const ConfSources *sources, Buffer *errors) {
        const Variables variables = { sources->environment ?: environ, sources->places, sources->origins };
        void *configs[SETTINGS_TABLES_COUNT];
        size_t errors_before = errors->size;
        int r;

        settings_configs(settings, configs);
        r = conf_load(sources, settings_tables, configs, SETTINGS_TABLES_COUNT, errors);
        if (r >= 0)
                r = complete(settings, &variables);
        if (r >= 0)
                r = settings_check(settings, sources->origins, errors);
        return r < 0 ? r : errors->size > errors_before ? -EBADMSG : 0;
}

int settings_load(Settings **ret, const ConfSources *sources, Buffer *errors) {
        _cleanup_(settings_freep) Settings *settings = calloc(1, sizeof(*settings));
        _cleanup_(conf_origins_done) ConfOrigins origins = {};
        ConfSources all = sources ? *sources : (ConfSources) {};
        int r;

        if (!settings)
                return -ENOMEM;
        all.origins = all.origins ?: &origins;
        r = load(settings, &all, errors);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(settings);
        return 0;
}

int settings_format(const Settings *settings, const ConfOrigins *origins, Buffer *buffer) {
        static const char *const names[] = { "development", "staging", "production" };
        const int environment = settings->common.environment;
        const ConfShown shown = { origins, (size_t) environment, names[environment] };
        void *configs[SETTINGS_TABLES_COUNT];
        int r = 0;

        settings_configs((Settings *) settings, configs);
        for (size_t i = 0; i < SETTINGS_TABLES_COUNT && r >= 0; i++)
                r = conf_format(settings_tables[i], configs[i], origins ? &shown : NULL, buffer);
        return r;
}

int settings_document(Buffer *buffer) {
        static const struct {
                const char *title;
                const ConfTable *table;
        } parts[] = {
                { "Top level", &common_table },            { "Providers", &provider_table },
                { "Models", &model_table },                { "Prices", &price_table },
                { "Receivers", &receiver_table },           { "Webhooks", &webhook_table },
                { "api", &api_table },                     { "worker", &worker_table },
                { "scheduler", &scheduler_table },         { "alerter", &alerter_table },
                { "secrets", &secrets_table },
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTS(parts) && r >= 0; i++) {
                r = buffer_printf(buffer, "\n### %s\n\n", parts[i].title);
                if (r >= 0)
                        r = conf_document(parts[i].table, buffer);
        }
        return r;
}
