#include "store/defect.h"

static const char *const kind_names[_DEFECT_KINDS] = {
        [DEFECT_UNUSABLE] = "unusable_reply",
        [DEFECT_SINGLE_COLOUR] = "single_colour",
        [DEFECT_UNREADABLE] = "unreadable_pixels",
        [DEFECT_DUPLICATE] = "duplicate_image",
        [DEFECT_OTHER_FORMAT] = "other_format",
};

const char *defect_kind_name(DefectKind kind) {
        return kind >= 0 && kind < _DEFECT_KINDS ? kind_names[kind] : NULL;
}

void defects_free(Defect *defects, size_t count) {
        for (size_t i = 0; i < count; i++) {
                free(defects[i].detail);
                free(defects[i].job);
                free(defects[i].key);
                free(defects[i].provider);
                free(defects[i].model);
                free(defects[i].provider_request_id);
        }
        free(defects);
}

static int add_finding(JsonValue *value, const Defect *defect) {
        int r;

        r = json_add_string(value, "kind", defect_kind_name(defect->kind));
        return r < 0 ? r : json_add_string(value, "detail", defect->detail);
}

/* What it is of, and what that cost. */
static int add_object(JsonValue *value, const Defect *defect) {
        int r = 0;

        if (defect->image > 0)
                r = json_add_integer(value, "image", defect->image);
        if (r >= 0 && *defect->sha256)
                r = json_add_string(value, "sha256", defect->sha256);
        if (r >= 0)
                r = json_add_integer(value, "charged_micros", defect->charged);
        return r < 0 ? r : json_add_integer(value, "unknown_micros", defect->unknown);
}

JsonValue *defect_to_json(const Defect *defect) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "number", defect->number);
        if (r >= 0)
                r = json_add_integer(value, "at", (int64_t) defect->at);
        if (r >= 0)
                r = add_finding(value, defect);
        if (r >= 0)
                r = json_add_string(value, "job", defect->job);
        if (r >= 0)
                r = json_add_string(value, "key", defect->key);
        if (r >= 0)
                r = json_add_string(value, "provider", defect->provider);
        if (r >= 0)
                r = json_add_string(value, "model", defect->model);
        if (r >= 0)
                r = json_add_string(value, "provider_request_id", defect->provider_request_id);
        if (r >= 0)
                r = add_object(value, defect);
        return r < 0 ? NULL : TAKE_PTR(value);
}

JsonValue *defect_to_job_json(const Defect *defect) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = add_finding(value, defect);
        if (r >= 0)
                r = add_object(value, defect);
        return r < 0 ? NULL : TAKE_PTR(value);
}
