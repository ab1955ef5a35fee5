#include "job-events.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/time.h"
#include "job-reply.h"

#define MARK "\"b64_json\":\"\"" /* where the image goes; in a text its quotes would be escaped */

/* One event. With `fd` its base64 goes into the empty b64_json of the data. */
static int new_event(ImageStream **ret, const char *head, const JsonValue *data, int *fd) {
        _cleanup_(image_stream_freep) ImageStream *event = NULL;
        _cleanup_free_ char *text = json_format(data);
        size_t split;
        int r;

        if (!text)
                return -ENOMEM;
        split = fd ? (size_t) (strstr(text, MARK) - text) + strlen(MARK) - 1 : strlen(text);
        r = image_stream_new(&event);
        if (r >= 0)
                r = image_stream_add_text(event, text_format("%s\ndata: %.*s", head, (int) split, text));
        if (r >= 0 && fd)
                r = image_stream_add_file(event, TAKE_FD(*fd));
        if (r >= 0)
                r = image_stream_add_text(event, text_format("%s\n\n", text + split));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(event);
        return 0;
}

static const char *fact(const JsonValue *reply, const JsonValue *request, const char *name, const char *otherwise) {
        return json_get_string(reply, name) ?: json_get_string(request, name) ?: otherwise;
}

/* As the provider says; what it does not say is as asked for, or as the image itself shows. */
static int add_facts(JsonValue *data, const JsonValue *job, const JsonValue *reply, const JsonValue *image) {
        const JsonValue *request = json_get_object(job, "request");
        _cleanup_free_ char *size = NULL;
        int r;

        size = text_format("%lldx%lld", (long long) json_get_integer(image, "width", 0),
                           (long long) json_get_integer(image, "height", 0));
        if (!size)
                return -ENOMEM;
        r = json_add_string(data, "size", fact(reply, NULL, "size", size));
        if (r >= 0)
                r = json_add_string(data, "quality", fact(reply, request, "quality", "auto"));
        if (r >= 0)
                r = json_add_string(data, "background", fact(reply, request, "background", "auto"));
        if (r >= 0)
                r = json_add_string(data, "output_format",
                                    fact(reply, NULL, "output_format", json_get_string(image, "format")));
        return r;
}

static int add_created(JsonValue *data, const JsonValue *source, const char *member) {
        return json_add_integer(data, "created_at",
                                json_get_integer(source, member, 0) / (int64_t) USEC_PER_SEC);
}

static int add_partial(JsonValue *data, const JsonValue *job, const JsonValue *partial) {
        int r;

        r = json_add_string(data, "b64_json", "");
        if (r >= 0)
                r = json_add_integer(data, "partial_image_index", json_get_integer(partial, "index", 0));
        if (r >= 0)
                r = add_created(data, partial, "created_at");
        return r < 0 ? r : add_facts(data, job, json_get_object(partial, "reply"), partial);
}

static bool is_edit(const JsonValue *job) {
        return json_has(json_get_object(job, "request"), "uploads");
}

int job_event_partial_image(ImageStream **ret, const JsonValue *job, const JsonValue *partial, int *fd) {
        const char *type = is_edit(job) ? "image_edit.partial_image" : "image_generation.partial_image";
        _cleanup_(json_freep) JsonValue *data = json_new_object();
        _cleanup_free_ char *head = text_format("event: %s", type);
        int r;

        r = json_add_string(data, "type", type);
        if (r >= 0)
                r = add_partial(data, job, partial);
        return r < 0 ? r : head ? new_event(ret, head, data, fd) : -ENOMEM;
}

int job_event_completed_image(ImageStream **ret, const JsonValue *job, const JsonValue *image, int *fd) {
        const char *type = is_edit(job) ? "image_edit.completed" : "image_generation.completed";
        _cleanup_(json_freep) JsonValue *data = json_new_object();
        _cleanup_free_ char *head = text_format("event: %s", type);
        const JsonValue *usage = json_get_object(job, "usage");
        int r;

        r = json_add_string(data, "type", type);
        if (r >= 0)
                r = json_add_string(data, "b64_json", "");
        if (r >= 0)
                r = add_created(data, job, "ended_at");
        if (r >= 0)
                r = add_facts(data, job, json_get_object(job, "reply"), image);
        if (r >= 0 && usage)
                r = json_add(data, "usage", cJSON_CreateObjectReference(usage->child));
        return r < 0 ? r : head ? new_event(ret, head, data, fd) : -ENOMEM;
}

int job_event_error(ImageStream **ret, const ApiError *error) {
        _cleanup_(json_freep) JsonValue *data = json_new_object();
        int r;

        r = json_add_string(data, "type", "error");
        if (r >= 0)
                r = json_add(data, "error", api_error_members(error));
        return r < 0 ? r : new_event(ret, "event: error", data, NULL);
}

int job_event_state(ImageStream **ret, unsigned id, const JsonValue *job, const char *link_base) {
        _cleanup_(json_freep) JsonValue *data = NULL;
        _cleanup_free_ char *head = NULL;
        int r;

        r = job_reply_object(job, link_base, &data);
        if (r < 0)
                return r;
        head = text_format("id: %u\nevent: job.%s", id, json_get_string(job, "status") ?: "unknown");
        return head ? new_event(ret, head, data, NULL) : -ENOMEM;
}

int job_event_partial(ImageStream **ret, unsigned id, const JsonValue *job, const JsonValue *partial, int *fd) {
        _cleanup_(json_freep) JsonValue *data = json_new_object();
        _cleanup_free_ char *head = NULL;
        int r;

        r = json_add_string(data, "id", json_get_string(job, "id"));
        if (r >= 0)
                r = json_add_string(data, "object", "job.partial_image");
        if (r >= 0)
                r = add_partial(data, job, partial);
        if (r < 0)
                return r;
        head = text_format("id: %u\nevent: job.partial_image", id);
        return head ? new_event(ret, head, data, fd) : -ENOMEM;
}
