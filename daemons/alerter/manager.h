/* The alerter's one state struct: what its parts share. */
#pragma once

#include "alert-store.h"
#include "io/http-client.h"
#include "io/metrics.h"
#include "io/service.h"
#include "io/varlink-messenger.h"
#include "outbox.h"
#include "receivers.h"

#define RECEIVER_TESTS_MAX 8   /* at a time */

typedef struct ReceiverTest ReceiverTest;

enum {
        METRIC_ALERTS_FIRED,
        METRIC_NOTIFICATIONS,
        METRIC_NOTIFICATIONS_PENDING,
};

typedef struct AlerterManager {
        Service *service;
        HttpClient *http;
        Receivers *receivers;
        AlertStore *store;
        Outbox *outbox;
        Metrics *metrics;
        VarlinkMessenger *messenger;
        ReceiverTest *tests[RECEIVER_TESTS_MAX];   /* NULL: free */
} AlerterManager;

extern const ServiceKind alerter_service_kind;
extern const AccessRule alerter_access[];  /* alerter-access.c */

int alerter_manager_new(AlerterManager **ret, Service *service);
AlerterManager *alerter_manager_free(AlerterManager *manager);
DEFINE_CLEANUP(AlerterManager *, alerter_manager_free);
