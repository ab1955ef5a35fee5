/* Who is told of the end of jobs, as the configuration has it, with their secrets. */
#pragma once

#include "base/buffer.h"
#include "conf/settings.h"
#include "secrets/secrets.h"
#include "webhooks/webhook-signature.h"

typedef struct WebhookKeys {
        uint8_t bytes[WEBHOOK_SECRETS_MAX][WEBHOOK_SECRET_BYTES_MAX];
        size_t sizes[WEBHOOK_SECRETS_MAX];
        size_t count;
} WebhookKeys;

typedef struct WebhookEndpoint {
        char *name, *url;
        usec_t timeout;
        WebhookKeys *keys;           /* in pages of their own */
        const char *problem;         /* static text: why nothing can be sent; NULL: it can */
} WebhookEndpoint;

/* A secret that is not there is a problem of the endpoint, and what it holds is an error: said in `errors`, -EBADMSG. */
int webhook_endpoint_init(WebhookEndpoint *endpoint, const Secrets *secrets, const WebhookConf *conf, Buffer *errors);
void webhook_endpoint_done(WebhookEndpoint *endpoint);

/* The value of webhook-signature: one signature for each secret. NULL when memory is short. */
char *webhook_endpoint_sign(const WebhookEndpoint *endpoint, const char *id, int64_t timestamp, const char *body);
