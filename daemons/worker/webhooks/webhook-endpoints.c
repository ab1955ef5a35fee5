#include "webhooks/webhook-endpoints.h"

#include <errno.h>
#include <string.h>

#include "base/secret-pages.h"
#include "base/text.h"

static int add_key(WebhookEndpoint *endpoint, const Secrets *secrets, const char *reference, Buffer *errors) {
        _cleanup_(secret_freep) char *secret = NULL;
        WebhookKeys *keys = endpoint->keys;
        ssize_t size;
        int r;

        r = secrets_resolve(secrets, reference, &secret);
        if (r == -ENOENT || r == -EAGAIN) {
                endpoint->problem = "a secret is missing";
                return 0;
        }
        if (r < 0) {
                (void) buffer_printf(errors, "webhooks.%s.secrets: %s can't be read: %s\n", endpoint->name, reference,
                                     strerror(-r));
                return r == -ENOMEM ? r : -EBADMSG;
        }
        size = webhook_secret_parse(secret, keys->bytes[keys->count]);
        if (size < 0) {
                (void) buffer_printf(errors, "webhooks.%s.secrets: %s is no secret; expected the base64 of 24 to 64 bytes "
                                             "behind whsec_, as of: echo whsec_$(openssl rand -base64 32)\n",
                                     endpoint->name, reference);
                return -EBADMSG;
        }
        keys->sizes[keys->count++] = (size_t) size;
        return 0;
}

int webhook_endpoint_init(WebhookEndpoint *endpoint, const Secrets *secrets, const WebhookConf *conf, Buffer *errors) {
        void *pages;
        int r;

        *endpoint = (WebhookEndpoint) {
                .name = strdup(conf->name),
                .url = strdup(conf->url),
                .timeout = conf->timeout,
        };
        if (!endpoint->name || !endpoint->url)
                return -ENOMEM;
        r = secret_pages_new(&pages, sizeof(*endpoint->keys));
        if (r < 0)
                return r;
        endpoint->keys = pages;
        for (char **reference = conf->secrets; *reference && r >= 0; reference++)
                r = add_key(endpoint, secrets, *reference, errors);
        return r;
}

void webhook_endpoint_done(WebhookEndpoint *endpoint) {
        (void) secret_pages_free(endpoint->keys, sizeof(*endpoint->keys));
        free(endpoint->url);
        free(endpoint->name);
        *endpoint = (WebhookEndpoint) {};
}

char *webhook_endpoint_sign(const WebhookEndpoint *endpoint, const char *id, int64_t timestamp, const char *body) {
        _cleanup_(buffer_done) Buffer text = {};
        int r = 0;

        for (size_t i = 0; i < endpoint->keys->count && r >= 0; i++) {
                char signature[WEBHOOK_SIGNATURE_MAX];

                r = webhook_sign(endpoint->keys->bytes[i], endpoint->keys->sizes[i], id, timestamp, body, signature);
                if (r >= 0)
                        r = buffer_printf(&text, "%s%s", i > 0 ? " " : "", signature);
        }
        return r < 0 ? NULL : buffer_take_text(&text);
}
