#include "manager.h"

#include <errno.h>
#include <malloc.h>

#include "alert-reporter.h"
#include "audit/audit.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "health.h"
#include "keys/client-keys.h"
#include "keys/image-links.h"
#include "methods.h"
#include "money/budget-wait.h"
#include "money/spending.h"
#include "queue/forbidden-terms.h"
#include "queue/queue.h"
#include "queue/uploads.h"
#include "reload.h"
#include "secrets/key-trial.h"
#include "state/adoption.h"
#include "state/snapshot.h"
#include "store/store-cache.h"
#include "store/store-schema.h"
#include "webhooks/webhooks.h"

#define STATE_DIRECTORY_DEFAULT "/var/lib/atelier"
#define DATABASE_NAME "atelier.db"
#define HELPER_THREADS 4               /* drawing, and one that syncs */
#define CONNECTIONS_PER_HOST_MAX 1024  /* what providers.concurrency allows; the dispatcher keeps to that */

static const char *const worker_fds_methods[] = { "io.atelier.Store.Receive", "io.atelier.Queue.Submit", NULL };

static const double commit_buckets[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 0 };

static const MetricFamily worker_metrics[] = {
        [METRIC_ACTIVE_GENERATIONS] = {
                .name = "genai_active_generations",
                .help = "Image generations in progress.",
                .type = METRIC_GAUGE,
        },
        [METRIC_ANSWERS_PAUSED] = {
                .name = "genai_answers_paused",
                .help = "Answers of providers that wait for others to end (worker.answers_bytes_max).",
                .type = METRIC_GAUGE,
        },
        [METRIC_JOBS_WAITING] = {
                .name = "genai_jobs_waiting",
                .help = "Jobs that wait to be dispatched.",
                .type = METRIC_GAUGE,
        },
        [METRIC_JOBS_TOTAL] = {
                .name = "genai_jobs_total",
                .help = "Jobs that have ended.",
                .type = METRIC_COUNTER,
                .labels = { "status" },
        },
        [METRIC_ATTEMPTS_TOTAL] = {
                .name = "genai_attempts_total",
                .help = "Calls to providers that have ended.",
                .type = METRIC_COUNTER,
                .labels = { "provider", "outcome" },
        },
        [METRIC_COMMIT_WRITES] = {
                .name = "genai_commit_writes",
                .help = "Writes that shared one commit.",
                .type = METRIC_HISTOGRAM,
                .buckets = commit_buckets,
        },
        [METRIC_COST_TOTAL] = {
                .name = "genai_api_cost_total_dollars",
                .help = "What images cost since the day of budgets began, by the ledger.",
                .type = METRIC_GAUGE,
                .labels = { "model" },
        },
        [METRIC_BUDGET_LIMIT] = {
                .name = "genai_budget_limit_dollars",
                .help = "Budgets of all spending; absent while there is no limit.",
                .type = METRIC_GAUGE,
                .labels = { "period" },
        },
        [METRIC_BUDGET_USED] = {
                .name = "genai_budget_used_dollars",
                .help = "What is spent, reserved or possibly charged in a budget's period.",
                .type = METRIC_GAUGE,
                .labels = { "period" },
        },
        [METRIC_BUDGET_DAY_END] = {
                .name = "genai_budget_day_end_timestamp_seconds",
                .help = "When the day of budgets is over, and what it cost starts again at zero.",
                .type = METRIC_GAUGE,
        },
        [METRIC_CIRCUIT_STATE] = {
                .name = "genai_circuit_breaker_state",
                .help = "Whether a model at its provider is tried: 0 closed (it is), 1 half-open (one attempt), "
                        "2 open (jobs wait).",
                .type = METRIC_GAUGE,
                .labels = { "provider", "model" },
        },
        [METRIC_CACHE_REQUESTS] = {
                .name = "genai_cache_requests_total",
                .help = "Accepted requests that the cache has to do with: hit, miss, or shared with one under way.",
                .type = METRIC_COUNTER,
                .labels = { "result" },
        },
        [METRIC_CACHE_ENTRIES] = {
                .name = "genai_cache_entries",
                .help = "Requests that the cache could answer.",
                .type = METRIC_GAUGE,
        },
        [METRIC_CACHE_BYTES] = {
                .name = "genai_cache_bytes",
                .help = "Size of the images that it would answer them with.",
                .type = METRIC_GAUGE,
        },
        [METRIC_OPTIMISED_TOTAL] = {
                .name = "genai_optimised_requests_total",
                .help = "Accepted requests that the optimiser made cheaper.",
                .type = METRIC_COUNTER,
                .labels = { "model" },
        },
        [METRIC_OPTIMISED_SAVED] = {
                .name = "genai_optimised_saved_dollars_total",
                .help = "By how much that lowered what they may cost at most.",
                .type = METRIC_COUNTER,
                .labels = { "model" },
        },
        [METRIC_PRICE_DRIFT_JOBS] = {
                .name = "genai_price_drift_jobs_total",
                .help = "Jobs that cost more than was reserved for them: the price in prices.conf is too low.",
                .type = METRIC_COUNTER,
                .labels = { "provider", "model" },
        },
        [METRIC_PRICE_DRIFT] = {
                .name = "genai_price_drift_dollars_total",
                .help = "By how much.",
                .type = METRIC_COUNTER,
                .labels = { "provider", "model" },
        },
        [METRIC_DEFECTS] = {
                .name = "genai_image_defects_total",
                .help = "What was wrong with replies that were charged, or may have been.",
                .type = METRIC_COUNTER,
                .labels = { "provider", "kind" },
        },
        [METRIC_WEBHOOKS_TOTAL] = {
                .name = "genai_webhook_attempts_total",
                .help = "Webhooks that were sent, by what came of it: delivered, failed (it is sent again), given_up.",
                .type = METRIC_COUNTER,
                .labels = { "endpoint", "outcome" },
        },
        [METRIC_WEBHOOKS_PENDING] = {
                .name = "genai_webhooks_pending",
                .help = "Webhooks that wait to be delivered.",
                .type = METRIC_GAUGE,
                .labels = { "endpoint" },
        },
        {},
};

/* ------------------------------------------------------------------ hooks */

static bool job_goes_on(const char *id, void *userdata) {
        return dispatcher_runs(userdata, id);
}

/* What runs is waited for. What waits is left to the next start, and who waits for it is sent there. */
static void worker_quiesce(void *userdata) {
        Manager *manager = userdata;

        snapshot_abandon(manager->snapshot);
        adoption_quiesce(manager->adoption);
        dispatcher_quiesce(manager->dispatcher);
        webhooks_quiesce(manager->webhooks);
        budget_wait_quiesce(manager->budget_wait);
        audit_quiesce(manager->audit);
        watchers_abandon(manager->watchers, job_goes_on, manager->dispatcher);
}

static bool worker_healthy(void *userdata) {
        Manager *manager = userdata;

        return !dispatcher_stalled(manager->dispatcher);
}

static unsigned count_open_circuits(Manager *manager) {
        unsigned count = 0;
        Gate *gate;

        for (size_t i = 0; (gate = gates_at(manager->gates, i)); i++)
                if (gate_circuit(gate)->state != CIRCUIT_CLOSED)
                        count++;
        return count;
}

static void worker_status(Buffer *text, void *userdata) {
        Manager *manager = userdata;

        (void) buffer_printf(text, "%zu running, %lld queued", dispatcher_running(manager->dispatcher),
                             (long long) dispatcher_waiting(manager->dispatcher));
        if (dispatcher_held(manager->dispatcher) > 0)
                (void) buffer_printf(text, ", %lld held (atelierctl jobs resume)",
                                     (long long) dispatcher_held(manager->dispatcher));
        if (budget_wait_count(manager->budget_wait) > 0)
                (void) buffer_printf(text, ", %lld waiting for the budget",
                                     (long long) budget_wait_count(manager->budget_wait));
        (void) spending_status(manager->spending, text);
        if (count_open_circuits(manager) > 0)
                (void) buffer_printf(text, ", %u circuit%s not closed", count_open_circuits(manager),
                                     count_open_circuits(manager) > 1 ? "s" : "");
        (void) buffer_printf(text, "%s%s%s", dispatcher_paused(manager->dispatcher) ? ", paused" : "",
                             manager->adoption ? ", restoring" : "",
                             commit_group_store(manager->group) ? "" : ", store unavailable");
}

static int add_fact(JsonValue *array, const char *name, const char *value) {
        _cleanup_(json_freep) JsonValue *fact = json_new_object();
        int r;

        r = json_add_string(fact, "name", name);
        if (r >= 0)
                r = json_add_string(fact, "value", value);
        return r < 0 ? r : json_append(array, TAKE_PTR(fact));
}

/* Why a model's jobs wait: its circuit is not closed, or its rate is used up. */
static int add_gates(JsonValue *array, Manager *manager) {
        usec_t now = time_now_monotonic();
        Gate *gate;
        int r = 0;

        for (size_t i = 0; r >= 0 && (gate = gates_at(manager->gates, i)); i++) {
                const CircuitBreaker *circuit = gate_circuit(gate);
                usec_t rate = rate_window_wait(gate_rate(gate), now);
                _cleanup_free_ char *name = NULL, *value = NULL;

                if (circuit->state == CIRCUIT_CLOSED && rate == 0)
                        continue;
                name = text_format("%s.%s.%s", circuit->state == CIRCUIT_CLOSED ? "rate" : "circuit",
                                   gate_provider(gate), gate_model(gate));
                if (circuit->state == CIRCUIT_CLOSED)
                        value = text_format("used up, one job is tried in %.0f s",
                                            (double) (rate - now) / (double) USEC_PER_SEC);
                else if (circuit->state == CIRCUIT_OPEN && circuit->open_until > now)
                        value = text_format("open, one job is tried in %.0f s",
                                            (double) (circuit->open_until - now) / (double) USEC_PER_SEC);
                else
                        value = text_format("%s, one job is tried", circuit_state_name(circuit->state));
                r = name && value ? add_fact(array, name, value) : -ENOMEM;
        }
        return r;
}

/* "ready", "ready, key 1 of 2 refused", "no good key, key 1 of 1 out of quota". NULL when memory is short. */
static char *describe_provider(const Provider *provider) {
        _cleanup_(buffer_done) Buffer keys = {};
        _cleanup_free_ char *text = NULL;

        if (!provider_has_key(provider))
                return strdup("no key");
        if (provider_describe_keys(provider, &keys) < 0)
                return NULL;
        if (keys.size == 0)
                return strdup("ready");
        text = buffer_take_text(&keys);
        return text ? text_format("%s, %s", provider_keys_all_aside(provider) ? "no good key" : "ready", text) : NULL;
}

static int worker_facts(JsonValue *array, void *userdata) {
        Manager *manager = userdata;
        ProviderSlot *slot;
        char number[32];
        int r;

        (void) snprintf(number, sizeof(number), "%zu", dispatcher_running(manager->dispatcher));
        r = add_fact(array, "running", number);
        (void) snprintf(number, sizeof(number), "%lld", (long long) dispatcher_waiting(manager->dispatcher));
        if (r >= 0)
                r = add_fact(array, "queued", number);
        (void) snprintf(number, sizeof(number), "%lld", (long long) dispatcher_held(manager->dispatcher));
        if (r >= 0)
                r = add_fact(array, "held", number);
        for (size_t i = 0; r >= 0 && (slot = provider_table_at(manager->providers, i)); i++) {
                _cleanup_free_ char *name = text_format("provider.%s", provider_name(slot->provider));
                _cleanup_free_ char *value = describe_provider(slot->provider);

                r = name && value ? add_fact(array, name, value) : -ENOMEM;
        }
        if (r >= 0)
                r = secrets_describe(manager->secrets, array);
        return r < 0 ? r : add_gates(array, manager);
}

static void measure_cache(Manager *manager) {
        Store *store = commit_group_store(manager->group);
        CacheTotal total;

        if (!store || store_cache_get_total(store, &total) != 0)
                return;
        metrics_set(manager->metrics, METRIC_CACHE_ENTRIES, NULL, (double) total.entries);
        metrics_set(manager->metrics, METRIC_CACHE_BYTES, NULL, (double) total.size_bytes);
}

static int worker_format_metrics(Buffer *text, void *userdata) {
        Manager *manager = userdata;

        metrics_set(manager->metrics, METRIC_JOBS_WAITING, NULL, (double) dispatcher_waiting(manager->dispatcher));
        metrics_set(manager->metrics, METRIC_ANSWERS_PAUSED, NULL, http_client_paused(manager->http));
        spending_measure(manager->spending, manager->metrics);
        measure_cache(manager);
        webhooks_measure(manager->webhooks);
        return metrics_format(manager->metrics, text);
}

static usec_t worker_idle_timeout(const Settings *settings) {
        return settings->worker.idle_timeout;
}

static usec_t worker_drain_timeout(const Settings *settings) {
        return settings->worker.drain_timeout;
}

const ServiceKind worker_service_kind = {
        .name = "worker",
        .summary = "keeps the queue, calls the providers, stores the images",
        .access = worker_access,
        .fds_methods = worker_fds_methods,
        .quiesce = worker_quiesce,
        .healthy = worker_healthy,
        .status = worker_status,
        .facts = worker_facts,
        .metrics = worker_format_metrics,
        .reload = reload_settings,
        .idle_timeout = worker_idle_timeout,
        .drain_timeout = worker_drain_timeout,
};

/* ------------------------------------------------------------------ the store's failures */

static void on_store_failed(int error, void *userdata) {
        Manager *manager = userdata;

        (void) log_error_errno(error, "a commit failed; the store is closed and opened again");
        dispatcher_hold_back(manager->dispatcher);
}

static void on_store_reopened(void *userdata) {
        Manager *manager = userdata;

        log_notice("the store is open again");
        manager->state_generation++;
        dispatcher_resume(manager->dispatcher);
        budget_wait_recount(manager->budget_wait);
}

static void on_committed(size_t writes, void *userdata) {
        Manager *manager = userdata;

        metrics_observe(manager->metrics, METRIC_COMMIT_WRITES, NULL, (double) writes);
        snapshot_on_committed(manager->snapshot);
        webhooks_look(manager->webhooks);
        audit_on_committed(manager->audit);
        uploads_on_committed(manager->uploads);
}

/* ------------------------------------------------------------------ building */

static const char *state_directory(void) {
        return getenv("STATE_DIRECTORY") ?: STATE_DIRECTORY_DEFAULT;
}

static int open_state(Manager *manager, int *ret_fd) {
        const char *path = state_directory();
        int r;

        r = state_folder_open(&manager->state, path);
        if (r >= 0)
                r = *ret_fd = state_folder_open_current(manager->state);
        return r < 0 ? log_error_errno(r, "the state in %s can't be opened", path) : 0;
}

static int open_store(Manager *manager) {
        static const CommitGroupHooks hooks = {
                .committed = on_committed,
                .failed = on_store_failed,
                .reopened = on_store_reopened,
        };
        _cleanup_free_ char *path = text_format("%s/" DATABASE_NAME, state_folder_current(manager->state));
        int r;

        if (!path)
                return -ENOMEM;
        r = commit_group_new(&manager->group, service_event(manager->service), path, &hooks, manager);
        if (r == -EPROTONOSUPPORT)
                return log_error_errno(r, "%s was made by a newer version of Atelier; this one knows its layout up to "
                                       "version %d", path, store_version);
        if (r == -EUCLEAN)
                return log_error_errno(r, "%s is damaged, or not a database of Atelier", path);
        if (r < 0)
                return log_error_errno(r, "the database %s can't be opened", path);
        return 0;
}

static int open_metrics(Manager *manager) {
        const char *folder = getenv("RUNTIME_DIRECTORY");
        _cleanup_free_ char *path = folder ? text_format("%s/metrics", folder) : NULL;
        int r;

        r = metrics_new(&manager->metrics, worker_metrics, path);
        if (r < 0)
                return log_error_errno(r, "the metrics can't be kept in %s", path ?: "memory");
        metrics_set(manager->metrics, METRIC_ACTIVE_GENERATIONS, NULL, 0);
        return 0;
}

static int open_providers(Manager *manager) {
        _cleanup_(buffer_done) Buffer errors = {};
        int r;

        r = price_book_new(&manager->prices, service_settings(manager->service));
        if (r < 0)
                return log_error_errno(r, "the prices can't be taken");
        r = forbidden_terms_new(&manager->forbidden, service_settings(manager->service), &errors);
        if (r < 0)
                return log_error_errno(r, "the forbidden terms can't be taken: %.*s", (int) errors.size,
                                       errors.data ? (char *) errors.data : "");
        r = reload_new_providers(manager, service_settings(manager->service), &errors, &manager->providers);
        if (r < 0)
                return log_error_errno(r, "the providers can't be set up: %.*s", (int) errors.size,
                                       errors.data ? (char *) errors.data : "");
        r = gates_new(&manager->gates, manager->metrics, METRIC_CIRCUIT_STATE);
        if (r >= 0)
                r = gates_configure(manager->gates, service_settings(manager->service));
        return r < 0 ? log_error_errno(r, "the providers can't be set up") : 0;
}

/* Whose jobs may be seen must not depend on a key that has gone missing: what was once paid for stays private. */
int manager_look_for_paid_history(Manager *manager) {
        ProviderSlot *slot;

        for (size_t i = 0; (slot = provider_table_at(manager->providers, i)); i++) {
                bool found = provider_has_key(slot->provider);
                int r = 0;

                if (!provider_is_paid(slot->provider))
                        continue;
                if (!found)
                        r = store_has_attempts(commit_group_store(manager->group), provider_name(slot->provider), &found);
                if (r < 0)
                        return log_error_errno(r, "the job store can't be read");
                manager->paid_history |= found;
        }
        return 0;
}

static int build(Manager *manager) {
        sd_event *event = service_event(manager->service);
        _cleanup_close_ int state_fd = -1;
        int r;

        r = open_state(manager, &state_fd);
        if (r < 0)
                return r;
        r = open_metrics(manager);
        if (r < 0)
                return r;
        r = thread_pool_new(&manager->threads, event, "helpers", HELPER_THREADS);
        if (r >= 0)
                r = http_client_new(&manager->http, event, CONNECTIONS_PER_HOST_MAX);
        if (r >= 0)
                http_client_set_answers_max(manager->http,
                                            service_settings(manager->service)->worker.answers_bytes_max);
        if (r >= 0)
                r = image_store_new(&manager->images, state_fd);
        if (r >= 0)
                r = keep_group_new(&manager->keeps, event, manager->threads, manager->images);
        if (r < 0)
                return log_error_errno(r, "the worker can't be set up");
        r = reload_open_secrets(manager);
        if (r < 0)
                return log_error_errno(r, "the secrets can't be set up");
        r = open_providers(manager);
        if (r >= 0)
                r = open_store(manager);
        if (r >= 0)
                r = client_keys_new(&manager->client_keys, manager, state_directory());
        if (r >= 0)
                r = image_links_new(&manager->image_links, state_directory());
        return r < 0 ? r : manager_look_for_paid_history(manager);
}

static int open_webhooks(Manager *manager) {
        _cleanup_(buffer_done) Buffer errors = {};
        int r;

        r = webhooks_new(&manager->webhooks, manager, &errors);
        if (r < 0 && errors.size > 0)
                return log_error_errno(r, "the webhooks can't be set up: %.*s", (int) errors.size, (char *) errors.data);
        return r;
}

int manager_new(Manager **ret, Service *service) {
        _cleanup_(manager_freep) Manager *manager = NULL;
        int r;

        /* Threads allocate little: two arenas do, and memory goes back to the kernel after a burst. */
        (void) mallopt(M_ARENA_MAX, 2);
        (void) mallopt(M_TRIM_THRESHOLD, 256 * 1024);

        manager = calloc(1, sizeof(*manager));
        if (!manager)
                return -ENOMEM;
        manager->service = service;

        r = build(manager);
        if (r < 0)
                return r;
        r = alert_reporter_new(&manager->alerts, manager);
        if (r >= 0)
                r = spending_new(&manager->spending, manager);
        if (r >= 0)
                r = budget_wait_new(&manager->budget_wait, manager);
        if (r >= 0)
                r = watchers_new(&manager->watchers, manager->images, manager->image_links);
        if (r >= 0)
                r = queue_new(&manager->queue, manager);
        if (r >= 0)
                r = uploads_new(&manager->uploads, manager);
        if (r >= 0)
                r = health_new(&manager->health, manager);
        if (r >= 0)
                r = dispatcher_new(&manager->dispatcher, manager);
        if (r >= 0)
                r = open_webhooks(manager);
        if (r >= 0)
                r = audit_new(&manager->audit, manager);
        if (r >= 0)
                r = worker_methods_add(service_varlink(service), manager);
        if (r >= 0)
                r = dispatcher_recover(manager->dispatcher);
        if (r < 0)
                return log_error_errno(r, "the worker can't be set up");
        budget_wait_recount(manager->budget_wait);
        budget_wait_look(manager->budget_wait);

        *ret = TAKE_PTR(manager);
        return 0;
}

/* What is still under way is abandoned: its job stays in progress, as after a crash, and the next start settles it. Helper
 * threads end first, since they work on what the others own; then the group commits what is open while its writers
 * still stand. */
Manager *manager_free(Manager *manager) {
        if (!manager)
                return NULL;

        if (manager->dispatcher)
                dispatcher_abandon(manager->dispatcher);
        manager->threads = thread_pool_free(manager->threads);
        manager->snapshot = snapshot_free(manager->snapshot);
        manager->adoption = adoption_free(manager->adoption);
        manager->keeps = keep_group_free(manager->keeps);
        audit_close(manager->audit);
        manager->group = commit_group_free(manager->group);
        manager->audit = audit_free(manager->audit);
        manager->webhooks = webhooks_free(manager->webhooks);
        manager->uploads = uploads_free(manager->uploads);
        manager->dispatcher = dispatcher_free(manager->dispatcher);
        manager->gates = gates_free(manager->gates);
        manager->health = health_free(manager->health);
        manager->queue = queue_free(manager->queue);
        manager->client_keys = client_keys_free(manager->client_keys);
        manager->watchers = watchers_free(manager->watchers);
        manager->image_links = image_links_free(manager->image_links);
        manager->budget_wait = budget_wait_free(manager->budget_wait);
        manager->spending = spending_free(manager->spending);
        manager->alerts = alert_reporter_free(manager->alerts);
        (void) price_book_free(manager->prices);
        manager->forbidden = forbidden_terms_free(manager->forbidden);
        manager->key_trial = key_trial_free(manager->key_trial);
        manager->providers = provider_table_unref(manager->providers);
        manager->secrets = secrets_free(manager->secrets);
        manager->http = http_client_free(manager->http);
        manager->images = image_store_free(manager->images);
        manager->metrics = metrics_free(manager->metrics);
        manager->state = state_folder_free(manager->state);
        free(manager);
        return NULL;
}
