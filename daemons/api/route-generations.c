/* POST /v1/images/generations, as OpenAI has it, with `stream` as well; with `Prefer: respond-async` (RFC 7240) it
 * answers at once, and whoever wants events asks for those of the job. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/text.h"
#include "edit-body.h"
#include "exchange.h"
#include "generation.h"
#include "image-request.h"
#include "job-events.h"
#include "job-reply.h"
#include "job-stream.h"
#include "submit-headers.h"

#define SUBMIT_DEADLINE_USEC (60 * USEC_PER_SEC) /* longer than a watchdog takes to restart a worker that hangs */
#define PREFER "Prefer"
#define PREFERENCE_ASYNC "respond-async"

/* Whether the list in the field names the preference; its parameters are of no matter. */
static bool prefers_async(const char *field) {
        size_t length = strlen(PREFERENCE_ASYNC);

        while (field) {
                field += strspn(field, " \t,");
                if (strncasecmp(field, PREFERENCE_ASYNC, length) == 0 && strchr(" \t,;", field[length]))
                        return true;
                field = strchr(field, ',');
        }
        return false;
}

/* The first try has what was parsed when the request came; further ones parse again, which keeps no second tree. */
static int parse_again(HttpRequest *request, JsonValue **ret) {
        const Buffer *body = http_request_body(request);
        ApiError error;
        int r;

        if (http_request_body_reader(request)) {
                *ret = edit_body_request(http_request_body_reader(request));
                return *ret ? 0 : -ENOMEM;
        }
        r = image_request_parse((const char *) body->data, body->size, ret, &error);
        return r > 0 ? -EBADMSG : r;
}

static int uploads_fd(HttpRequest *request) {
        return http_request_body_reader(request) ? edit_body_fd(http_request_body_reader(request)) : -1;
}

static int build_submit(HttpRequest *request, JsonValue *parameters, JsonValue *prepared) {
        JsonValue *image_request = prepared;
        int r = 0;

        if (!image_request)
                r = parse_again(request, &image_request);
        if (r < 0)
                return r;
        r = json_add(parameters, "request", image_request);
        return r < 0 ? r : submit_headers_add(request, parameters);
}

static int build_images(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, const JsonValue *job,
                        HttpReply **ret) {
        _cleanup_(json_freep) JsonValue *response = NULL;
        _cleanup_free_ char *link_base = NULL;
        ImageStream *stream = NULL;
        int r;

        if (job_reply_is_base64(job)) {
                r = job_reply_stream(job, reply->fds, reply->n_fds, &stream);
                return r < 0 ? r : http_reply_new_stream(ret, stream);
        }

        link_base = api_manager_link_base(manager, request);
        if (!link_base)
                return -ENOMEM;
        r = job_reply_signed_images(job, link_base, json_get_array(reply->parameters, "links"), &response);
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, response);
}

static int answer_images(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, const JsonValue *job,
                         HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *answer = NULL;
        int r;

        r = build_images(manager, request, reply, job, &answer);
        if (r >= 0)
                r = job_reply_add_headers(job, answer);
        if (r >= 0)
                *ret = TAKE_PTR(answer);
        return r;
}

static int answer_finished(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        const JsonValue *job = json_get_object(reply->parameters, "job");
        ApiError error;

        (void) log_record(LOG_DEBUG, 0,
                          LOG_FIELDS({ "ATELIER_REQUEST", http_request_id(request) },
                                     { "ATELIER_JOB", json_get_string(job, "id") }),
                          "job ended as %s", json_get_string(job, "status") ?: "nothing");
        if (job_reply_outcome(job) == JOB_COMPLETED)
                return answer_images(manager, request, reply, job, ret);
        job_reply_error(job, &error);
        return http_reply_new_error(ret, &error);
}

static int answer_accepted(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        const JsonValue *job = json_get_object(reply->parameters, "job");
        _cleanup_free_ char *link_base = api_manager_link_base(manager, request), *location = job_reply_location(job);
        _cleanup_(http_reply_freep) HttpReply *answer = NULL;
        _cleanup_(json_freep) JsonValue *object = NULL;
        int r;

        if (!link_base || !location)
                return -ENOMEM;
        r = job_reply_object(job, link_base, &object);
        if (r >= 0)
                r = http_reply_new_json(&answer, MHD_HTTP_ACCEPTED, object);
        if (r >= 0)
                r = http_reply_add_header(answer, MHD_HTTP_HEADER_LOCATION, location);
        if (r >= 0)
                r = http_reply_add_header(answer, "Preference-Applied", PREFERENCE_ASYNC);
        if (r >= 0)
                r = job_reply_add_headers(job, answer);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(answer);
        return 0;
}

/* A stream begins when the job is accepted: what is refused until then is refused by its status. */

static int build_stream(HttpRequest *request, JsonValue *parameters, JsonValue *prepared) {
        int r;

        r = build_submit(request, parameters, prepared);
        return r < 0 ? r : json_add_bool(parameters, "with_partial_images", true);
}

static int show_partial(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply) {
        const JsonValue *partial;
        ImageStream *event = NULL;
        EventStream *stream;
        int r;

        r = job_stream_get(manager, request, json_get_object(reply->parameters, "job"), &stream);
        if (r < 0)
                return r;
        partial = job_stream_partial(stream, reply);
        if (!partial)
                return 0;
        r = job_event_partial_image(&event, json_get_object(reply->parameters, "job"), partial, &reply->fds[0]);
        return job_stream_push(stream, r, EVENT_PARTIAL, event);
}

/* A stream is of one image. */
static int end_stream(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply,
                      _unused_ HttpReply **ret) {
        const JsonValue *job = json_get_object(reply->parameters, "job"), *images = json_get_array(job, "images");
        ImageStream *event = NULL;
        EventStream *stream;
        ApiError error;
        int r;

        r = job_stream_get(manager, request, json_get_object(reply->parameters, "job"), &stream);
        if (r < 0)
                return r;
        if (job_reply_outcome(job) != JOB_COMPLETED) {
                job_reply_error(job, &error);
                r = job_event_error(&event, &error);
        } else if (images && images->child && reply->n_fds == 1)
                r = job_event_completed_image(&event, job, images->child, &reply->fds[0]);
        else
                r = -EBADMSG;
        r = job_stream_push(stream, r, EVENT_FINAL, event);
        return r < 0 ? r : EXCHANGE_ANSWERED;
}

static const ExchangeKind submit_and_stream = {
        .method = { "io.atelier.Queue.Submit", .more = true, .deadline = SUBMIT_DEADLINE_USEC },
        .build = build_stream,
        .fd = uploads_fd,
        .progress = show_partial,
        .answer = end_stream,
        .fail = job_stream_fail,
};

static const ExchangeKind submit_and_wait = {
        .method = { "io.atelier.Queue.Submit", .more = true, .deadline = SUBMIT_DEADLINE_USEC },
        .build = build_submit,
        .fd = uploads_fd,
        .answer = answer_finished,
};

static const ExchangeKind submit = {
        .method = { "io.atelier.Queue.Submit", .deadline = SUBMIT_DEADLINE_USEC },
        .build = build_submit,
        .fd = uploads_fd,
        .answer = answer_accepted,
};

static const ExchangeKind *choose_kind(HttpRequest *request, const JsonValue *image_request) {
        if (prefers_async(http_request_header(request, PREFER)))
                return &submit;
        return json_get_bool(image_request, "stream", false) ? &submit_and_stream : &submit_and_wait;
}

void generation_start(ApiManager *manager, HttpRequest *request, JsonValue *image_request) {
        ApiError error;

        if (!image_request)
                http_request_answer(request, -ENOMEM, NULL);
        else if (!submit_headers_fit(request, &error)) {
                (void) json_free(image_request);
                http_request_answer_error(request, &error);
        } else
                exchange_start(manager, request, choose_kind(request, image_request), image_request);
}

void route_create_generation(ApiManager *manager, HttpRequest *request) {
        const Buffer *body = http_request_body(request);
        JsonValue *image_request = NULL;
        ApiError error;
        int r;

        r = image_request_parse((const char *) body->data, body->size, &image_request, &error);
        if (r == IMAGE_REQUEST_INVALID)
                http_request_answer_error(request, &error);
        else if (r < 0)
                http_request_answer(request, r, NULL);
        else
                generation_start(manager, request, image_request);
}
