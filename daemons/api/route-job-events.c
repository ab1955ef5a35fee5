/* GET /v1/jobs/ID/events: a job's states and partial images as they come, until it ends. */
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "job-events.h"
#include "job-id.h"
#include "job-stream.h"

#define WATCH_DEADLINE_USEC (30 * USEC_PER_SEC)

static int build_watch(HttpRequest *request, JsonValue *parameters, _unused_ JsonValue *prepared) {
        int r;

        r = json_add_string(parameters, "id", http_request_match(request)->argument);
        return r < 0 ? r : json_add_bool(parameters, "with_partial_images", true);
}

static int push_state(ApiManager *manager, HttpRequest *request, EventStream *stream, EventKind kind,
                      const JsonValue *job) {
        _cleanup_free_ char *link_base = api_manager_link_base(manager, request);
        EventsTold *told = event_stream_told(stream);
        ImageStream *event = NULL;
        int r;

        if (!link_base)
                return -ENOMEM;
        r = job_event_state(&event, told->n + 1, job, link_base);
        (void) snprintf(told->state, sizeof(told->state), "%s", json_get_string(job, "status") ?: "");
        return job_stream_push(stream, r, kind, event);
}

/* A worker that was started again tells the state once more: only what is new is an event. */
static int tell(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply) {
        const JsonValue *job = json_get_object(reply->parameters, "job"), *partial;
        ImageStream *event = NULL;
        EventStream *stream;
        int r;

        r = job_stream_get(manager, request, json_get_object(reply->parameters, "job"), &stream);
        if (r < 0)
                return r;
        if (!text_equal(json_get_string(job, "status"), event_stream_told(stream)->state)) {
                r = push_state(manager, request, stream, EVENT_STATE, job);
                if (r < 0)
                        return r;
        }

        partial = job_stream_partial(stream, reply);
        if (!partial)
                return 0;
        r = job_event_partial(&event, event_stream_told(stream)->n + 1, job, partial, &reply->fds[0]);
        return job_stream_push(stream, r, EVENT_PARTIAL, event);
}

static int answer_end(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, _unused_ HttpReply **ret) {
        EventStream *stream;
        int r;

        r = job_stream_get(manager, request, json_get_object(reply->parameters, "job"), &stream);
        if (r >= 0)
                r = push_state(manager, request, stream, EVENT_FINAL, json_get_object(reply->parameters, "job"));
        return r < 0 ? r : EXCHANGE_ANSWERED;
}

static const ExchangeKind watch_job = {
        .method = { "io.atelier.Queue.Watch", .more = true, .deadline = WATCH_DEADLINE_USEC },
        .build = build_watch,
        .progress = tell,
        .answer = answer_end,
        .fail = job_stream_fail,
};

void route_watch_job(ApiManager *manager, HttpRequest *request) {
        ApiError error;

        if (job_id_valid(http_request_match(request)->argument)) {
                exchange_start(manager, request, &watch_job, NULL);
                return;
        }
        api_error_set(&error, 404, ERROR_TYPE_REQUEST, "job_not_found", NULL, "No such job.");
        http_request_answer_error(request, &error);
}
