#include "conf/settings-check.h"

#include <errno.h>

#include "base/text.h"
#include "conf/conf-error.h"

/* One model, provider or receiver that is being judged. */
typedef struct Item {
        const char *place;
        const char *list, *name;
        Buffer *errors;
} Item;

static int complain(const Item *item, const char *setting, const char *what) {
        return buffer_printf(item->errors, "%s: %s.%s.%s: %s\n", item->place, item->list, item->name, setting, what);
}

/* "1024x768" with edges of one to five digits and no leading zero. */
static bool is_dimensions(const char *size) {
        for (int edge = 0; edge < 2; edge++) {
                size_t digits = strspn(size, "0123456789");

                if (digits == 0 || digits > 5 || size[0] == '0')
                        return false;
                size += digits;
                if (*size != (edge == 0 ? 'x' : 0))
                        return false;
                size += edge == 0;
        }
        return true;
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

static int check_model(const Settings *settings, const ModelConf *model, const Item *item) {
        int r;

        r = check_provider_exists(settings, model, item);
        if (r >= 0)
                r = check_sizes(model, item);
        if (r >= 0 && model->default_quality && !contains(model->qualities, model->default_quality))
                r = complain(item, "default_quality", "not taken by the model; expected one of its qualities");
        return r;
}

static int check_default_model(const Settings *settings, Buffer *errors) {
        const char *name = settings->worker.default_model;
        const ModelConf *model;

        if (!name)
                return 0;
        model = settings_find_model(settings, name);
        if (!model)
                return buffer_printf(errors,
                                     "worker.default_model: there is no model \"%s\"; expected one of models\n", name);
        if (!settings_model_usable(settings, model))
                return buffer_printf(errors, "worker.default_model: the provider of \"%s\" is not used in this "
                                             "environment; expected another model\n", name);
        return 0;
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
        return 0;
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

int settings_check(const Settings *settings, Buffer *errors) {
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
                r = check_receivers(settings, errors);
        return r < 0 ? r : check_default_model(settings, errors);
}
