/* A worker that has gone to sleep can't be asked what it counted last. So it is asked soon after each piece of work,
 * and again and again while it says that generations are active; the last answer before it sleeps is then the truth.
 * It sleeps after many times SAMPLE_DELAY_USEC without work, so a sample never wakes it. */
#include "worker-sampler.h"

#include <errno.h>

#define SAMPLE_DELAY_USEC (1 * USEC_PER_SEC)
#define SAMPLE_DEADLINE_USEC (3 * USEC_PER_SEC)

struct WorkerSampler {
        WorkerClient *worker;
        WorkerMetrics *metrics;
        sd_event_source *timer;
        WorkerCall *call;
        bool armed;
};

static const WorkerMethod get_metrics = {
        "io.atelier.Daemon.GetMetrics",
        .once = true,
        .deadline = SAMPLE_DEADLINE_USEC,
};

static JsonValue *build(_unused_ void *userdata) {
        return json_new_object();
}

static void on_reply(const VarlinkReply *reply, void *userdata) {
        WorkerSampler *sampler = userdata;
        const char *text;

        sampler->call = NULL;
        text = reply->status < 0 || reply->error ? NULL : json_get_string(reply->parameters, "text");
        if (!text || worker_metrics_update(sampler->metrics, text) < 0)
                return;
        if (worker_metrics_active(sampler->metrics) > 0)
                worker_sampler_touch(sampler);
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        WorkerSampler *sampler = userdata;

        sampler->armed = false;
        if (!sampler->call && worker_metrics_awake())
                (void) worker_client_call(sampler->worker, &sampler->call, &get_metrics, build, on_reply, sampler);
        return 0;
}

void worker_sampler_touch(WorkerSampler *sampler) {
        if (sampler->armed)
                return;
        sampler->armed = sd_event_source_set_time_relative(sampler->timer, SAMPLE_DELAY_USEC) >= 0 &&
                         sd_event_source_set_enabled(sampler->timer, SD_EVENT_ONESHOT) >= 0;
}

int worker_sampler_new(WorkerSampler **ret, sd_event *event, WorkerClient *worker, WorkerMetrics *metrics) {
        _cleanup_(worker_sampler_freep) WorkerSampler *sampler = NULL;
        int r;

        sampler = calloc(1, sizeof(*sampler));
        if (!sampler)
                return -ENOMEM;
        sampler->worker = worker;
        sampler->metrics = metrics;

        r = sd_event_add_time_relative(event, &sampler->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC / 10, on_timer,
                                       sampler);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(sampler->timer, "worker-sample");
        r = sd_event_source_set_enabled(sampler->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(sampler);
        return 0;
}

WorkerSampler *worker_sampler_free(WorkerSampler *sampler) {
        if (!sampler)
                return NULL;

        (void) worker_call_free(sampler->call);
        (void) sd_event_source_disable_unref(sampler->timer);
        free(sampler);
        return NULL;
}
