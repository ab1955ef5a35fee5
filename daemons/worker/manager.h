/* The worker's one state struct: what its parts share. */
#pragma once

#include "dispatch/gates.h"
#include "images/image-store.h"
#include "images/keep-group.h"
#include "io/http-client.h"
#include "io/metrics.h"
#include "io/service.h"
#include "io/thread-pool.h"
#include "money/price-book.h"
#include "providers/provider-table.h"
#include "queue/watchers.h"
#include "state/state-folder.h"
#include "store/commit-group.h"

typedef struct Audit Audit;
typedef struct Dispatcher Dispatcher;
typedef struct ForbiddenTerms ForbiddenTerms;
typedef struct Queue Queue;
typedef struct Secrets Secrets;
typedef struct KeyTrial KeyTrial;
typedef struct Uploads Uploads;
typedef struct Health Health;
typedef struct Spending Spending;
typedef struct AlertReporter AlertReporter;
typedef struct Snapshot Snapshot;
typedef struct Adoption Adoption;
typedef struct ClientKeys ClientKeys;
typedef struct ImageLinks ImageLinks;
typedef struct Webhooks Webhooks;
typedef struct BudgetWait BudgetWait;

typedef struct Manager {
        Service *service;
        StateFolder *state;
        ThreadPool *threads;
        HttpClient *http;
        ImageStore *images;
        Secrets *secrets;
        KeyTrial *key_trial;       /* NULL: none under way */
        ProviderTable *providers;
        Gates *gates;
        PriceBook *prices;
        ForbiddenTerms *forbidden;
        CommitGroup *group;
        KeepGroup *keeps;
        Spending *spending;
        AlertReporter *alerts;
        Watchers *watchers;
        Dispatcher *dispatcher;
        Queue *queue;
        Uploads *uploads;
        ClientKeys *client_keys;
        ImageLinks *image_links;
        Webhooks *webhooks;
        BudgetWait *budget_wait;
        Health *health;
        Audit *audit;
        Snapshot *snapshot;        /* NULL: none under way */
        Adoption *adoption;        /* the same */
        Metrics *metrics;
        uint64_t state_generation; /* another one since the store was opened anew, or another state put in its place */
        bool paid_history;         /* jobs of a provider that costs money are stored, or can be: not for everybody */
} Manager;

extern const ServiceKind worker_service_kind;
extern const AccessRule worker_access[];  /* worker-access.c */

int manager_new(Manager **ret, Service *service);
Manager *manager_free(Manager *manager);
DEFINE_CLEANUP(Manager *, manager_free);

/* Looks whether a provider that costs money has ever been asked, in the state in use. */
int manager_look_for_paid_history(Manager *manager);

/* Indexes of the worker's metric families. */
enum {
        METRIC_ACTIVE_GENERATIONS,
        METRIC_ANSWERS_PAUSED,
        METRIC_JOBS_WAITING,
        METRIC_JOBS_TOTAL,
        METRIC_ATTEMPTS_TOTAL,
        METRIC_COMMIT_WRITES,
        METRIC_COST_TOTAL,
        METRIC_BUDGET_LIMIT,
        METRIC_BUDGET_USED,
        METRIC_BUDGET_DAY_END,
        METRIC_CIRCUIT_STATE,
        METRIC_CACHE_REQUESTS,
        METRIC_CACHE_ENTRIES,
        METRIC_CACHE_BYTES,
        METRIC_OPTIMISED_TOTAL,
        METRIC_OPTIMISED_SAVED,
        METRIC_PRICE_DRIFT_JOBS,
        METRIC_PRICE_DRIFT,
        METRIC_DEFECTS,
        METRIC_WEBHOOKS_TOTAL,
        METRIC_WEBHOOKS_PENDING,
};
