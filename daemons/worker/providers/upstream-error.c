#include "providers/upstream-error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define MASK "***"
#define STEP_BYTES_MAX (sizeof("Bearer " MASK))  /* that one step of copying adds */
#define KEY_BYTES_MIN 8  /* what is shorter behind "sk-" is not taken for a key */

/* Bytes that keys are made of, and the asterisks with which servers shorten them. */
static size_t key_characters(const char *text) {
        size_t n = 0;

        while (isalnum((unsigned char) text[n]) || (text[n] && strchr("-_.~+/=*", text[n])))
                n++;
        return n;
}

/* Bytes at `text` that must not be shown. */
static size_t secret_length(const char *text, const char *key) {
        size_t n;

        if (!text_empty(key) && strncmp(text, key, strlen(key)) == 0)
                return strlen(key);
        if (strncmp(text, "sk-", 3) == 0) {
                n = key_characters(text);
                return n >= 3 + KEY_BYTES_MIN || memchr(text, '*', n) ? n : 0;
        }
        return 0;
}

char *upstream_text_copy(const char *text, const char *key) {
        size_t size = 0;
        char *copy;

        if (!text)
                return NULL;
        copy = malloc(UPSTREAM_TEXT_BYTES_MAX + STEP_BYTES_MAX + 1);
        if (!copy)
                return NULL;

        while (*text && size < UPSTREAM_TEXT_BYTES_MAX) {
                size_t n = secret_length(text, key), sequence;

                if (n == 0 && strncasecmp(text, "bearer ", 7) == 0 && key_characters(text + 7) >= KEY_BYTES_MIN) {
                        memcpy(copy + size, text, 7);
                        size += 7;
                        text += 7;
                        n = key_characters(text);
                }
                if (n > 0) {
                        memcpy(copy + size, MASK, strlen(MASK));
                        size += strlen(MASK);
                        text += n;
                        continue;
                }

                sequence = utf8_sequence((const uint8_t *) text, strnlen(text, 4));
                if (sequence <= 1) {
                        unsigned char c = (unsigned char) *text;

                        copy[size++] = sequence == 0 || c < ' ' || c == 0x7f ? ' ' : *text;
                        text++;
                        continue;
                }
                memcpy(copy + size, text, sequence);
                size += sequence;
                text += sequence;
        }
        copy[size] = 0;
        return copy;
}

/* The members of an error, in whichever of the known shapes it comes; strings of `body`, or NULL. */
typedef struct UpstreamError {
        bool present;
        const char *type, *code, *param, *message;
        char number[24];  /* a code that is a number */
} UpstreamError;

/* {"error": {"message", "type", "param", "code"}}; LocalAI has numbers for codes. */
static void read_error_object(UpstreamError *error, const JsonValue *object) {
        const JsonValue *code = json_member(object, "code");

        error->message = json_get_string(object, "message");
        error->type = json_get_string(object, "type");
        error->param = json_get_string(object, "param");
        error->code = json_get_string(object, "code");
        if (json_is_integer(code)) {
                (void) snprintf(error->number, sizeof(error->number), "%lld", (long long) json_to_integer(code));
                error->code = error->number;
        }
}

/* Also {"error": "text"} and {"error": "code", "message": "text"} (stable-diffusion.cpp), {"detail": "text"} and
 * {"detail": [{"msg": "text"}]} (FastAPI). */
static void read_error(UpstreamError *error, const JsonValue *body) {
        const JsonValue *detail = json_member(body, "detail"), *object = json_get_object(body, "error");

        error->present = true;
        if (object)
                read_error_object(error, object);
        else if (json_get_string(body, "error"))
                error->message = json_get_string(body, "message") ?: json_get_string(body, "error");
        else if (cJSON_IsString(detail))
                error->message = detail->valuestring;
        else if (cJSON_IsArray(detail))
                error->message = json_get_string(detail->child, "msg");
        else
                error->present = false;
}

static bool is_passed_on(long status) {
        static const long statuses[] = { 400, 401, 402, 403, 404, 409, 413, 422, 429 };

        for (size_t i = 0; i < ELEMENTS(statuses); i++)
                if (status == statuses[i])
                        return true;
        return false;
}

/* Refusals that concern the request: they reach the client as they came. */
static void pass_on(GenerationResult *result, long status, const UpstreamError *error) {
        const char *type = status == 429 ? "rate_limit_error" : "invalid_request_error";

        generation_result_fail(result, GENERATION_REFUSED, (int) status, text_empty(error->type) ? type : error->type,
                               error->code, error->message ?: "The provider refused the request.");
        if (error->param)
                result->param = strdup(error->param);
}

/* An error object says that the provider itself has given up; anything else may be a proxy that speaks for a
 * provider still at work. */
static void fail_upstream(GenerationResult *result, long status, const UpstreamError *error) {
        GenerationOutcome outcome = error->present ? GENERATION_REFUSED : GENERATION_UNKNOWN;

        if (status == 500)
                generation_result_fail(result, outcome, 500, text_empty(error->type) ? "server_error" : error->type,
                                       error->code, error->message ?: "The provider had an internal error.");
        else if (status == 503 && error->present)
                generation_result_fail(result, outcome, 503, text_empty(error->type) ? "server_error" : error->type,
                                       error->code, error->message ?: "The provider is overloaded.");
        else
                generation_result_fail(result, outcome, 502, "server_error", "provider_unavailable",
                                       "The provider is not available.");
}

static void fail_other(GenerationResult *result, long status, const UpstreamError *error) {
        if (status == 408)
                generation_result_fail(result, GENERATION_UNKNOWN, 504, "server_error", "provider_timeout",
                                       "The provider took too long.");
        else if (status >= 500)
                fail_upstream(result, status, error);
        else
                generation_result_fail(result, GENERATION_REFUSED, 502, "server_error", "provider_error",
                                       status < 400 ? "The provider answered with a redirect, which is not followed."
                                                    : "The provider refused the request.");
}

typedef struct ErrorStatus {
        const char *type_or_code;
        long status;
} ErrorStatus;

/* Those that give it as their code are believed. */
long upstream_error_status(const JsonValue *reply) {
        static const ErrorStatus known[] = {
                { "invalid_request_error", 400 },     { "image_generation_user_error", 400 },
                { "moderation_blocked", 400 },        { "insufficient_quota", 429 },
                { "rate_limit_error", 429 },          { "rate_limit_exceeded", 429 },
                { "service_unavailable_error", 503 },
        };
        const JsonValue *error = json_get_object(reply, "error");
        int64_t number = json_get_integer(error, "code", json_get_integer(error, "http_status", 0));

        if (number >= 400 && number <= 599)
                return (long) number;
        for (size_t i = 0; i < ELEMENTS(known); i++)
                if (text_equal(json_get_string(error, "type"), known[i].type_or_code) ||
                    text_equal(json_get_string(error, "code"), known[i].type_or_code))
                        return known[i].status;
        return 500;
}

static void mask(char **field, const char *key) {
        char *masked = upstream_text_copy(*field, key);

        free(*field);
        *field = masked;
}

void upstream_error_read(GenerationResult *result, long status, const char *body, size_t size, const char *key) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        _cleanup_free_ char *message = NULL;
        UpstreamError error = {};

        if (size > 0 && json_parse(body, size, &reply, NULL) >= 0)
                read_error(&error, reply);

        if (is_passed_on(status))
                pass_on(result, status, &error);
        else
                fail_other(result, status, &error);
        mask(&result->type, key);
        mask(&result->code, key);
        mask(&result->param, key);
        mask(&result->message, key);

        message = upstream_text_copy(error.message, key);
        generation_result_set_cause(result, "HTTP %ld%s%s%s%s", status, result->code ? " " : "", result->code ?: "",
                                    message ? ": " : "", message ?: "");
}
