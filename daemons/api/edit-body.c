#include "edit-body.h"

#include <errno.h>
#include <stdlib.h>

#include "edit-json.h"
#include "image-request.h"
#include "multipart.h"

struct EditBody {
        UploadSpool *spool;
        EditForm *form; /* or … */
        EditJson *json;
        JsonValue *request; /* once it is finished */
};

int edit_body_new(EditBody **ret, const char *content_type, uint64_t length, const char *nonce, UploadMeter *meter,
                  const UploadLimits *limits, ApiError *error) {
        _cleanup_(edit_body_freep) EditBody *body = calloc(1, sizeof(*body));
        int r;

        if (!body)
                return -ENOMEM;
        r = upload_spool_new(&body->spool, meter, limits, length, error);
        if (r == 0)
                r = multipart_is_type(content_type)
                            ? edit_form_new(&body->form, content_type, body->spool, error)
                            : edit_json_new(&body->json, body->spool, nonce);
        if (r == 0)
                *ret = TAKE_PTR(body);
        return MIN(r, EDIT_REFUSED);
}

EditBody *edit_body_free(EditBody *body) {
        if (!body)
                return NULL;
        (void) edit_form_free(body->form);
        (void) edit_json_free(body->json);
        (void) upload_spool_free(body->spool);
        (void) json_free(body->request);
        free(body);
        return NULL;
}

int edit_body_write(EditBody *body, const void *data, size_t size, ApiError *error) {
        return body->form ? edit_form_write(body->form, data, size, error)
                          : edit_json_write(body->json, data, size, error);
}

uint64_t edit_body_bytes_max(const char *content_type, const UploadLimits *limits) {
        uint64_t pictures = limits->request_max;

        if (!multipart_is_type(content_type))
                pictures = (pictures + 2) / 3 * 4;
        return pictures + EDIT_TEXT_BYTES_MAX;
}

static int check(JsonValue *request, const UploadSpool *spool, ApiError *error) {
        int r = image_request_check(request, error);

        if (r == IMAGE_REQUEST_INVALID)
                return EDIT_REFUSED;
        if (r == 0 && upload_spool_count(spool) == 0) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "missing_required_parameter", "image",
                              "Missing required parameter: 'image'.");
                return EDIT_REFUSED;
        }
        return r < 0 ? r : json_add(request, "uploads", upload_spool_describe(spool));
}

int edit_body_finish(EditBody *body, ApiError *error) {
        _cleanup_(json_freep) JsonValue *request = NULL;
        int r;

        r = body->form ? edit_form_finish(body->form, &request, error)
                       : edit_json_finish(body->json, &request, error);
        if (r == 0)
                r = check(request, body->spool, error);
        if (r == 0)
                body->request = TAKE_PTR(request);
        return r;
}

JsonValue *edit_body_request(const EditBody *body) {
        return cJSON_Duplicate(body->request, true);
}

int edit_body_fd(const EditBody *body) {
        return upload_spool_fd(body->spool);
}
