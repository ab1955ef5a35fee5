/* An error as OpenAI's clients know it: {"error": {"message", "type", "param", "code"}} and an HTTP status. */
#pragma once

#include "base/json.h"
#include "base/macro.h"

#define API_ERROR_NAME_BYTES_MAX 96 /* type, code, param; longer ones are cut */
#define API_ERROR_MESSAGE_BYTES_MAX 1024

#define ERROR_TYPE_REQUEST "invalid_request_error"
#define ERROR_TYPE_QUOTA "insufficient_quota"
#define ERROR_TYPE_SERVER "server_error"
#define ERROR_TYPE_UNAVAILABLE "service_unavailable_error"

typedef struct ApiError {
        unsigned status;
        char type[API_ERROR_NAME_BYTES_MAX];
        char code[API_ERROR_NAME_BYTES_MAX]; /* empty: null */
        char param[API_ERROR_NAME_BYTES_MAX]; /* empty: null */
        char message[API_ERROR_MESSAGE_BYTES_MAX];
} ApiError;

/* code and param may be NULL. */
void api_error_set(ApiError *error, unsigned status, const char *type, const char *code, const char *param,
                   const char *format, ...) _printf_(6, 7);

/* 413 */
void api_error_set_body_too_large(ApiError *error, uint64_t bytes_max);

/* From the worker's {status, type, code, param, message}; what is missing or absurd becomes a 500. */
void api_error_from_worker(ApiError *error, const JsonValue *failure);

/* The four members. NULL when memory is short. */
JsonValue *api_error_members(const ApiError *error);
