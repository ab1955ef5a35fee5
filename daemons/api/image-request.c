#include "image-request.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

typedef enum FieldKind {
        FIELD_PROMPT, /* text of any length */
        FIELD_TEXT,
        FIELD_ANSWER, /* url or b64_json */
        FIELD_INTEGER,
        FIELD_PARTIALS, /* 0 says nothing */
        FIELD_STREAM, /* nor does false */
} FieldKind;

enum {
        MEMBER_DROPPED = IMAGE_REQUEST_INVALID + 1, /* good, but nothing for the worker */
};

typedef struct Field {
        const char *name;
        FieldKind kind;
} Field;

static const Field fields[] = {
        { "prompt", FIELD_PROMPT },
        { "model", FIELD_TEXT },
        { "n", FIELD_INTEGER },
        { "size", FIELD_TEXT },
        { "quality", FIELD_TEXT },
        { "style", FIELD_TEXT },
        { "background", FIELD_TEXT },
        { "moderation", FIELD_TEXT },
        { "output_format", FIELD_TEXT },
        { "output_compression", FIELD_INTEGER },
        { "response_format", FIELD_ANSWER },
        { "user", FIELD_TEXT },
        { "input_fidelity", FIELD_TEXT },
        { "stream", FIELD_STREAM },
        { "partial_images", FIELD_PARTIALS },
};

static const Field *find_field(const char *name) {
        for (size_t i = 0; i < ELEMENTS(fields); i++)
                if (strcmp(fields[i].name, name) == 0)
                        return &fields[i];
        return NULL;
}

ImageFieldType image_request_field_type(const char *name) {
        const Field *field = find_field(name);

        if (!field)
                return IMAGE_FIELD_UNKNOWN;
        if (field->kind == FIELD_INTEGER || field->kind == FIELD_PARTIALS)
                return IMAGE_FIELD_INTEGER;
        return field->kind == FIELD_STREAM ? IMAGE_FIELD_BOOLEAN : IMAGE_FIELD_TEXT;
}

static const char *type_name(const JsonValue *value) {
        if (cJSON_IsString(value))
                return "a string";
        if (json_is_integer(value))
                return "an integer";
        if (cJSON_IsNumber(value))
                return "a number with a fraction";
        if (cJSON_IsBool(value))
                return "a boolean";
        return cJSON_IsArray(value) ? "an array" : "an object";
}

static int refuse_type(ApiError *error, const Field *field, const JsonValue *value, const char *expected) {
        api_error_set(error, 400, ERROR_TYPE_REQUEST, "invalid_type", field->name,
                      "Invalid type for '%s': expected %s, but got %s instead.", field->name, expected,
                      type_name(value));
        return IMAGE_REQUEST_INVALID;
}

static int refuse_value(ApiError *error, const Field *field, const char *code, const char *reason) {
        api_error_set(error, 400, ERROR_TYPE_REQUEST, code, field->name, "Invalid value for '%s': %s", field->name,
                      reason);
        return IMAGE_REQUEST_INVALID;
}

static int check_text(const Field *field, const JsonValue *value, ApiError *error) {
        const char *text = cJSON_GetStringValue(value);

        if (!text)
                return refuse_type(error, field, value, "a string");
        if (field->kind != FIELD_PROMPT && strlen(text) > IMAGE_REQUEST_FIELD_BYTES_MAX)
                return refuse_value(error, field, "string_above_max_length", "longer than 512 bytes.");
        if (field->kind == FIELD_ANSWER && !text_equal(text, "url") && !text_equal(text, "b64_json"))
                return refuse_value(error, field, "invalid_value", "expected 'url' or 'b64_json'.");
        return 0;
}

static int check_integer(const Field *field, const JsonValue *value, ApiError *error) {
        if (!json_is_integer(value))
                return refuse_type(error, field, value, "an integer");
        return field->kind == FIELD_PARTIALS && json_to_integer(value) == 0 ? MEMBER_DROPPED : 0;
}

static int check_stream(const Field *field, const JsonValue *value, ApiError *error) {
        if (!cJSON_IsBool(value))
                return refuse_type(error, field, value, "a boolean");
        return cJSON_IsTrue(value) ? 0 : MEMBER_DROPPED;
}

static int check_member(const JsonValue *member, ApiError *error) {
        const Field *field = find_field(member->string);

        if (!field) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "unknown_parameter", member->string,
                              "Unknown parameter: '%.64s'.", member->string);
                return IMAGE_REQUEST_INVALID;
        }
        if (cJSON_IsNull(member))
                return MEMBER_DROPPED;

        switch (field->kind) {
        case FIELD_INTEGER:
        case FIELD_PARTIALS:
                return check_integer(field, member, error);
        case FIELD_STREAM:
                return check_stream(field, member, error);
        default:
                return check_text(field, member, error);
        }
}

int image_request_parse_object(const char *text, size_t size, JsonValue **ret, ApiError *error) {
        _cleanup_(json_freep) JsonValue *body = NULL;
        JsonError where = {};
        int r;

        r = json_parse(text, size, &body, &where);
        if (r == -EBADMSG) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, NULL, NULL,
                              "The body is not valid JSON: %s at byte %zu.", where.reason, where.offset);
                return IMAGE_REQUEST_INVALID;
        }
        if (r < 0)
                return r;
        if (!cJSON_IsObject(body)) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, NULL, NULL, "The body must be a JSON object, but is %s.",
                              cJSON_IsNull(body) ? "null" : type_name(body));
                return IMAGE_REQUEST_INVALID;
        }

        *ret = TAKE_PTR(body);
        return 0;
}

/* What the worker need not see is taken out of the body's own tree, and the rest becomes the request. */
int image_request_check(JsonValue *body, ApiError *error) {
        int r;

        for (JsonValue *member = body->child, *next; member; member = next) {
                next = member->next;
                r = check_member(member, error);
                if (r == MEMBER_DROPPED)
                        (void) json_free(cJSON_DetachItemViaPointer(body, member));
                else if (r != 0)
                        return r;
        }
        if (!json_has(body, "prompt")) {
                api_error_set(error, 400, ERROR_TYPE_REQUEST, "missing_required_parameter", "prompt",
                              "Missing required parameter: 'prompt'.");
                return IMAGE_REQUEST_INVALID;
        }
        return 0;
}

int image_request_parse(const char *text, size_t size, JsonValue **ret, ApiError *error) {
        _cleanup_(json_freep) JsonValue *body = NULL;
        int r;

        r = image_request_parse_object(text, size, &body, error);
        if (r == 0)
                r = image_request_check(body, error);
        if (r == 0)
                *ret = TAKE_PTR(body);
        return r;
}
