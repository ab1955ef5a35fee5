#include "providers/provider.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "providers/provider-kind.h"

static const ProviderKind *const kinds[] = {
        &provider_kind_sandbox,
        &provider_kind_openai,
        &provider_kind_openrouter,
        &provider_kind_openai_compatible,
};

static const ProviderKind *find_kind(const char *name) {
        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                if (text_equal(name, kinds[i]->name))
                        return kinds[i];
        return NULL;
}

/* http:// or https:// with something behind it, no white space or control characters, no query. */
static int copy_base_url(Provider *provider, const char *url) {
        const char *rest = text_after(url, "https://") ?: text_after(url, "http://");
        size_t length = strlen(url);

        if (text_empty(rest) || *rest == '/')
                return -EINVAL;
        for (const char *p = url; *p; p++)
                if ((unsigned char) *p <= ' ' || *p == 0x7f || *p == '?' || *p == '#' || *p == '@')
                        return -EINVAL;

        while (length > 0 && url[length - 1] == '/')
                length--;
        provider->base_url = strndup(url, length);
        return provider->base_url ? 0 : -ENOMEM;
}

int provider_new(Provider **ret, const ProviderContext *context, const ProviderSettings *settings) {
        _cleanup_(provider_freep) Provider *provider = NULL;
        const ProviderKind *kind = find_kind(settings->kind);
        const char *base_url = NULL;
        int r;

        if (!kind)
                return -EINVAL;

        provider = calloc(1, sizeof(*provider));
        if (!provider)
                return -ENOMEM;
        provider->kind = kind;
        provider->server = settings->server;
        provider->context = *context;
        provider->connect_timeout = settings->connect_timeout;
        provider->sandbox_delay = settings->sandbox_delay;

        provider->name = strdup(settings->name);
        provider->app_url = settings->app_url ? strdup(settings->app_url) : NULL;
        provider->app_title = settings->app_title ? strdup(settings->app_title) : NULL;
        if (!provider->name || (settings->app_url && !provider->app_url) ||
            (settings->app_title && !provider->app_title))
                return -ENOMEM;
        if (kind->base_url)
                base_url = settings->base_url ?: kind->base_url;
        if (base_url) {
                r = copy_base_url(provider, base_url);
                if (r < 0)
                        return r;
        }
        if (!text_empty(settings->key)) {
                r = provider_add_key(provider, settings->key);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(provider);
        return 0;
}

Provider *provider_free(Provider *provider) {
        if (!provider)
                return NULL;
        if (provider->checked) {
                provider->checked = NULL;
                provider->kind->cancel_check(provider);
        }
        provider_keys_done(&provider->keys);
        free(provider->app_title);
        free(provider->app_url);
        free(provider->base_url);
        free(provider->name);
        free(provider);
        return NULL;
}

const char *provider_name(const Provider *provider) {
        return provider->name;
}

bool provider_is_paid(const Provider *provider) {
        return provider->kind->paid;
}

bool provider_has_key(const Provider *provider) {
        return provider_keys_present(&provider->keys) || !provider->kind->base_url ||
               !text_equal(provider->base_url, provider->kind->base_url);
}

/* The one to send from now on. Where none is good the first goes on, for checks alone. */
static void choose_key(Provider *provider) {
        unsigned number = provider_keys_choose(&provider->keys, time_now_monotonic());

        for (unsigned i = 1; number == 0 && i <= provider->keys.count; i++)
                if (provider->keys.keys[i - 1].text)
                        number = i;
        provider->key_number = number;
        provider->key = number > 0 ? provider->keys.keys[number - 1].text : NULL;
}

int provider_add_key(Provider *provider, const char *key) {
        int r = provider_keys_add(&provider->keys, key);

        if (r >= 0)
                choose_key(provider);
        return r;
}

bool provider_keys_all_aside(const Provider *provider) {
        return provider_keys_present(&provider->keys) &&
               provider_keys_choose(&provider->keys, time_now_monotonic()) == 0;
}

unsigned provider_key_number(const Provider *provider) {
        return provider->key_number;
}

unsigned provider_key_count(const Provider *provider) {
        return provider->keys.count;
}

KeyFault provider_key_fault(const Provider *provider, unsigned number) {
        return provider_keys_fault(&provider->keys, number, time_now_monotonic());
}

bool provider_set_key_aside(Provider *provider, unsigned number, KeyFault fault) {
        return provider_keys_set_aside(&provider->keys, number, fault, time_now_monotonic());
}

int provider_describe_keys(const Provider *provider, Buffer *text) {
        return provider_keys_describe(&provider->keys, time_now_monotonic(), text);
}

int provider_generate(Provider *provider, const GenerationRequest *request, GenerationDone done, void *userdata,
                      Generation **ret) {
        int r;

        assert(request->n >= 1 && request->n <= GENERATION_IMAGES_MAX);
        assert(request->partial_images <= PARTIAL_IMAGES_MAX && (request->n == 1 || !request->stream));

        choose_key(provider);
        r = provider->kind->generate(provider, request, done, userdata, ret);
        if (r >= 0)
                (*ret)->key = provider->key;
        return r;
}

void generation_cancel(Generation *generation) {
        generation->provider->kind->cancel(generation);
}

void generation_tell_partial(Generation *generation, PartialImage *image) {
        if (generation->partial)
                generation->partial(image, generation->userdata);
        image->file = temporary_image_free(image->file);
        image->reply = json_free(image->reply);
}

static void take_key(Provider *provider, unsigned number) {
        provider->key_number = number;
        provider->key = provider->keys.keys[number - 1].text;
}

int provider_check(Provider *provider, unsigned key, ProviderChecked checked, void *userdata) {
        int r;

        if (provider->checked)
                return -EBUSY;
        if (key > provider->keys.count)
                return -EINVAL;

        provider->checked = checked;
        provider->checked_userdata = userdata;
        provider->checked_since = time_now_monotonic();
        provider->check_refused = false;
        if (key > 0)
                take_key(provider, key);
        else
                choose_key(provider);
        r = provider->kind->check(provider);
        if (r < 0)
                provider->checked = NULL;
        return r;
}

bool provider_check_refused(const Provider *provider) {
        return provider->check_refused;
}

void provider_checked(Provider *provider, const char *message) {
        ProviderChecked checked = TAKE_PTR(provider->checked);

        if (checked)
                checked(provider, !message, time_now_monotonic() - provider->checked_since, message,
                        provider->checked_userdata);
}

static void replace_text(char **field, const char *text) {
        free(*field);
        *field = text ? strdup(text) : NULL;
}

void generation_result_fail(GenerationResult *result, GenerationOutcome outcome, int status, const char *type,
                            const char *code, const char *message) {
        result->outcome = outcome;
        result->status = status;
        replace_text(&result->type, type);
        replace_text(&result->code, code);
        replace_text(&result->message, message);
}

void generation_result_set_cause(GenerationResult *result, const char *format, ...) {
        va_list arguments;

        free(result->cause);
        va_start(arguments, format);
        if (vasprintf(&result->cause, format, arguments) < 0)
                result->cause = NULL;
        va_end(arguments);
}

void generation_result_fail_locally(GenerationResult *result, GenerationOutcome outcome, int error) {
        if (error == -ENOSPC || error == -EDQUOT)
                generation_result_fail(result, outcome, 503, "server_error", "storage_full",
                                       "The image cannot be stored: the disk is full. Try again later.");
        else if (error == -ENOMEM || error == -EAGAIN)
                generation_result_fail(result, outcome, 503, "server_error", "overloaded",
                                       "The server is short of memory. Try again later.");
        else
                generation_result_fail(result, outcome, 500, "server_error", "storage_error",
                                       "The image cannot be stored.");
        result->local = true;
        generation_result_set_cause(result, "storing the image: %s", strerror(-error));
}

void generation_result_done(GenerationResult *result) {
        for (unsigned i = 0; i < ELEMENTS(result->images); i++) {
                (void) temporary_image_free(result->images[i].file);
                free(result->images[i].revised_prompt);
        }
        (void) json_free(result->usage);
        (void) json_free(result->reply);
        free(result->provider_request_id);
        free(result->type);
        free(result->code);
        free(result->param);
        free(result->message);
        free(result->cause);
        *result = (GenerationResult) {};
}
