#include "webhooks/webhook-payload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define RFC3339_MAX sizeof("2026-11-23T02:06:48Z")

void webhook_id(const char *job, const char *endpoint, char ret[static WEBHOOK_ID_MAX]) {
        (void) snprintf(ret, WEBHOOK_ID_MAX, "msg_%s_%s", text_after(job, JOB_ID_PREFIX) ?: job, endpoint);
}

static int add_link(JsonValue *object, const char *name, const char *base, const char *path) {
        _cleanup_free_ char *link = text_format("%s%s", base ?: "", path);

        return link ? json_add_string(object, name, link) : -ENOMEM;
}

static int append_image(JsonValue *images, const JobImage *image, const char *base) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        const char *format = image_format_name(image->facts.format);
        _cleanup_free_ char *path = text_format("/v1/images/%s.%s", image->facts.sha256, format);
        int r;

        r = path ? add_link(object, "url", base, path) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(object, "sha256", image->facts.sha256);
        if (r >= 0)
                r = json_add_string(object, "format", format);
        if (r >= 0)
                r = json_add_integer(object, "width", image->facts.width);
        if (r >= 0)
                r = json_add_integer(object, "height", image->facts.height);
        if (r >= 0)
                r = json_add_integer(object, "size_bytes", (int64_t) image->facts.size_bytes);
        return r < 0 ? r : json_append(images, TAKE_PTR(object));
}

/* OpenAI's members of an error; what the provider wrote into its message stays with the job. */
static int add_error(JsonValue *data, const Failure *failure) {
        JsonValue *error = json_new_object();
        int r;

        if (failure->status == 0) {
                (void) json_free(error);
                return json_add(data, "error", cJSON_CreateNull());
        }
        r = json_add(data, "error", error);
        if (r >= 0)
                r = json_add_integer(error, "status", failure->status);
        if (r >= 0)
                r = json_add_string(error, "type", failure->type);
        return r < 0 ? r : json_add_string(error, "code", failure->code);
}

static int add_data(JsonValue *payload, const Job *job, const char *base) {
        JsonValue *data = json_new_object(), *images = json_new_array();
        _cleanup_free_ char *path = text_format("/v1/jobs/%s", job->id);
        int r;

        r = json_add(payload, "data", data);
        if (r >= 0)
                r = json_add(data, "images", images);
        else
                (void) json_free(images);
        if (r >= 0)
                r = json_add_string(data, "id", job->id);
        if (r >= 0)
                r = json_add_string(data, "object", "job");
        if (r >= 0)
                r = json_add_string(data, "status", job_status_name(job->status));
        if (r >= 0)
                r = json_add_string(data, "model", job->model);
        if (r >= 0)
                r = json_add_integer(data, "created_at", (int64_t) (job->created_at / USEC_PER_SEC));
        if (r >= 0)
                r = json_add_integer(data, "completed_at", (int64_t) (job->ended_at / USEC_PER_SEC));
        if (r >= 0)
                r = path ? add_link(data, "url", base, path) : -ENOMEM;
        if (r >= 0)
                r = add_error(data, &job->failure);
        for (size_t i = 0; i < job->n_images && r >= 0; i++)
                r = append_image(images, &job->images[i], base);
        return r;
}

static void format_time(usec_t time, char ret[static RFC3339_MAX]) {
        time_t seconds = (time_t) (time / USEC_PER_SEC);
        struct tm parts;

        if (!gmtime_r(&seconds, &parts) || strftime(ret, RFC3339_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
                *ret = 0;
}

char *webhook_payload(const Job *job, const char *base) {
        _cleanup_(json_freep) JsonValue *payload = json_new_object();
        _cleanup_free_ char *type = text_format("job.%s", job_status_name(job->status));
        char timestamp[RFC3339_MAX];
        int r;

        format_time(job->ended_at, timestamp);
        r = type ? json_add_string(payload, "type", type) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(payload, "timestamp", timestamp);
        if (r >= 0)
                r = add_data(payload, job, base);
        return r < 0 ? NULL : json_format(payload);
}
