#include "job-reply.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/money.h"
#include "base/text.h"
#include "base/time.h"

JobOutcome job_reply_outcome(const JsonValue *job) {
        const char *status = json_get_string(job, "status");

        if (text_equal(status, "completed"))
                return JOB_COMPLETED;
        return text_equal(status, "failed") || text_equal(status, "cancelled") ? JOB_FAILED : JOB_UNFINISHED;
}

bool job_reply_is_base64(const JsonValue *job) {
        return text_equal(json_get_string(job, "response_format"), "b64_json");
}

void job_reply_error(const JsonValue *job, ApiError *error) {
        const JsonValue *failure = json_get_object(job, "failure");

        if (failure)
                api_error_from_worker(error, failure);
        else if (text_equal(json_get_string(job, "status"), "cancelled"))
                api_error_set(error, 409, ERROR_TYPE_REQUEST, "job_cancelled", NULL, "The job was cancelled.");
        else
                api_error_set(error, 500, ERROR_TYPE_SERVER, NULL, NULL, "The job failed.");
}

char *job_reply_location(const JsonValue *job) {
        return text_format("/v1/jobs/%s", json_get_string(job, "id"));
}

/* Times are seconds outside, as OpenAI has them. */
static int add_time(JsonValue *object, const char *name, const JsonValue *source, const char *member) {
        if (!json_has(source, member))
                return json_add_null(object, name);
        return json_add_integer(object, name, json_get_integer(source, member, 0) / (int64_t) USEC_PER_SEC);
}

static int add_text_or_null(JsonValue *object, const char *name, const JsonValue *source) {
        const char *text = json_get_string(source, name);

        return text ? json_add_string(object, name, text) : json_add_null(object, name);
}

/* A member of the source without a copy of what is in it. */
static int add_reference(JsonValue *object, const JsonValue *source, const char *name) {
        const JsonValue *value = json_get_object(source, name);

        return value ? json_add(object, name, cJSON_CreateObjectReference(value->child)) : 0;
}

/* background, output_format, size, quality and usage, where the provider gave them; what was asked of an alias is said
 * in the words in which it was asked. */
static int add_reply_members(JsonValue *response, const JsonValue *job) {
        const JsonValue *reply = json_get_object(job, "reply"), *asked = json_get_object(job, "asked");
        int r = 0;

        for (const JsonValue *member = reply ? reply->child : NULL; member && r >= 0; member = member->next)
                if (cJSON_IsString(member))
                        r = json_add_string(response, member->string,
                                            json_get_string(asked, member->string) ?: member->valuestring);
        return r < 0 ? r : add_reference(response, job, "usage");
}

/* `link` NULL: there is no signed one. */
static char *format_url(const JsonValue *image, const char *link_base, const JsonValue *link) {
        const char *path = json_get_string(link, "path");

        if (path)
                return text_format("%s%s", link_base, path);
        return text_format("%s/v1/images/%s.%s", link_base, json_get_string(image, "sha256") ?: "",
                           json_get_string(image, "format") ?: "");
}

/* Without link_base the place for the image's base64 is left empty. */
static int append_image(JsonValue *data, const JsonValue *image, const char *link_base, const JsonValue *link) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        _cleanup_free_ char *url = NULL;
        int r;

        if (link_base) {
                url = format_url(image, link_base, link);
                if (!url)
                        return -ENOMEM;
        }
        r = url ? json_add_string(object, "url", url) : json_add_string(object, "b64_json", "");
        if (r >= 0)
                r = json_add_string(object, "revised_prompt", json_get_string(image, "revised_prompt"));
        return r < 0 ? r : json_append(data, TAKE_PTR(object));
}

static int add_data(JsonValue *response, const JsonValue *job, const char *link_base, const JsonValue *links) {
        const JsonValue *images = json_get_array(job, "images"), *link = links ? links->child : NULL;
        JsonValue *data = json_new_array();
        int r;

        r = json_add(response, "data", data);
        for (const JsonValue *image = images ? images->child : NULL; image && r >= 0; image = image->next) {
                r = append_image(data, image, link_base, link);
                link = link ? link->next : NULL;
        }
        return r;
}

static int build_images(const JsonValue *job, const char *link_base, const JsonValue *links, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *response = json_new_object();
        int r;

        r = add_time(response, "created", job, "ended_at");
        if (r >= 0)
                r = add_data(response, job, link_base, links);
        if (r >= 0)
                r = add_reply_members(response, job);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(response);
        return 0;
}

int job_reply_images(const JsonValue *job, const char *link_base, JsonValue **ret) {
        assert(link_base);

        return build_images(job, link_base, NULL, ret);
}

int job_reply_signed_images(const JsonValue *job, const char *link_base, const JsonValue *links, JsonValue **ret) {
        assert(link_base);

        return build_images(job, link_base, links, ret);
}

static int add_result(JsonValue *object, const JsonValue *job, const char *link_base) {
        JsonValue *result = NULL;
        int r;

        if (job_reply_outcome(job) != JOB_COMPLETED)
                return json_add_null(object, "result");
        r = job_reply_images(job, link_base, &result);
        return r < 0 ? r : json_add(object, "result", result);
}

static int add_error(JsonValue *object, const JsonValue *job) {
        ApiError error;

        if (!json_get_object(job, "failure"))
                return json_add_null(object, "error");
        job_reply_error(job, &error);
        return json_add(object, "error", api_error_members(&error));
}

/* In whole seconds, rounded up. */
static int add_duration(JsonValue *object, const char *name, const JsonValue *source, const char *member) {
        int64_t duration = json_get_integer(source, member, -1);

        if (duration < 0)
                return json_add_null(object, name);
        return json_add_integer(object, name, (duration + (int64_t) USEC_PER_SEC - 1) / (int64_t) USEC_PER_SEC);
}

static int add_count(JsonValue *object, const char *name, const JsonValue *source) {
        if (!json_has(source, name))
                return json_add_null(object, name);
        return json_add_integer(object, name, json_get_integer(source, name, 0));
}

/* The pause before the next attempt, and what led to it. */
static int add_retry(JsonValue *object, const JsonValue *job) {
        const JsonValue *attempts = json_get_array(job, "attempts");
        const JsonValue *last = json_has(job, "retry_at") && attempts && attempts->child ? attempts->child->prev : NULL;
        const char *cause = json_get_string(last, "cause");
        int r;

        r = add_time(object, "retry_at", job, "retry_at");
        if (r >= 0)
                r = add_duration(object, "retry_delay", last, "retry_delay_usec");
        if (r >= 0)
                r = cause ? json_add_string(object, "retry_cause", cause) : json_add_null(object, "retry_cause");
        return r;
}

/* Of a job that waits. */
static int add_outlook(JsonValue *object, const JsonValue *job) {
        int r;

        if (!text_equal(json_get_string(job, "status"), "queued"))
                return 0;
        r = add_count(object, "position", job);
        if (r >= 0)
                r = add_count(object, "position_above", job);
        if (r >= 0)
                r = add_duration(object, "eta", job, "eta_usec");
        return r < 0 ? r : add_retry(object, job);
}

static int add_cost(JsonValue *object, const JsonValue *job) {
        static const char *const members[] = { "reserved_micros", "charged_micros", "unknown_micros" };
        const JsonValue *cost = json_get_object(job, "cost");
        JsonValue *value;
        int r;

        if (!cost)
                return json_add_null(object, "cost");
        r = json_add(object, "cost", value = json_new_object());
        for (size_t i = 0; r >= 0 && i < ELEMENTS(members); i++)
                r = json_add_integer(value, members[i], json_get_integer(cost, members[i], 0));
        return r;
}

/* Those members of a request that an alias translates. */
static const char *const translated[] = { "model", "size", "quality", "style" };

static bool is_translated(const char *name) {
        for (size_t i = 0; i < ELEMENTS(translated); i++)
                if (text_equal(name, translated[i]))
                        return true;
        return false;
}

/* The request in the words of the client that asked an alias. */
static int add_asked_request(JsonValue *object, const JsonValue *job, const JsonValue *asked) {
        const JsonValue *sent = json_get_object(job, "request");
        JsonValue *request = json_new_object();
        int r;

        r = json_add(object, "request", request);
        for (const JsonValue *member = sent ? sent->child : NULL; member && r >= 0; member = member->next)
                if (!is_translated(member->string))
                        r = json_add(request, member->string, cJSON_Duplicate(member, true));
        for (size_t i = 0; i < ELEMENTS(translated) && r >= 0; i++)
                r = json_add_string(request, translated[i], json_get_string(asked, translated[i]));
        return r;
}

/* What the provider is asked for instead of it. */
static int add_sent(JsonValue *object, const JsonValue *job) {
        const JsonValue *request = json_get_object(job, "request");
        JsonValue *sent = json_new_object();
        int r;

        r = json_add(object, "sent", sent);
        for (size_t i = 0; i < ELEMENTS(translated) && r >= 0; i++)
                r = json_add_string(sent, translated[i], json_get_string(request, translated[i]));
        return r;
}

static int add_request(JsonValue *object, const JsonValue *job) {
        const JsonValue *asked = json_get_object(job, "asked");
        int r;

        if (!asked)
                return add_reference(object, job, "request");
        r = add_asked_request(object, job, asked);
        return r < 0 ? r : add_sent(object, job);
}

static int append_attempt(JsonValue *attempts, const JsonValue *attempt) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        r = json_add_integer(object, "number", json_get_integer(attempt, "number", 0));
        if (r >= 0)
                r = json_add_string(object, "provider", json_get_string(attempt, "provider"));
        if (r >= 0)
                r = json_add_string(object, "outcome", json_get_string(attempt, "outcome"));
        if (r >= 0)
                r = add_time(object, "started_at", attempt, "started_at");
        if (r >= 0)
                r = add_time(object, "ended_at", attempt, "ended_at");
        if (r >= 0)
                r = add_text_or_null(object, "provider_request_id", attempt);
        if (r >= 0)
                r = add_text_or_null(object, "cause", attempt);
        if (r >= 0)
                r = json_add_string(object, "model", json_get_string(attempt, "model"));
        if (r >= 0)
                r = json_add_string(object, "note", json_get_string(attempt, "note"));
        return r < 0 ? r : json_append(attempts, TAKE_PTR(object));
}

static int add_attempts(JsonValue *object, const JsonValue *job) {
        const JsonValue *attempts = json_get_array(job, "attempts");
        JsonValue *array = json_new_array();
        int r;

        r = json_add(object, "attempts", array);
        for (const JsonValue *attempt = attempts ? attempts->child : NULL; attempt && r >= 0; attempt = attempt->next)
                r = append_attempt(array, attempt);
        return r;
}

int job_reply_object(const JsonValue *job, const char *link_base, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        r = json_add_string(object, "id", json_get_string(job, "id"));
        if (r >= 0)
                r = json_add_string(object, "object", "job");
        if (r >= 0)
                r = json_add_string(object, "status", json_get_string(job, "status"));
        if (r >= 0)
                r = json_add_string(object, "model", json_get_string(json_get_object(job, "asked"), "model") ?:
                                                             json_get_string(job, "model"));
        if (r >= 0)
                r = add_time(object, "created_at", job, "created_at");
        if (r >= 0)
                r = add_time(object, "started_at", job, "started_at");
        if (r >= 0)
                r = add_time(object, "completed_at", job, "ended_at");
        if (r >= 0)
                r = add_request(object, job);
        if (r >= 0)
                r = add_result(object, job, link_base);
        if (r >= 0)
                r = add_error(object, job);
        if (r >= 0)
                r = add_cost(object, job);
        if (r >= 0)
                r = add_text_or_null(object, "cache", job);
        if (r >= 0 && json_get_bool(job, "awaits_budget", false))
                r = json_add_bool(object, "awaits_budget", true);
        if (r >= 0 && json_has(job, "optimised"))
                r = add_reference(object, job, "optimised");
        if (r >= 0)
                r = json_add_string(object, "priority", json_get_string(job, "priority") ?: "normal");
        if (r >= 0)
                r = add_outlook(object, job);
        if (r >= 0)
                r = add_attempts(object, job);
        if (r >= 0 && json_has(job, "defects"))
                r = json_add(object, "defects", cJSON_Duplicate(json_get_array(job, "defects"), true));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(object);
        return 0;
}

/* Of io.atelier.Queue.Optimised. */
static int format_optimised(const JsonValue *optimised, Buffer *text) {
        const JsonValue *changes = json_get_array(optimised, "changes");
        char saved[MONEY_TEXT_MAX];
        int r = 0;

        for (const JsonValue *change = changes ? changes->child : NULL; change && r >= 0; change = change->next)
                r = buffer_printf(text, "%s=%s, ", json_get_string(change, "parameter"), json_get_string(change, "to"));
        return r < 0 ? r : buffer_printf(text, "saved=%s",
                                         money_format(json_get_integer(optimised, "saved_micros", 0), saved));
}

static int add_optimised_header(const JsonValue *optimised, HttpReply *reply) {
        _cleanup_(buffer_done) Buffer buffer = {};
        _cleanup_free_ char *text = NULL;
        int r;

        r = format_optimised(optimised, &buffer);
        text = r < 0 ? NULL : buffer_take_text(&buffer);
        return text ? http_reply_add_header(reply, "x-atelier-optimised", text) : -ENOMEM;
}

int job_reply_add_headers(const JsonValue *job, HttpReply *reply) {
        const JsonValue *optimised = json_get_object(job, "optimised");
        const char *cache = json_get_string(job, "cache");
        int r = 0;

        if (cache)
                r = http_reply_add_header(reply, "x-atelier-cache", cache);
        return r < 0 || !optimised ? r : add_optimised_header(optimised, reply);
}

/* The response with empty b64_json members is cut open inside their quotes, and the files go in between. The mark
 * cannot stand in a text before its member: there its quotes would be escaped. */
int job_reply_stream(const JsonValue *job, int *fds, size_t n_fds, ImageStream **ret) {
        static const char mark[] = "\"b64_json\":\"\"";
        _cleanup_(image_stream_freep) ImageStream *stream = NULL;
        _cleanup_(json_freep) JsonValue *response = NULL;
        _cleanup_free_ char *text = NULL;
        const char *start;
        int r;

        if ((size_t) cJSON_GetArraySize(json_get_array(job, "images")) != n_fds)
                return -EBADMSG;
        r = build_images(job, NULL, NULL, &response);
        if (r < 0)
                return r;
        text = json_format(response);
        if (!text)
                return -ENOMEM;
        r = image_stream_new(&stream);
        if (r < 0)
                return r;

        start = text;
        for (size_t i = 0; i < n_fds; i++) {
                const char *end = strstr(start, mark) + strlen(mark) - 1;

                r = image_stream_add_text(stream, strndup(start, (size_t) (end - start)));
                if (r >= 0)
                        r = image_stream_add_file(stream, TAKE_FD(fds[i]));
                if (r < 0)
                        return r;
                start = end;
        }
        r = image_stream_add_text(stream, strdup(start));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(stream);
        return 0;
}
