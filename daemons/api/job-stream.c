#include "job-stream.h"

#include <errno.h>

#include "job-events.h"
#include "job-reply.h"

int job_stream_get(ApiManager *manager, HttpRequest *request, const JsonValue *job, EventStream **ret) {
        EventStream *stream = http_reply_events(http_request_reply(request));
        _cleanup_(http_reply_freep) HttpReply *reply = NULL;
        int r;

        if (!stream) {
                if (http_request_reply(request))
                        return -ECANCELED;
                r = event_stream_new(&stream, api_manager_event(manager), request);
                if (r >= 0)
                        r = http_reply_new_events(&reply, stream);
                if (r >= 0)
                        r = job_reply_add_headers(job, reply);
                if (r < 0)
                        return r;
                http_request_answer(request, 0, TAKE_PTR(reply));
        }
        *ret = stream;
        return 0;
}

int job_stream_push(EventStream *stream, int r, EventKind kind, ImageStream *event) {
        if (r < 0) {
                (void) image_stream_free(event);
                return r;
        }
        return event_stream_push(stream, kind, event);
}

const JsonValue *job_stream_partial(EventStream *stream, const VarlinkReply *reply) {
        const JsonValue *partial = json_get_object(reply->parameters, "partial_image");
        EventsTold *told = event_stream_told(stream);
        int64_t index = json_get_integer(partial, "index", -1);

        if (!partial || reply->n_fds != 1 || index <= told->partial)
                return NULL;
        told->partial = index;
        return partial;
}

int job_stream_fail(_unused_ ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        EventStream *stream = http_reply_events(http_request_reply(request));
        ImageStream *event = NULL;
        ApiError error;
        int r;

        exchange_read_error(request, reply, &error);
        if (!stream)
                return http_reply_new_error(ret, &error);
        r = job_event_error(&event, &error);
        r = job_stream_push(stream, r, EVENT_FINAL, event);
        return r < 0 ? r : EXCHANGE_ANSWERED;
}
