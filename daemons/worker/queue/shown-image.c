#include "queue/shown-image.h"

#include <errno.h>

#include "base/fd.h"

struct ShownImage {
        unsigned refs;
        int fd; /* of a file without a name: it goes with its last reader */
        JsonValue *reply;
};

static JsonValue *describe(const PartialImage *image) {
        const ImageFacts *facts = temporary_image_facts(image->file);
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        r = json_add_integer(object, "index", image->index);
        if (r >= 0)
                r = json_add_integer(object, "created_at", (int64_t) time_now_realtime());
        if (r >= 0)
                r = json_add_string(object, "format", image_format_name(facts->format));
        if (r >= 0)
                r = json_add_integer(object, "width", facts->width);
        if (r >= 0)
                r = json_add_integer(object, "height", facts->height);
        if (r >= 0 && image->reply)
                r = json_add(object, "reply", cJSON_Duplicate(image->reply, true));
        return r < 0 ? NULL : TAKE_PTR(object);
}

int shown_image_new(ShownImage **ret, const Job *job, const PartialImage *image) {
        _cleanup_(shown_image_unrefp) ShownImage *shown = NULL;
        int r;

        shown = malloc(sizeof(*shown));
        if (!shown)
                return -ENOMEM;
        *shown = (ShownImage) { .refs = 1, .fd = -1, .reply = json_new_object() };
        r = json_add(shown->reply, "job", job_to_json(job));
        if (r >= 0)
                r = json_add(shown->reply, "partial_image", describe(image));
        if (r < 0)
                return r;
        shown->fd = temporary_image_open(image->file);
        if (shown->fd < 0)
                return shown->fd;

        *ret = TAKE_PTR(shown);
        return 0;
}

ShownImage *shown_image_ref(ShownImage *shown) {
        shown->refs++;
        return shown;
}

ShownImage *shown_image_unref(ShownImage *shown) {
        if (!shown || --shown->refs > 0)
                return NULL;
        (void) fd_close(shown->fd);
        (void) json_free(shown->reply);
        free(shown);
        return NULL;
}

int shown_image_send(const ShownImage *shown, VarlinkCall *call) {
        JsonValue *reply = cJSON_Duplicate(shown->reply, true);
        int r;

        if (!reply)
                return -ENOMEM;
        r = varlink_call_push_fd(call, shown->fd);
        if (r < 0) {
                (void) json_free(reply);
                return r;
        }
        return varlink_call_notify(call, reply);
}
