/* /health: is everything there (the guide's shape), do we live, is the worker ready. */
#include <errno.h>
#include <string.h>

#include "exchange.h"
#include "monitor-key.h"

#define HEALTH_DEADLINE_USEC (10 * USEC_PER_SEC)
#define READY_DEADLINE_USEC (5 * USEC_PER_SEC)

static int add_check(JsonValue *checks, const char *name, bool ok, int64_t latency_usec, const char *message) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        r = json_add_string(object, "status", ok ? "ok" : "error");
        if (r >= 0 && latency_usec >= 0)
                r = json_add(object, "latency_ms", cJSON_CreateNumber((double) latency_usec / USEC_PER_MSEC));
        if (r >= 0 && !ok)
                r = json_add_string(object, "error", message ?: "failed");
        return r < 0 ? r : json_add(checks, name, TAKE_PTR(object));
}

/* Takes checks over. */
static int answer_checks(JsonValue *checks, bool healthy, HttpReply **ret) {
        _cleanup_(json_freep) JsonValue *health = json_new_object(), *owned = checks;
        double now = (double) (time_now_realtime() / USEC_PER_MSEC) / 1000; /* seconds, to the millisecond */
        int r;

        r = json_add_string(health, "status", healthy ? "healthy" : "degraded");
        if (r >= 0)
                r = json_add(health, "timestamp", cJSON_CreateNumber(now));
        if (r >= 0)
                r = json_add(health, "checks", TAKE_PTR(owned));
        return r < 0 ? r : http_reply_new_json(ret, healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, health);
}

static int answer_health(_unused_ ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                         HttpReply **ret) {
        const JsonValue *list = json_get_array(reply->parameters, "checks");
        _cleanup_(json_freep) JsonValue *checks = json_new_object();
        bool healthy = true;
        int r = 0;

        for (const JsonValue *check = list ? list->child : NULL; check && r >= 0; check = check->next) {
                bool ok = json_get_bool(check, "ok", false);

                healthy = healthy && ok;
                r = add_check(checks, json_get_string(check, "name") ?: "unnamed", ok,
                              json_get_integer(check, "latency_usec", -1), json_get_string(check, "message"));
        }
        return r < 0 ? r : answer_checks(TAKE_PTR(checks), healthy, ret);
}

static int answer_no_worker(_unused_ ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                            HttpReply **ret) {
        _cleanup_(json_freep) JsonValue *checks = json_new_object();
        int r;

        r = add_check(checks, "worker", false, -1, reply->error ?: "the worker did not answer in time");
        return r < 0 ? r : answer_checks(TAKE_PTR(checks), false, ret);
}

static const ExchangeKind check_health = {
        .method = { "io.atelier.Queue.CheckHealth", .deadline = HEALTH_DEADLINE_USEC },
        .anonymous = true,
        .answer = answer_health,
        .fail = answer_no_worker,
};

void route_get_health(ApiManager *manager, HttpRequest *request) {
        if (!monitor_key_admits(manager, request))
                return;
        exchange_start(manager, request, &check_health, NULL);
}

static int answer_ok(_unused_ ApiManager *manager, _unused_ HttpRequest *request, _unused_ const VarlinkReply *reply,
                     HttpReply **ret) {
        return http_reply_new_text(ret, MHD_HTTP_OK, "application/json", strdup("{\"status\":\"ok\"}"));
}

static const ExchangeKind ping_worker = {
        .method = { "io.atelier.Daemon.Ping", .deadline = READY_DEADLINE_USEC },
        .anonymous = true,
        .answer = answer_ok,
};

void route_get_ready(ApiManager *manager, HttpRequest *request) {
        exchange_start(manager, request, &ping_worker, NULL);
}

/* Asks nobody: the process that answers is the one that is asked about. */
void route_get_live(ApiManager *manager, HttpRequest *request) {
        HttpReply *reply = NULL;
        int r;

        r = answer_ok(manager, request, NULL, &reply);
        http_request_answer(request, r, reply);
}
