/* /v1/jobs: what became of requests. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "exchange.h"
#include "job-id.h"
#include "job-reply.h"

#define JOBS_DEADLINE_USEC (30 * USEC_PER_SEC)
#define LIMIT_DEFAULT 20
#define LIMIT_MAX 100

static int answer_object(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        _cleanup_free_ char *link_base = api_manager_link_base(manager, request);
        _cleanup_(json_freep) JsonValue *object = NULL;
        int r;

        if (!link_base)
                return -ENOMEM;
        r = job_reply_object(json_get_object(reply->parameters, "job"), link_base, &object);
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, object);
}

static int build_id(HttpRequest *request, JsonValue *parameters, _unused_ JsonValue *prepared) {
        return json_add_string(parameters, "id", http_request_match(request)->argument);
}

/* One job */

static const ExchangeKind get_job = {
        .method = { "io.atelier.Queue.Get", .deadline = JOBS_DEADLINE_USEC },
        .build = build_id,
        .answer = answer_object,
};

static void answer_not_found(HttpRequest *request) {
        ApiError error;

        api_error_set(&error, 404, ERROR_TYPE_REQUEST, "job_not_found", NULL, "No such job.");
        http_request_answer_error(request, &error);
}

void route_get_job(ApiManager *manager, HttpRequest *request) {
        if (job_id_valid(http_request_match(request)->argument))
                exchange_start(manager, request, &get_job, NULL);
        else
                answer_not_found(request);
}

/* Removing a job takes two steps, so that each is safe to repeat when its reply is lost: a job that waits is
 * cancelled, one that has ended is deleted. Cancel with `delete` alone would delete, at the second try, what the first
 * one cancelled. */

static int answer_deleted(_unused_ ApiManager *manager, HttpRequest *request, const VarlinkReply *reply,
                          HttpReply **ret) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        (void) reply;
        r = json_add_string(object, "id", http_request_match(request)->argument);
        if (r >= 0)
                r = json_add_string(object, "object", "job");
        if (r >= 0)
                r = json_add_bool(object, "deleted", true);
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, object);
}

static int build_delete(HttpRequest *request, JsonValue *parameters, JsonValue *prepared) {
        int r;

        r = build_id(request, parameters, prepared);
        return r < 0 ? r : json_add_bool(parameters, "delete", true);
}

static const ExchangeKind delete_job = {
        .method = { "io.atelier.Queue.Cancel", .deadline = JOBS_DEADLINE_USEC },
        .build = build_delete,
        .answer = answer_deleted,
};

static int delete_ended(ApiManager *manager, HttpRequest *request) {
        exchange_start(manager, request, &delete_job, NULL);
        return EXCHANGE_CONTINUES;
}

/* The job may have ended between the two calls. */
static int answer_cancelled(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        const JsonValue *job = json_get_object(reply->parameters, "job");

        if (!text_equal(json_get_string(job, "status"), "cancelled"))
                return delete_ended(manager, request);
        return answer_object(manager, request, reply, ret);
}

static const ExchangeKind cancel_job = {
        .method = { "io.atelier.Queue.Cancel", .deadline = JOBS_DEADLINE_USEC },
        .build = build_id,
        .answer = answer_cancelled,
};

static int cancel_or_delete(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        (void) ret;
        if (job_reply_outcome(json_get_object(reply->parameters, "job")) != JOB_UNFINISHED)
                return delete_ended(manager, request);
        exchange_start(manager, request, &cancel_job, NULL);
        return EXCHANGE_CONTINUES;
}

static const ExchangeKind look_before_delete = {
        .method = { "io.atelier.Queue.Get", .deadline = JOBS_DEADLINE_USEC },
        .build = build_id,
        .answer = cancel_or_delete,
};

void route_delete_job(ApiManager *manager, HttpRequest *request) {
        if (job_id_valid(http_request_match(request)->argument))
                exchange_start(manager, request, &look_before_delete, NULL);
        else
                answer_not_found(request);
}

/* The list */

static int refuse_parameter(ApiError *error, const char *name, const char *expected) {
        api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_value", name, "Invalid value for '%s': expected %s.",
                      name, expected);
        return -EINVAL;
}

static bool status_known(const char *text) {
        static const char *const known[] = { "queued", "in_progress", "completed", "failed", "cancelled" };

        for (size_t i = 0; i < ELEMENTS(known); i++)
                if (text_equal(known[i], text))
                        return true;
        return false;
}

static int parse_list(const Uri *uri, uint64_t *ret_limit, ApiError *error) {
        const char *limit = uri_parameter(uri, "limit"), *after = uri_parameter(uri, "after");
        const char *status = uri_parameter(uri, "status");

        *ret_limit = LIMIT_DEFAULT;
        if (limit && (text_to_unsigned(limit, LIMIT_MAX, ret_limit) < 0 || *ret_limit == 0))
                return refuse_parameter(error, "limit", "a number from 1 to 100");
        if (after && !job_id_valid(after))
                return refuse_parameter(error, "after", "the id of a job");
        if (status && !status_known(status))
                return refuse_parameter(error, "status", "queued, in_progress, completed, failed or cancelled");
        return 0;
}

static int build_list(HttpRequest *request, JsonValue *parameters, _unused_ JsonValue *prepared) {
        const Uri *uri = http_request_uri(request);
        uint64_t limit;
        ApiError error;
        int r;

        r = parse_list(uri, &limit, &error);
        if (r >= 0)
                r = json_add_integer(parameters, "limit", (int64_t) limit);
        if (r >= 0)
                r = json_add_string(parameters, "after", uri_parameter(uri, "after"));
        return r < 0 ? r : json_add_string(parameters, "status", uri_parameter(uri, "status"));
}

static int append_jobs(JsonValue *data, const JsonValue *jobs, const char *link_base) {
        int r = 0;

        for (const JsonValue *job = jobs ? jobs->child : NULL; job && r >= 0; job = job->next) {
                JsonValue *object;

                r = job_reply_object(job, link_base, &object);
                if (r >= 0)
                        r = json_append(data, object);
        }
        return r;
}

static int answer_list(ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        _cleanup_free_ char *link_base = api_manager_link_base(manager, request);
        _cleanup_(json_freep) JsonValue *list = json_new_object();
        JsonValue *data;
        int r;

        if (!link_base)
                return -ENOMEM;
        r = json_add_string(list, "object", "list");
        if (r >= 0)
                r = json_add(list, "data", data = json_new_array());
        if (r >= 0)
                r = append_jobs(data, json_get_array(reply->parameters, "jobs"), link_base);
        if (r >= 0)
                r = json_add_bool(list, "has_more", json_get_bool(reply->parameters, "has_more", false));
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, list);
}

static const ExchangeKind list_jobs = {
        .method = { "io.atelier.Queue.List", .deadline = JOBS_DEADLINE_USEC },
        .build = build_list,
        .answer = answer_list,
};

void route_list_jobs(ApiManager *manager, HttpRequest *request) {
        uint64_t limit;
        ApiError error;

        if (parse_list(http_request_uri(request), &limit, &error) < 0)
                http_request_answer_error(request, &error);
        else
                exchange_start(manager, request, &list_jobs, NULL);
}
