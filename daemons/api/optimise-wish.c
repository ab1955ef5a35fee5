#include "optimise-wish.h"

#include "base/text.h"

#define OPTIMISE "x-atelier-optimise"

bool optimise_wish_fits(const HttpRequest *request, ApiError *error) {
        const char *wish = http_request_header(request, OPTIMISE);

        if (!wish || text_equal(wish, "on") || text_equal(wish, "off"))
                return true;
        api_error_set(error, MHD_HTTP_BAD_REQUEST, ERROR_TYPE_REQUEST, "invalid_optimise", NULL,
                      OPTIMISE " is wrong; expected on or off.");
        return false;
}

int optimise_wish_add(const HttpRequest *request, JsonValue *parameters) {
        const char *wish = http_request_header(request, OPTIMISE);

        return wish ? json_add_bool(parameters, "optimise", text_equal(wish, "on")) : 0;
}
