/* The api owns nothing: it turns HTTP requests into calls to the worker and replies into answers. What it holds are
 * connections on both sides, requests under way, and counters.
 *
 * It stays while a client is connected and exits soon after the last one has gone. When it crashes, connections are
 * lost and jobs are not: they belong to the worker. */
#include "manager.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "admission.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "http-server.h"
#include "tls-certificate.h"
#include "worker-sampler.h"

#define GROUP_MEMBERS "atelier"

#define FDS_OTHER 1024 /* files of answers, the loop, Varlink */

#define SOCKET_TLS "https"

static const char *const sockets[] = { "http", "http-unix", SOCKET_TLS, NULL };

enum {
        FAMILY_REQUESTS,
        FAMILY_DURATION,
        FAMILY_CONNECTIONS,
        FAMILY_WORKER_CALLS,
        FAMILY_CERTIFICATE,
};

/* From a cached answer to the slowest of pictures. */
static const double duration_buckets[] = { 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 0 };

static const MetricFamily families[] = {
        [FAMILY_REQUESTS] = {
                "genai_api_requests_total", "HTTP requests by the route's template and the status answered.",
                METRIC_COUNTER, { "endpoint", "status" }, NULL,
        },
        [FAMILY_DURATION] = {
                "genai_api_request_duration_seconds", "From a request's first line to the beginning of its answer.",
                METRIC_HISTOGRAM, { "endpoint" }, duration_buckets,
        },
        [FAMILY_CONNECTIONS] = {
                "genai_api_connections", "HTTP connections that are open.", METRIC_GAUGE, {}, NULL,
        },
        [FAMILY_WORKER_CALLS] = {
                "genai_api_worker_calls", "Calls to the worker that run or wait.", METRIC_GAUGE, {}, NULL,
        },
        [FAMILY_CERTIFICATE] = {
                "genai_api_certificate_expiry_timestamp_seconds",
                "When the certificate of the TLS socket expires; 0: there is none.", METRIC_GAUGE, {}, NULL,
        },
        {},
};

struct ApiManager {
        Service *service;
        HttpServer *http;
        WorkerClient *worker;
        Metrics *metrics;
        WorkerMetrics *worker_metrics;
        WorkerSampler *sampler;
        UploadMeter uploads;
        GuessLimit *guesses;
};

const ApiSettings *api_manager_settings(const ApiManager *manager) {
        return &service_settings(manager->service)->api;
}

sd_event *api_manager_event(const ApiManager *manager) {
        return service_event(manager->service);
}

WorkerClient *api_manager_worker(const ApiManager *manager) {
        return manager->worker;
}

bool api_manager_requires_keys(const ApiManager *manager) {
        return service_settings(manager->service)->common.require_key == REQUIRE_KEY_ALWAYS;
}

GuessLimit *api_manager_guesses(const ApiManager *manager) {
        return manager->guesses;
}

UploadMeter *api_manager_uploads(ApiManager *manager) {
        return &manager->uploads;
}

WorkerMetrics *api_manager_worker_metrics(const ApiManager *manager) {
        return manager->worker_metrics;
}

void api_manager_worker_worked(ApiManager *manager) {
        worker_sampler_touch(manager->sampler);
}

int api_manager_format_metrics(ApiManager *manager, Buffer *buffer) {
        const TlsCertificate *certificate = tls_certificate_in_use();

        metrics_set(manager->metrics, FAMILY_CONNECTIONS, NULL, (double) http_server_connections(manager->http));
        metrics_set(manager->metrics, FAMILY_WORKER_CALLS, NULL, (double) worker_client_calls(manager->worker));
        metrics_set(manager->metrics, FAMILY_CERTIFICATE, NULL,
                    certificate ? (double) (tls_certificate_expires_at(certificate) / USEC_PER_SEC) : 0);
        return metrics_format(manager->metrics, buffer);
}

char *api_manager_link_base(const ApiManager *manager, const HttpRequest *request) {
        const char *public_url = api_manager_settings(manager)->public_url;
        const char *host = http_request_header(request, MHD_HTTP_HEADER_HOST);
        size_t length;

        if (!public_url)
                return text_format("%s://%s", http_request_client(request)->https ? "https" : "http", host ?: "localhost");

        length = strlen(public_url);
        while (length > 0 && public_url[length - 1] == '/')
                length--;
        return strndup(public_url, length);
}

/* HTTP */

static void on_begin(HttpRequest *request, void *userdata) {
        admission_check(userdata, request);
}

static void on_handle(HttpRequest *request, void *userdata) {
        http_request_match(request)->route->handler(userdata, request);
}

static void on_answered(HttpRequest *request, void *userdata) {
        unsigned number = http_reply_status(http_request_reply(request));
        usec_t duration = time_now_monotonic() - http_request_started_at(request);
        const char *endpoint = http_request_match(request)->template;
        ApiManager *manager = userdata;
        char status[12];

        (void) snprintf(status, sizeof(status), "%u", number);
        metrics_add(manager->metrics, FAMILY_REQUESTS, METRIC_VALUES(endpoint, status), 1);
        metrics_observe(manager->metrics, FAMILY_DURATION, METRIC_VALUES(endpoint),
                        (double) duration / (double) USEC_PER_SEC);
        (void) log_record(LOG_DEBUG, 0, LOG_FIELDS({ "ATELIER_REQUEST", http_request_id(request) }),
                          "%s %s: %u after %llu us", http_request_method(request), endpoint, number,
                          (unsigned long long) duration);
}

static void on_busy(bool busy, void *userdata) {
        ApiManager *manager = userdata;

        if (busy)
                service_hold(manager->service);
        else
                service_release(manager->service);
}

static const HttpHandlers http_handlers = {
        .begin = on_begin,
        .handle = on_handle,
        .answered = on_answered,
        .busy = on_busy,
};

static int listen_all(ApiManager *manager) {
        for (const char *const *name = sockets; *name; name++) {
                const int *fds;
                size_t n = service_sockets(manager->service, *name, &fds);

                for (size_t i = 0; i < n; i++) {
                        int r = http_server_listen(manager->http, fds[i], text_equal(*name, SOCKET_TLS));

                        if (r < 0)
                                return log_error_errno(r, "the socket '%s' can't be served", *name);
                }
        }
        return 0;
}

/* As many connections as are configured for each listening socket, and as LimitNOFILE= has room for. */
static unsigned connections_max(const ApiManager *manager) {
        const ApiSettings *settings = api_manager_settings(manager);
        int64_t wanted = settings->connections_max, room;
        struct rlimit limit;
        size_t n = 0;

        for (const char *const *name = sockets; *name; name++)
                n += service_sockets(manager->service, *name, &(const int *){ NULL });
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
                return (unsigned) wanted;

        room = ((int64_t) limit.rlim_cur - settings->worker_connections_max - FDS_OTHER) /
               (int64_t) MAX(n, (size_t) 1);
        if (room < wanted)
                log_debug("LimitNOFILE= has room for only %lld of %lld connections to each socket",
                            (long long) MAX(room, (int64_t) 1), (long long) wanted);
        return room < wanted ? (unsigned) MAX(room, (int64_t) 1) : (unsigned) wanted;
}

/* Only where its socket is listened on: without, there need not be a certificate. */
static int read_certificate(Service *service, const ApiSettings *settings, Buffer *errors, TlsCertificate **ret) {
        const int *fds;

        *ret = NULL;
        if (service_sockets(service, SOCKET_TLS, &fds) == 0)
                return 0;
        return tls_certificate_load(ret, settings->tls_certificate, settings->tls_key, errors);
}

static void use_certificate(TlsCertificate *certificate) {
        if (!certificate)
                return;
        log_record(tls_certificate_expires_soon(certificate) ? LOG_WARNING : LOG_INFO, 0, NULL,
                   "clients of the TLS socket are shown %s", tls_certificate_description(certificate));
        tls_certificate_use(certificate);
}

static int add_certificate(ApiManager *manager) {
        _cleanup_(buffer_done) Buffer errors = {};
        TlsCertificate *certificate;
        int r;

        r = read_certificate(manager->service, api_manager_settings(manager), &errors, &certificate);
        if (r < 0)
                return log_record(LOG_ERR, r, NULL, "the certificate can't be taken: %.*s", (int) errors.size,
                                  (char *) errors.data);
        use_certificate(certificate);
        return 0;
}

static ClientRules client_rules(void) {
        static const char *const daemons[] = {
                "atelier-api", "atelier-worker", "atelier-scheduler", "atelier-alerter", "atelier-alert",
        };
        const struct group *group = getgrnam(GROUP_MEMBERS);
        ClientRules rules = { .group = group ? group->gr_gid : CLIENT_GROUP_NONE };

        for (size_t i = 0; i < ELEMENTS(daemons); i++) {
                const struct passwd *user = getpwnam(daemons[i]);

                if (user)
                        rules.daemons[rules.n_daemons++] = user->pw_uid;
        }
        return rules;
}

static int add_http(ApiManager *manager) {
        const ApiSettings *settings = api_manager_settings(manager);
        const HttpLimits limits = {
                .connections_max = connections_max(manager),
                .connection_timeout = settings->connection_timeout,
                .clients = client_rules(),
        };
        int r;

        r = http_server_new(&manager->http, service_event(manager->service), &http_handlers, &limits, manager);
        return r < 0 ? log_error_errno(r, "the HTTP server can't be set up") : listen_all(manager);
}

static int add_worker(ApiManager *manager) {
        _cleanup_free_ char *path = service_peer_path(manager->service, "Worker");
        int r;

        if (!path)
                return log_error_errno(-ENOMEM, "the worker's client can't be set up");
        r = worker_client_new(&manager->worker, service_event(manager->service), path,
                              (size_t) api_manager_settings(manager)->worker_connections_max);
        if (r >= 0)
                r = worker_sampler_new(&manager->sampler, service_event(manager->service), manager->worker,
                                       manager->worker_metrics);
        return r < 0 ? log_error_errno(r, "the worker's client can't be set up") : 0;
}

/* The first of the unit's runtime folders. */
static int runtime_folder(char **ret) {
        const char *folders = getenv("RUNTIME_DIRECTORY");

        if (text_empty(folders))
                return -ENOENT;
        *ret = strndup(folders, strcspn(folders, ":"));
        return *ret ? 0 : -ENOMEM;
}

static int keep_metrics_in(ApiManager *manager, const char *folder) {
        _cleanup_free_ char *path = text_format("%s/metrics", folder);
        int r;

        if (!path)
                return -ENOMEM;
        r = metrics_new(&manager->metrics, families, path);
        return r < 0 ? r : worker_metrics_new(&manager->worker_metrics, folder);
}

/* Counters that can't be kept are no reason not to serve. */
static int add_metrics(ApiManager *manager) {
        _cleanup_free_ char *folder = NULL;
        int r;

        r = runtime_folder(&folder);
        if (r >= 0)
                r = keep_metrics_in(manager, folder);
        if (r < 0 && r != -ENOENT)
                (void) log_warning_errno(r, "metrics can't be kept in %s and begin anew",
                                         folder ?: "RUNTIME_DIRECTORY");

        r = 0;
        if (!manager->metrics)
                r = metrics_new(&manager->metrics, families, NULL);
        if (r >= 0 && !manager->worker_metrics)
                r = worker_metrics_new(&manager->worker_metrics, NULL);
        return r < 0 ? log_error_errno(r, "metrics can't be set up") : 0;
}

int api_manager_new(ApiManager **ret, Service *service) {
        _cleanup_(api_manager_freep) ApiManager *manager = NULL;
        int r;

        manager = calloc(1, sizeof(*manager));
        if (!manager)
                return log_error_errno(-ENOMEM, "the manager can't be set up");
        manager->service = service;

        r = guess_limit_new(&manager->guesses);
        if (r < 0)
                return log_error_errno(r, "the manager can't be set up");
        r = add_metrics(manager);
        if (r >= 0)
                r = add_worker(manager);
        if (r >= 0)
                r = add_certificate(manager);
        if (r >= 0)
                r = add_http(manager);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(manager);
        return 0;
}

ApiManager *api_manager_free(ApiManager *manager) {
        if (!manager)
                return NULL;

        (void) http_server_free(manager->http);
        (void) guess_limit_free(manager->guesses);
        tls_certificate_use(NULL);
        (void) worker_sampler_free(manager->sampler);
        (void) worker_client_free(manager->worker);
        (void) worker_metrics_free(manager->worker_metrics);
        (void) metrics_free(manager->metrics);
        free(manager);
        return NULL;
}

/* The service */

static void quiesce(void *userdata) {
        http_server_quiesce(((ApiManager *) userdata)->http);
}

static void status(Buffer *text, void *userdata) {
        ApiManager *manager = userdata;

        (void) buffer_printf(text, "%zu connections, %zu calls to the worker", http_server_connections(manager->http),
                             worker_client_calls(manager->worker));
}

static int format_metrics(Buffer *text, void *userdata) {
        return api_manager_format_metrics(userdata, text);
}

static int reload(const Settings *settings, Buffer *errors, void *userdata) {
        ApiManager *manager = userdata;
        TlsCertificate *certificate;
        int r;

        r = read_certificate(manager->service, &settings->api, errors, &certificate);
        if (r >= 0)
                use_certificate(certificate);
        return r;
}

static usec_t idle_timeout(const Settings *settings) {
        return settings->api.idle_timeout;
}

static usec_t drain_timeout(const Settings *settings) {
        return settings->api.drain_timeout;
}

const ServiceKind api_service = {
        .name = "api",
        .summary = "HTTP in, Varlink out",
        .sockets = sockets,
        .access = api_access,
        .quiesce = quiesce,
        .status = status,
        .metrics = format_metrics,
        .reload = reload,
        .idle_timeout = idle_timeout,
        .drain_timeout = drain_timeout,
};
