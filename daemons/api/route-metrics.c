/* /metrics: our own families and the worker's, in the Prometheus text format 0.0.4. */
#include <errno.h>

#include "exchange.h"
#include "monitor-key.h"

#define METRICS_DEADLINE_USEC (3 * USEC_PER_SEC)
#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

static int make_answer(ApiManager *manager, const char *worker_text, HttpReply **ret) {
        _cleanup_(buffer_done) Buffer buffer = {};
        int r;

        r = api_manager_format_metrics(manager, &buffer);
        if (r >= 0)
                r = buffer_append_text(&buffer, worker_text);
        return r < 0 ? r : http_reply_new_text(ret, MHD_HTTP_OK, CONTENT_TYPE, buffer_take_text(&buffer));
}

static int answer_sleeping(ApiManager *manager, HttpReply **ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = worker_metrics_sleeping_text(api_manager_worker_metrics(manager), time_now_realtime(), &text);
        return r < 0 ? r : make_answer(manager, text, ret);
}

static int answer_metrics(ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                          HttpReply **ret) {
        WorkerMetrics *metrics = api_manager_worker_metrics(manager);
        int r;

        r = worker_metrics_update(metrics, json_get_string(reply->parameters, "text") ?: "");
        return r < 0 ? r : make_answer(manager, worker_metrics_text(metrics), ret);
}

/* It went to sleep as we asked, or is not able to answer: then what it said last holds. */
static int answer_without(ApiManager *manager, _unused_ HttpRequest *request, _unused_ const VarlinkReply *reply,
                          HttpReply **ret) {
        if (!worker_metrics_awake())
                return answer_sleeping(manager, ret);
        return make_answer(manager, worker_metrics_text(api_manager_worker_metrics(manager)), ret);
}

static const ExchangeKind get_metrics = {
        .method = { "io.atelier.Daemon.GetMetrics", .once = true, .deadline = METRICS_DEADLINE_USEC },
        .anonymous = true,
        .answer = answer_metrics,
        .fail = answer_without,
};

void route_get_metrics(ApiManager *manager, HttpRequest *request) {
        HttpReply *reply = NULL;
        int r;

        if (!monitor_key_admits(manager, request))
                return;
        if (worker_metrics_awake()) {
                exchange_start(manager, request, &get_metrics, NULL);
                return;
        }
        r = answer_sleeping(manager, &reply);
        http_request_answer(request, r, reply);
}
