#include "conf/settings-check.h"

#include <errno.h>
#include <stdio.h>

#include "base/calendar.h"
#include "base/image-size.h"
#include "base/text.h"
#include "conf/alias-check.h"
#include "conf/chat-sizes.h"
#include "conf/conf-error.h"
#include "conf/conf-origins.h"
#include "conf/price-line.h"

/* One model, provider or receiver that is being judged. */
typedef struct Item {
        const char *place;
        const char *list, *name;
        Buffer *errors;
} Item;

static int complain(const Item *item, const char *setting, const char *what) {
        return buffer_printf(item->errors, "%s: %s.%s.%s: %s\n", item->place, item->list, item->name, setting, what);
}

/* What concerns several settings, said of the one at `field`. */
typedef struct Whole {
        const Settings *settings;
        const ConfOrigins *origins;
        Buffer *errors;
} Whole;

_printf_(3, 4) static int complain_at(const Whole *whole, const void *field, const char *format, ...) {
        const char *place = conf_origins_find(whole->origins, field);
        va_list arguments;
        int r = place ? buffer_printf(whole->errors, "%s: ", place) : 0;

        va_start(arguments, format);
        if (r >= 0)
                r = buffer_vprintf(whole->errors, format, arguments);
        va_end(arguments);
        return r < 0 ? r : buffer_append(whole->errors, "\n", 1);
}

static int complain_of(const Item *item, const char *setting, const char *text, const char *expected) {
        return buffer_printf(item->errors, "%s: %s.%s.%s: \"%s\" is wrong; expected %s\n", item->place, item->list,
                             item->name, setting, text, expected);
}

static bool is_dimensions(const char *size) {
        unsigned width, height;

        return image_size_parse(size, &width, &height);
}

static bool is_size(const char *size) {
        return text_equal(size, "auto") || is_dimensions(size);
}

static bool contains(char *const *strings, const char *text) {
        for (; strings && *strings; strings++)
                if (text_equal(*strings, text))
                        return true;
        return false;
}

static int check_provider(const ProviderConf *provider, const Item *item) {
        if (provider->kind == PROVIDER_OPENAI && !provider->base_url)
                return complain(item, "base_url", "missing; expected a URL, as the kind is openai");
        if (provider->kind == PROVIDER_OPENAI_COMPATIBLE && !provider->base_url)
                return complain(item, "base_url", "missing; expected a URL, as the kind is openai-compatible");
        /* Not quoted: whoever wrote the key itself there shall not find it in a journal. */
        for (char **key = provider->keys; key && *key; key++) {
                if (!secret_reference_valid(*key))
                        return complain(item, "keys", "a value (not shown) is not taken; expected "
                                                      SECRET_REFERENCE_EXPECTED);
                for (char **other = provider->keys; other != key; other++)
                        if (text_equal(*other, *key))
                                return complain_of(item, "keys", *key, "each key once");
        }
        return 0;
}

static int check_provider_exists(const Settings *settings, const ModelConf *model, const Item *item) {
        const ConfGroups *providers = &settings->common.providers;
        _cleanup_free_ const char **names = NULL;
        const char *nearest;

        if (!model->provider)
                return complain(item, "provider", "missing; expected the name of a provider");
        if (settings_find_provider(settings, model->provider))
                return 0;

        names = calloc(providers->count + 1, sizeof(*names));
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < providers->count; i++)
                names[i] = ((const ProviderConf *) providers->items[i])->name;
        nearest = conf_nearest(model->provider, names, providers->count);
        if (nearest)
                return buffer_printf(item->errors,
                                     "%s: models.%s.provider: \"%s\" is no provider; did you mean \"%s\"?\n",
                                     item->place, item->name, model->provider, nearest);
        return complain(item, "provider", "no such provider; expected the name of one in providers");
}

static int check_sizes(const ModelConf *model, const Item *item) {
        if (!model->free_sizes && !(model->sizes && model->sizes[0]))
                return complain(item, "sizes", "empty; expected sizes, or free_sizes = true");
        for (char **size = model->sizes; size && *size; size++)
                if (!is_size(*size))
                        return complain(item, "sizes", "wrong size; expected WIDTHxHEIGHT or auto");
        if (model->default_size && !contains(model->sizes, model->default_size) &&
            !(model->free_sizes && is_dimensions(model->default_size)))
                return complain(item, "default_size", "not taken by the model; expected one of its sizes");
        if (model->edge_min > model->edge_max)
                return complain(item, "edge_min", "above edge_max; expected at most that");
        if (model->pixels_min > model->pixels_max)
                return complain(item, "pixels_min", "above pixels_max; expected at most that");
        return 0;
}

/* What is sent to these has no place for images to work on. */
static int check_edits(const Settings *settings, const ModelConf *model, const Item *item) {
        const ProviderConf *provider = settings_find_provider(settings, model->provider);

        if (model->edit_images_max == 0 || !provider || provider->kind < PROVIDER_OPENROUTER)
                return 0;
        return complain(item, "edit_images_max", "not taken by this kind of provider; expected 0");
}

static int check_chat(const Settings *settings, const ModelConf *model, const Item *item) {
        const ProviderConf *provider = settings_find_provider(settings, model->provider);

        if (!model->chat)
                return 0;
        if (!provider || provider->kind != PROVIDER_OPENROUTER)
                return complain(item, "chat", "not of use; expected a provider of the kind openrouter");
        if (model->images_max != 1)
                return complain(item, "images_max", "above what the chat route gives; expected 1");
        if (model->streams || model->gpt_fields || model->takes_response_format)
                return complain(item, "chat", "without streams, gpt_fields and takes_response_format; expected these false");
        if (model->free_sizes)
                return complain(item, "free_sizes", "not taken by the chat route; expected sizes");
        for (char **size = model->sizes; size && *size; size++)
                if (!text_equal(*size, "auto") && !chat_size_find(*size))
                        return complain_of(item, "sizes", *size, "auto, 1024x1024 or another size of the chat route");
        for (char **modality = model->modalities; modality && *modality; modality++)
                if (!text_equal(*modality, "image") && !text_equal(*modality, "text"))
                        return complain_of(item, "modalities", *modality, "image or text");
        return 0;
}

static int check_shutdown(const Settings *settings, const ModelConf *model, const Item *item) {
        usec_t shutdown;

        if (model->shutdown_date && time_parse_day(model->shutdown_date, &shutdown) < 0)
                return complain_of(item, "shutdown_date", model->shutdown_date, "a day as YYYY-MM-DD");
        if (model->replaced_by && (text_equal(model->replaced_by, model->name) ||
                                   !settings_find_model(settings, model->replaced_by)))
                return complain_of(item, "replaced_by", model->replaced_by, "the name of another model");
        return 0;
}

static int check_no_translations(const ModelConf *model, const Item *item) {
        if (model->translated_sizes && model->translated_sizes[0])
                return complain(item, "translated_sizes", "not of use; expected alias_of, or none");
        if (model->translated_qualities && model->translated_qualities[0])
                return complain(item, "translated_qualities", "not of use; expected alias_of, or none");
        return 0;
}

/* The list is the whole chain, so that only a name that comes twice could lead back. */
static int check_fallback(const Settings *settings, const ModelConf *model, const Item *item) {
        for (char **name = model->fallback; name && *name; name++) {
                const ModelConf *other = settings_find_model(settings, *name);

                if (model->alias_of)
                        return complain(item, "fallback",
                                        "not of use; expected none, as the model of an alias has its own");
                if (!other)
                        return complain_of(item, "fallback", *name, "the name of another model");
                if (settings_model_asked(settings, other) == model)
                        return complain_of(item, "fallback", *name, "another model, as this leads back to itself");
                for (char **before = model->fallback; before != name; before++)
                        if (text_equal(*before, *name))
                                return complain_of(item, "fallback", *name, "each model once");
        }
        return 0;
}

static int check_model(const Settings *settings, const ModelConf *model, const Item *item) {
        size_t errors_before = item->errors->size;
        int r;

        r = model->alias_of ? 0 : check_provider_exists(settings, model, item);
        if (r >= 0)
                r = check_sizes(model, item);
        if (r >= 0 && model->default_quality && !contains(model->qualities, model->default_quality))
                r = complain(item, "default_quality", "not taken by the model; expected one of its qualities");
        if (r >= 0)
                r = check_chat(settings, model, item);
        if (r >= 0)
                r = check_edits(settings, model, item);
        if (r >= 0)
                r = check_shutdown(settings, model, item);
        if (r >= 0)
                r = check_fallback(settings, model, item);
        if (r < 0 || item->errors->size > errors_before)
                return r;
        return model->alias_of ? alias_check(settings, model, item->place, item->errors)
                               : check_no_translations(model, item);
}

static int check_default_model(const Whole *whole) {
        const Settings *settings = whole->settings;
        const char *const *field = (const char *const *) &settings->worker.default_model, *name = *field;
        const ModelConf *model;

        if (!name)
                return 0;
        model = settings_find_model(settings, name);
        if (!model)
                return complain_at(whole, field, "worker.default_model: there is no model \"%s\"; expected one of models", name);
        if (!settings_model_usable(settings, model))
                return complain_at(whole, field, "worker.default_model: the provider of \"%s\" is not used in this "
                                   "environment; expected another model", name);
        return 0;
}

static int check_time_zone(const Whole *whole) {
        const char *zone = whole->settings->worker.time_zone;

        if (calendar_zone_valid(zone))
                return 0;
        return complain_at(whole, &whole->settings->worker.time_zone, "worker.time_zone: \"%s\" is no time zone of this system; "
                           "expected UTC or a name such as Europe/Paris (timedatectl list-timezones)", zone);
}

static bool is_receiver_name(const char *name) {
        return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name);
}

static int check_receiver(const ReceiverConf *receiver, const Item *item) {
        bool journald = receiver->kind == RECEIVER_JOURNALD;

        if (!is_receiver_name(receiver->name))
                return complain(item, "name", "wrong name; expected letters, digits, dots, dashes and underscores");
        if (journald != text_equal(receiver->name, RECEIVER_NAME_JOURNALD))
                return complain(item, "kind",
                                "wrong; expected the kind journald for the name journald, and for no other");
        if (!journald && !receiver->url)
                return complain(item, "url", "missing; expected credential:NAME, file:/PATH or env:NAME");
        if (!journald && secret_reference_is_remote(receiver->url))
                return complain(item, "url", "not on this machine, and only the worker asks secret managers; expected "
                                             "credential:NAME, file:/PATH or env:NAME");
        return 0;
}

static bool is_webhook_name(const char *name) {
        return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(name);
}

/* Beyond this host nobody else may read what is told. */
static bool is_safe_url(const char *url) {
        static const char *const local[] = { "http://localhost", "http://127.0.0.1", "http://[::1]" };

        if (text_after(url, "https://"))
                return true;
        for (size_t i = 0; i < ELEMENTS(local); i++) {
                const char *rest = text_after(url, local[i]);

                if (rest && (*rest == 0 || *rest == ':' || *rest == '/'))
                        return true;
        }
        return false;
}

static int check_webhook(const WebhookConf *webhook, const Item *item) {
        if (!is_webhook_name(webhook->name))
                return complain(item, "name", "wrong name; expected letters, digits, dashes and underscores");
        if (!webhook->url)
                return complain(item, "url", "missing; expected an https URL");
        if (!is_safe_url(webhook->url))
                return complain_of(item, "url", webhook->url, "https, or http to localhost, 127.0.0.1 or [::1]");
        if (!webhook->secrets || !webhook->secrets[0])
                return complain(item, "secrets", "missing; expected [ \"credential:NAME\" ]");
        return 0;
}

static bool is_link_local_url(const char *url) {
        return text_after(url, "http://169.254.") || text_after(url, "http://[fe80:") || text_after(url, "http://[fd00:ec2::");
}

static bool is_host_text(const char *text) {
        return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == strlen(text);
}

/* Tokens are sent to these, and secrets come from them. */
static int check_secrets(const Whole *whole) {
        const SecretsSettings *secrets = &whole->settings->secrets;
        const struct {
                const char *setting;
                char *const *url;
                bool metadata;
        } urls[] = {
                { "aws_endpoint", &secrets->aws_endpoint, false },       { "aws_metadata", &secrets->aws_metadata, true },
                { "azure_authority", &secrets->azure_authority, false }, { "azure_metadata", &secrets->azure_metadata, true },
                { "azure_endpoint", &secrets->azure_endpoint, false },   { "vault_address", &secrets->vault_address, false },
        };
        const struct {
                const char *setting;
                char *const *text;
        } names[] = {
                { "aws_region", &secrets->aws_region },     { "azure_tenant", &secrets->azure_tenant },
                { "azure_domain", &secrets->azure_domain },
        };
        const struct {
                const char *setting;
                char *const *reference;
        } keys[] = {
                { "aws_access_key", &secrets->aws_access_key },           { "aws_secret_key", &secrets->aws_secret_key },
                { "aws_session_token", &secrets->aws_session_token },     { "azure_client_secret", &secrets->azure_client_secret },
                { "vault_token", &secrets->vault_token },
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTS(urls) && r >= 0; i++)
                if (*urls[i].url && !is_safe_url(*urls[i].url) && !(urls[i].metadata && is_link_local_url(*urls[i].url)))
                        r = complain_at(whole, urls[i].url, "secrets.%s: \"%s\" is wrong; expected https, or http to localhost, "
                                        "127.0.0.1 or [::1]%s", urls[i].setting, *urls[i].url,
                                        urls[i].metadata ? ", or to a link-local address" : "");
        for (size_t i = 0; i < ELEMENTS(names) && r >= 0; i++)
                if (*names[i].text && !is_host_text(*names[i].text))
                        r = complain_at(whole, names[i].text, "secrets.%s: \"%s\" is wrong; expected letters, digits, dots and "
                                        "dashes", names[i].setting, *names[i].text);
        for (size_t i = 0; i < ELEMENTS(keys) && r >= 0; i++)
                if (*keys[i].reference && secret_reference_is_remote(*keys[i].reference))
                        r = complain_at(whole, keys[i].reference, "secrets.%s: is needed to ask a secret manager, and so cannot be "
                                        "kept by one; expected credential:NAME, file:/PATH or env:NAME", keys[i].setting);
        return r;
}

static int check_price_lines(const PriceConf *price, const Item *item) {
        ImagePrice image;
        TokenKind kind;
        micros_t amount;
        int r = 0;

        for (char **line = price->per_image; line && *line && r >= 0; line++)
                if (price_line_parse_image(*line, &image) < 0)
                        r = complain_of(item, "per_image", *line,
                                        "SIZE QUALITY $AMOUNT such as \"1024x1024 high $0.167\"");
        for (char **line = price->per_million_tokens; line && *line && r >= 0; line++)
                if (price_line_parse_tokens(*line, &kind, &amount) < 0)
                        r = complain_of(item, "per_million_tokens", *line,
                                        "KIND $AMOUNT such as \"image_output $30\"");
        return r;
}

/* Which of two entries counts must never be a matter of their order. */
static const PriceConf *find_rival(const ConfGroups *prices, size_t index) {
        const PriceConf *price = prices->items[index];

        for (size_t i = 0; i < index; i++) {
                const PriceConf *other = prices->items[i];

                if (text_equal(other->provider, price->provider) && text_equal(other->model, price->model) &&
                    other->since == price->since)
                        return other;
        }
        return NULL;
}

static int check_price(const Settings *settings, size_t index, const Item *item) {
        const ConfGroups *prices = &settings->common.prices;
        const PriceConf *price = prices->items[index], *rival;
        usec_t since;
        int r;

        if (!price->provider || !settings_find_provider(settings, price->provider))
                return complain(item, "provider", "no such provider; expected the name of one in providers");
        if (!price->model)
                return complain(item, "model", "missing; expected the model's name at the provider");
        if (time_parse_day(price->from, &since) < 0)
                return complain_of(item, "from", price->from, "a day as YYYY-MM-DD");
        if (!(price->per_image && price->per_image[0]) && !(price->per_million_tokens && price->per_million_tokens[0]))
                return complain(item, "per_image", "empty; expected prices there or in per_million_tokens");
        r = check_price_lines(price, item);
        rival = find_rival(prices, index);
        if (r >= 0 && rival)
                r = complain_of(item, "from", price->from, "another day, as an entry for this model has the same");
        return r;
}

static int check_prices(const Settings *settings, Buffer *errors) {
        const ConfGroups *prices = &settings->common.prices;
        int r = 0;

        for (size_t i = 0; i < prices->count && r >= 0; i++) {
                const PriceConf *price = prices->items[i];

                r = check_price(settings, i, &(Item) { prices->places[i], "prices", price->name, errors });
        }
        return r;
}

static int check_webhooks(const Settings *settings, Buffer *errors) {
        const ConfGroups *webhooks = &settings->common.webhooks;
        int r = 0;

        for (size_t i = 0; i < webhooks->count && r >= 0; i++) {
                const WebhookConf *webhook = webhooks->items[i];

                r = check_webhook(webhook, &(Item) { webhooks->places[i], "webhooks", webhook->name, errors });
        }
        return r;
}

static int check_receivers(const Settings *settings, Buffer *errors) {
        const ConfGroups *receivers = &settings->common.receivers;
        int r = 0;

        for (size_t i = 0; i < receivers->count && r >= 0; i++) {
                const ReceiverConf *receiver = receivers->items[i];

                r = check_receiver(receiver, &(Item) { receivers->places[i], "receivers", receiver->name, errors });
        }
        return r;
}

/* Who may ask is never left to chance where it matters. */
static int check_keys(const Whole *whole) {
        const CommonSettings *common = &whole->settings->common;
        int r = 0;

        if (common->environment == ENVIRONMENT_PRODUCTION && common->require_key != REQUIRE_KEY_ALWAYS)
                r = complain_at(whole, &common->require_key,
                                "require_key: clients without a key are not served in production; expected \"always\"");
        else if (common->environment != ENVIRONMENT_DEVELOPMENT && common->require_key == REQUIRE_KEY_NEVER)
                r = complain_at(whole, &common->require_key,
                                "require_key: \"never\" is for development alone; expected \"auto\" or \"always\"");
        if (r >= 0 && common->environment == ENVIRONMENT_PRODUCTION && common->trust_loopback)
                r = complain_at(whole, &common->trust_loopback, "trust_loopback: not taken in production; expected false");
        return r;
}

static int check_whole(const Whole *whole) {
        const WorkerSettings *worker = &whole->settings->worker;
        int r;

        r = check_secrets(whole);
        if (r >= 0)
                r = check_time_zone(whole);
        if (r >= 0)
                r = check_keys(whole);
        if (r >= 0 && worker->prompt_min > worker->prompt_max)
                r = complain_at(whole, &worker->prompt_min,
                                "worker.prompt_min: above worker.prompt_max; expected at most that");
        return r < 0 ? r : check_default_model(whole);
}

int settings_check(const Settings *settings, const ConfOrigins *origins, Buffer *errors) {
        const ConfGroups *providers = &settings->common.providers, *models = &settings->common.models;
        int r = 0;

        for (size_t i = 0; i < providers->count && r >= 0; i++) {
                const ProviderConf *provider = providers->items[i];

                r = check_provider(provider, &(Item) { providers->places[i], "providers", provider->name, errors });
        }
        for (size_t i = 0; i < models->count && r >= 0; i++) {
                const ModelConf *model = models->items[i];

                r = check_model(settings, model, &(Item) { models->places[i], "models", model->name, errors });
        }
        if (r >= 0)
                r = check_prices(settings, errors);
        if (r >= 0)
                r = check_receivers(settings, errors);
        if (r >= 0)
                r = check_webhooks(settings, errors);
        return r < 0 ? r : check_whole(&(Whole) { settings, origins, errors });
}
