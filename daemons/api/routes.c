#include "routes.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "signed-link.h"

static const char *const link_parameters[] = { SIGNED_LINK_EXPIRES, SIGNED_LINK_SIGNATURE, NULL };
static const char *const list_parameters[] = { "limit", "after", "status", NULL };
static const char *const page_parameters[] = { "limit", "after", NULL };

const Route api_routes[] = {
        { "POST", "/v1/images/generations", route_create_generation, .takes_body = true },
        { "POST", "/v1/images/edits", route_create_edit, .takes_body = true, .takes_uploads = true },
        { "POST", "/v1/images/quote", route_quote, .takes_body = true },
        { "GET", "/v1/images/{name}", route_get_image, .parameters = link_parameters },
        { "GET", "/v1/images/{name}/receipt", route_get_receipt },
        { "POST", "/v1/images/{name}/link", route_create_link, .takes_body = true, .body_optional = true },
        { "GET", "/v1/jobs", route_list_jobs, .parameters = list_parameters },
        { "GET", "/v1/jobs/{id}", route_get_job },
        { "DELETE", "/v1/jobs/{id}", route_delete_job },
        { "GET", "/v1/jobs/{id}/events", route_watch_job },
        { "POST", "/v1/batches", route_create_batch, .takes_body = true },
        { "GET", "/v1/batches", route_list_batches, .parameters = page_parameters },
        { "GET", "/v1/batches/{id}", route_get_batch },
        { "GET", "/v1/batches/{id}/items", route_list_batch_items, .parameters = page_parameters },
        { "POST", "/v1/batches/{id}/cancel", route_cancel_batch },
        { "GET", "/v1/usage", route_get_usage },
        { "GET", "/v1/models", route_list_models },
        { "GET", "/v1/models/{id}", route_get_model },
        { "GET", "/health", route_get_health },
        { "GET", "/health/live", route_get_live },
        { "GET", "/health/ready", route_get_ready },
        { "GET", "/metrics", route_get_metrics },
        {},
};

/* Whether path has the form of the template; copies what stands for {…}. */
static bool template_matches(const char *template, const char *path, char argument[static ROUTE_ARGUMENT_BYTES_MAX]) {
        const char *open = strchr(template, '{');
        size_t prefix = open ? (size_t) (open - template) : strlen(template), length;

        if (!open)
                return text_equal(template, path);
        if (strncmp(template, path, prefix) != 0)
                return false;

        length = strcspn(path + prefix, "/");
        if (length == 0 || length >= ROUTE_ARGUMENT_BYTES_MAX ||
            !text_equal(strchr(open, '}') + 1, path + prefix + length))
                return false;
        memcpy(argument, path + prefix, length);
        argument[length] = '\0';
        return true;
}

static bool method_matches(const Route *route, const char *method) {
        return text_equal(route->method, method) || (text_equal(method, "HEAD") && text_equal(route->method, "GET"));
}

static void allow_add(RouteMatch *match, const char *method) {
        size_t used = strlen(match->allow);

        (void) snprintf(match->allow + used, sizeof(match->allow) - used, "%s%s%s", used > 0 ? ", " : "", method,
                        text_equal(method, "GET") ? ", HEAD" : "");
}

int route_find(const Route *routes, const char *method, const char *path, RouteMatch *ret) {
        *ret = (RouteMatch){ .template = ROUTE_OTHER };

        while (routes->template && !template_matches(routes->template, path, ret->argument))
                routes++;
        if (!routes->template)
                return ROUTE_NOT_FOUND;

        ret->template = routes->template;
        for (; routes->template && text_equal(routes->template, ret->template); routes++) {
                if (method_matches(routes, method)) {
                        ret->route = routes;
                        return 0;
                }
                allow_add(ret, routes->method);
        }
        return ROUTE_METHOD_NOT_ALLOWED;
}

bool route_takes_parameter(const Route *route, const char *name) {
        for (const char *const *known = route->parameters; known && *known; known++)
                if (text_equal(*known, name))
                        return true;
        return false;
}
