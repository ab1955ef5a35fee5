#include "batch-reply.h"

#include <errno.h>

#include "base/text.h"
#include "base/time.h"
#include "job-reply.h"

char *batch_reply_location(const JsonValue *batch) {
        return text_format("/v1/batches/%s", json_get_string(batch, "id"));
}

/* Times are seconds outside. */
static int add_time(JsonValue *object, const char *name, const JsonValue *source, const char *member) {
        if (!json_has(source, member))
                return json_add_null(object, name);
        return json_add_integer(object, name, json_get_integer(source, member, 0) / (int64_t) USEC_PER_SEC);
}

static int add_text_or_null(JsonValue *object, const char *name, const char *text) {
        return text ? json_add_string(object, name, text) : json_add_null(object, name);
}

static int add_reference(JsonValue *object, const char *name, const JsonValue *value) {
        return value ? json_add(object, name, cJSON_CreateObjectReference(value->child)) : json_add_null(object, name);
}

/* How much of it has ended, in whole per cent: 100 is all. */
static int64_t progress(const JsonValue *counts) {
        int64_t total = json_get_integer(counts, "total", 0);
        int64_t left = json_get_integer(counts, "queued", 0) + json_get_integer(counts, "in_progress", 0);

        return total > 0 ? (total - left) * 100 / total : 100;
}

int batch_reply_object(const JsonValue *batch, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        const JsonValue *counts = json_get_object(batch, "counts");
        int r;

        r = json_add_string(object, "id", json_get_string(batch, "id"));
        if (r >= 0)
                r = json_add_string(object, "object", "batch");
        if (r >= 0)
                r = json_add_string(object, "status", json_get_string(batch, "status"));
        if (r >= 0)
                r = add_text_or_null(object, "model", json_get_string(batch, "model"));
        if (r >= 0)
                r = add_time(object, "created_at", batch, "created_at");
        if (r >= 0)
                r = add_time(object, "started_at", batch, "started_at");
        if (r >= 0)
                r = add_time(object, "finished_at", batch, "ended_at");
        if (r >= 0)
                r = add_time(object, "cancelled_at", batch, "cancelled_at");
        if (r >= 0)
                r = add_reference(object, "counts", counts);
        if (r >= 0)
                r = json_add_integer(object, "progress", progress(counts));
        if (r >= 0)
                r = add_reference(object, "cost", json_get_object(batch, "cost"));
        if (r >= 0)
                r = add_reference(object, "metadata", json_get_object(batch, "metadata"));
        if (r >= 0)
                *ret = TAKE_PTR(object);
        return r;
}

static int add_result(JsonValue *object, const JsonValue *job, const char *link_base) {
        JsonValue *result = NULL;
        ApiError error;
        int r;

        if (job && job_reply_outcome(job) == JOB_COMPLETED) {
                r = job_reply_images(job, link_base, &result);
                if (r >= 0)
                        r = json_add(object, "result", result);
        } else
                r = json_add_null(object, "result");
        if (r < 0 || !json_get_object(job, "failure"))
                return r < 0 ? r : json_add_null(object, "error");
        job_reply_error(job, &error);
        return json_add(object, "error", api_error_members(&error));
}

int batch_reply_item(const JsonValue *entry, const char *link_base, JsonValue **ret) {
        const JsonValue *job = json_get_object(entry, "job");
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        r = json_add_string(object, "object", "batch.item");
        if (r >= 0)
                r = json_add_integer(object, "number", json_get_integer(entry, "number", 0));
        if (r >= 0)
                r = add_text_or_null(object, "custom_id", json_get_string(entry, "custom_id"));
        if (r >= 0)
                r = add_text_or_null(object, "job", json_get_string(job, "id"));
        if (r >= 0)
                r = json_add_string(object, "status", job ? json_get_string(job, "status") : "deleted");
        if (r >= 0)
                r = add_text_or_null(object, "prompt", json_get_string(json_get_object(job, "request"), "prompt"));
        if (r >= 0)
                r = add_result(object, job, link_base);
        if (r >= 0)
                *ret = TAKE_PTR(object);
        return r;
}
