#include "api-error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define STATUS_ERROR_MIN 400
#define STATUS_ERROR_MAX 599

static void name_set(char name[static API_ERROR_NAME_BYTES_MAX], const char *text) {
        (void) snprintf(name, API_ERROR_NAME_BYTES_MAX, "%s", text ?: "");
}

void api_error_set(ApiError *error, unsigned status, const char *type, const char *code, const char *param,
                   const char *format, ...) {
        va_list arguments;

        error->status = status;
        name_set(error->type, type);
        name_set(error->code, code);
        name_set(error->param, param);
        va_start(arguments, format);
        (void) vsnprintf(error->message, sizeof(error->message), format, arguments);
        va_end(arguments);
}

void api_error_set_body_too_large(ApiError *error, uint64_t bytes_max) {
        api_error_set(error, 413, ERROR_TYPE_REQUEST, "body_too_large", NULL,
                      "The body is larger than %" PRIu64 " bytes.", bytes_max);
}

void api_error_from_worker(ApiError *error, const JsonValue *failure) {
        int64_t status = json_get_integer(failure, "status", 500);
        const char *message = json_get_string(failure, "message");

        if (status < STATUS_ERROR_MIN || status > STATUS_ERROR_MAX)
                status = 500;
        api_error_set(error, (unsigned) status, json_get_string(failure, "type") ?: ERROR_TYPE_SERVER,
                      json_get_string(failure, "code"), json_get_string(failure, "param"), "%s",
                      text_empty(message) ? "The request failed." : message);
}

static int add_name(JsonValue *object, const char *name, const char *text) {
        return *text ? json_add_string(object, name, text) : json_add_null(object, name);
}

JsonValue *api_error_members(const ApiError *error) {
        _cleanup_(json_freep) JsonValue *members = json_new_object();
        int r;

        r = json_add_string(members, "message", error->message);
        if (r >= 0)
                r = json_add_string(members, "type", error->type);
        if (r >= 0)
                r = add_name(members, "param", error->param);
        if (r >= 0)
                r = add_name(members, "code", error->code);
        return r < 0 ? NULL : TAKE_PTR(members);
}
