#include "submit-headers.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "optimise-wish.h"

#define IDEMPOTENCY_KEY "Idempotency-Key"
#define IDEMPOTENCY_KEY_BYTES_MAX 255
#define PRIORITY "x-atelier-priority"
#define WEBHOOK "x-atelier-webhook"

static bool idempotency_key_fits(const HttpRequest *request, ApiError *error) {
        const char *key = http_request_header(request, IDEMPOTENCY_KEY);
        bool printable = true;

        for (const char *c = key; c && *c; c++)
                printable &= *c >= ' ' && *c <= '~';
        if (!key || (*key && printable && strlen(key) <= IDEMPOTENCY_KEY_BYTES_MAX))
                return true;
        api_error_set(error, MHD_HTTP_BAD_REQUEST, ERROR_TYPE_REQUEST, "invalid_idempotency_key", NULL,
                      IDEMPOTENCY_KEY " is wrong; expected 1 to %d printable characters of ASCII.",
                      IDEMPOTENCY_KEY_BYTES_MAX);
        return false;
}

static bool priority_fits(const HttpRequest *request, ApiError *error) {
        static const char *const names[] = { "high", "normal", "low" };
        const char *priority = http_request_header(request, PRIORITY);

        for (size_t i = 0; priority && i < ELEMENTS(names); i++)
                if (text_equal(priority, names[i]))
                        return true;
        if (!priority)
                return true;
        api_error_set(error, MHD_HTTP_BAD_REQUEST, ERROR_TYPE_REQUEST, "invalid_priority", NULL,
                      PRIORITY " is wrong; expected high, normal or low.");
        return false;
}

bool submit_headers_fit(const HttpRequest *request, ApiError *error) {
        return idempotency_key_fits(request, error) && priority_fits(request, error) && optimise_wish_fits(request, error);
}

/* Whether Cache-Control (RFC 9111) has that directive, which has no argument. */
static bool has_cache_directive(const HttpRequest *request, const char *directive) {
        const char *field = http_request_header(request, MHD_HTTP_HEADER_CACHE_CONTROL);
        size_t length = strlen(directive);

        while (field) {
                field += strspn(field, " \t,");
                if (strncasecmp(field, directive, length) == 0 && strchr(" \t,", field[length]))
                        return true;
                field = strchr(field, ',');
        }
        return false;
}

static int add_cache_wish(JsonValue *parameters, const HttpRequest *request) {
        int r = 0;

        if (has_cache_directive(request, "no-cache"))
                r = json_add_bool(parameters, "no_cache", true);
        if (r >= 0 && has_cache_directive(request, "no-store"))
                r = json_add_bool(parameters, "no_store", true);
        return r;
}

int submit_headers_add(const HttpRequest *request, JsonValue *parameters) {
        int r;

        r = json_add_string(parameters, "idempotency_key", http_request_header(request, IDEMPOTENCY_KEY));
        if (r >= 0)
                r = json_add_string(parameters, "priority", http_request_header(request, PRIORITY));
        if (r >= 0)
                r = add_cache_wish(parameters, request);
        if (r >= 0)
                r = optimise_wish_add(request, parameters);
        if (r >= 0)
                r = json_add_string(parameters, "webhook", http_request_header(request, WEBHOOK));
        return r < 0 ? r : json_add_string(parameters, "request_id", http_request_id(request));
}
