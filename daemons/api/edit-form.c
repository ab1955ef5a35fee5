#include "edit-form.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "image-request.h"
#include "multipart.h"

#define NUMBER_DIGITS_MAX 9

enum {
        PART_REFUSED = MULTIPART_INVALID + 1, /* *form->error says why */
};

struct EditForm {
        Multipart *parser;
        UploadSpool *spool;
        JsonValue *fields;
        ApiError *error; /* during a call */
        char name[MULTIPART_NAME_BYTES_MAX + 1]; /* of the part that arrives */
        bool is_picture, is_mask, has_mask;
        Buffer text;
        size_t text_bytes; /* of all fields */
};

static int refuse(EditForm *form, unsigned status, const char *code, const char *param, const char *message) {
        api_error_set(form->error, status, ERROR_TYPE_REQUEST, code, param, "%s", message);
        return PART_REFUSED;
}

static int begin_picture(EditForm *form) {
        if (form->is_mask && form->has_mask)
                return refuse(form, 400, "duplicate_parameter", "mask", "'mask' is given twice.");
        form->has_mask |= form->is_mask;
        return upload_spool_begin(form->spool, form->error) == 0 ? 0 : PART_REFUSED;
}

static int on_begin(const char *name, void *userdata) {
        EditForm *form = userdata;

        (void) strcpy(form->name, name);
        form->is_mask = text_equal(name, "mask");
        form->is_picture = form->is_mask || text_equal(name, "image") || text_equal(name, "image[]");
        if (form->is_picture)
                return begin_picture(form);

        if (image_request_field_type(name) == IMAGE_FIELD_UNKNOWN) {
                api_error_set(form->error, 400, ERROR_TYPE_REQUEST, "unknown_parameter", name,
                              "Unknown parameter: '%s'.", name);
                return PART_REFUSED;
        }
        if (json_has(form->fields, name)) {
                api_error_set(form->error, 400, ERROR_TYPE_REQUEST, "duplicate_parameter", name,
                              "'%s' is given twice.", name);
                return PART_REFUSED;
        }
        return 0;
}

static int on_data(const void *data, size_t size, void *userdata) {
        EditForm *form = userdata;
        int r;

        if (form->is_picture) {
                r = upload_spool_write(form->spool, data, size, form->error);
                return r > 0 ? PART_REFUSED : r;
        }
        if (size > EDIT_TEXT_BYTES_MAX - form->text_bytes)
                return refuse(form, 413, "body_too_large", form->name, "The fields are longer than 524288 bytes.");
        form->text_bytes += size;
        return buffer_append(&form->text, data, size);
}

static int refuse_type(EditForm *form, const char *expected) {
        api_error_set(form->error, 400, ERROR_TYPE_REQUEST, "invalid_type", form->name,
                      "Invalid type for '%s': expected %s.", form->name, expected);
        return PART_REFUSED;
}

static int add_integer(EditForm *form, const char *text) {
        uint64_t number;

        if (strlen(text) > NUMBER_DIGITS_MAX || text_to_unsigned(text, UINT32_MAX, &number) < 0)
                return refuse_type(form, "an integer");
        return json_add_integer(form->fields, form->name, (int64_t) number);
}

static int add_boolean(EditForm *form, const char *text) {
        if (!text_equal(text, "true") && !text_equal(text, "false"))
                return refuse_type(form, "'true' or 'false'");
        return json_add_bool(form->fields, form->name, text_equal(text, "true"));
}

static int end_field(EditForm *form) {
        _cleanup_free_ char *text = NULL;

        if (!utf8_valid((const char *) form->text.data, form->text.size) ||
            (form->text.size > 0 && memchr(form->text.data, 0, form->text.size)))
                return refuse_type(form, "UTF-8 without NUL");
        text = buffer_take_text(&form->text);
        if (!text)
                return -ENOMEM;
        switch (image_request_field_type(form->name)) {
        case IMAGE_FIELD_INTEGER:
                return add_integer(form, text);
        case IMAGE_FIELD_BOOLEAN:
                return add_boolean(form, text);
        default:
                return json_add_string(form->fields, form->name, text);
        }
}

static int end_picture(EditForm *form) {
        size_t last = upload_spool_count(form->spool) - 1;

        if (upload_spool_size(form->spool, last) == 0)
                return refuse(form, 400, "invalid_image", form->is_mask ? "mask" : "image",
                              form->is_mask ? "Invalid 'mask': an empty file." : "Invalid 'image': an empty file.");
        if (form->is_mask)
                upload_spool_set_mask(form->spool, last);
        return 0;
}

static int on_end(void *userdata) {
        EditForm *form = userdata;

        return form->is_picture ? end_picture(form) : end_field(form);
}

static const MultipartHandlers handlers = { .begin = on_begin, .data = on_data, .end = on_end };

int edit_form_new(EditForm **ret, const char *content_type, UploadSpool *spool, ApiError *error) {
        _cleanup_(edit_form_freep) EditForm *form = calloc(1, sizeof(*form));
        int r;

        if (!form)
                return -ENOMEM;
        form->spool = spool;
        form->fields = json_new_object();
        if (!form->fields)
                return -ENOMEM;
        r = multipart_new(&form->parser, content_type, &handlers, form);
        if (r == MULTIPART_INVALID) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_multipart", NULL,
                              "The Content-Type names no boundary; expected multipart/form-data; boundary=…");
                return EDIT_REFUSED;
        }
        if (r < 0)
                return r;

        *ret = TAKE_PTR(form);
        return 0;
}

EditForm *edit_form_free(EditForm *form) {
        if (!form)
                return NULL;
        (void) multipart_free(form->parser);
        (void) json_free(form->fields);
        buffer_done(&form->text);
        free(form);
        return NULL;
}

static int conclude(EditForm *form, int r, ApiError *error) {
        if (r == MULTIPART_INVALID)
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_multipart", NULL,
                              "The body is no valid multipart/form-data: %s.", multipart_reason(form->parser));
        return r > 0 ? EDIT_REFUSED : r;
}

int edit_form_write(EditForm *form, const void *data, size_t size, ApiError *error) {
        form->error = error;
        return conclude(form, multipart_write(form->parser, data, size), error);
}

int edit_form_finish(EditForm *form, JsonValue **ret, ApiError *error) {
        int r = multipart_finish(form->parser);

        if (r == 0)
                *ret = TAKE_PTR(form->fields);
        return conclude(form, r, error);
}
