/* Webhooks of jobs: who is to be told of a job's end, and how far that has come.
 *
 * A row is there from the job's submission on, and becomes due in the transaction in which the job ends: no end without its
 * webhook, and no webhook without the end. It goes with its job. */
#pragma once

#include "store/store.h"

/* The numbers stand in the database. */
typedef enum WebhookState {
        WEBHOOK_AWAITS_END = 0,
        WEBHOOK_PENDING = 1,
        WEBHOOK_DELIVERED = 2,
        WEBHOOK_GIVEN_UP = 3,
} WebhookState;

typedef struct WebhookDelivery {
        int64_t number;
        char job[JOB_ID_MAX];
        int64_t attempts;
        usec_t due;                  /* realtime */
} WebhookDelivery;

/* The pending one of the endpoint that comes next behind (due, number), by these two. STORE_NOT_FOUND. */
int store_webhook_next(Store *store, const char *endpoint, usec_t due, int64_t number, WebhookDelivery *ret);

/* An attempt has been made: what becomes of the delivery. `cause` may be NULL. STORE_NOT_FOUND: it went with its job. */
int store_webhook_tried(Store *store, int64_t number, WebhookState state, usec_t due, const char *cause);

/* Deliveries of the endpoint in that state. */
int store_webhook_count(Store *store, const char *endpoint, WebhookState state, int64_t *ret);

/* Why the last attempt of the endpoint failed that is not delivered yet; *ret NULL: there is none. */
int store_webhook_last_cause(Store *store, const char *endpoint, char **ret);

/* What was given up is due again: of the endpoint, or of all (NULL). Returns how many. */
int store_webhook_retry(Store *store, const char *endpoint, usec_t now, int64_t *ret);
