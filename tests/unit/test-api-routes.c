/* The api's table of routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "routes.h"

static int find(const char *method, const char *path, RouteMatch *match) {
        return route_find(api_routes, method, path, match);
}

static void test_each_route_is_found_by_its_own_template(void **state) {
        RouteMatch match;

        (void) state;
        for (const Route *route = api_routes; route->template; route++) {
                _cleanup_free_ char *path = NULL;
                const char *open = strchr(route->template, '{');

                path = open ? text_format("%.*sx%s", (int) (open - route->template), route->template,
                                          strchr(open, '}') + 1)
                            : strdup(route->template);
                assert_int_equal(find(route->method, path, &match), 0);
                assert_ptr_equal(match.route->handler, route->handler);
                assert_string_equal(match.template, route->template);
        }
}

static void test_argument_is_what_stands_for_the_placeholder(void **state) {
        RouteMatch match;

        (void) state;
        assert_int_equal(find("GET", "/v1/jobs/0123abc", &match), 0);
        assert_string_equal(match.argument, "0123abc");
        assert_string_equal(match.template, "/v1/jobs/{id}");
}

static void test_what_stands_behind_the_placeholder_counts(void **state) {
        RouteMatch match;

        (void) state;
        assert_int_equal(find("GET", "/v1/jobs/x/events", &match), 0);
        assert_string_equal(match.argument, "x");
        assert_string_equal(match.template, "/v1/jobs/{id}/events");
        assert_int_equal(find("GET", "/v1/jobs/x/event", &match), ROUTE_NOT_FOUND);
        assert_int_equal(find("DELETE", "/v1/jobs/x/events", &match), ROUTE_METHOD_NOT_ALLOWED);
}

static void test_head_goes_where_get_goes(void **state) {
        RouteMatch get, head;

        (void) state;
        assert_int_equal(find("GET", "/v1/images/x.png", &get), 0);
        assert_int_equal(find("HEAD", "/v1/images/x.png", &head), 0);
        assert_ptr_equal(get.route, head.route);
        assert_int_equal(find("HEAD", "/v1/images/generations", &head), ROUTE_METHOD_NOT_ALLOWED);
}

/* A link opens the image, and nothing else of what there is below or about it. */
static void test_only_an_image_takes_the_query_of_a_link(_unused_ void **state) {
        static const char *const others[] = { "/v1/images/x/receipt", "/v1/jobs", "/v1/jobs/x", "/v1/jobs/x/events",
                                              "/v1/models", "/v1/usage" };
        RouteMatch match;

        assert_int_equal(find("GET", "/v1/images/x.png", &match), 0);
        assert_true(route_takes_parameter(match.route, "expires"));
        assert_true(route_takes_parameter(match.route, "signature"));
        assert_false(route_takes_parameter(match.route, "Signature"));
        assert_int_equal(find("POST", "/v1/images/x/link", &match), 0);
        assert_false(route_takes_parameter(match.route, "signature"));
        for (size_t i = 0; i < ELEMENTS(others); i++) {
                assert_int_equal(find("GET", others[i], &match), 0);
                assert_false(route_takes_parameter(match.route, "expires"));
                assert_false(route_takes_parameter(match.route, "signature"));
        }
        assert_int_equal(find("DELETE", "/v1/images/x.png", &match), ROUTE_METHOD_NOT_ALLOWED);
        assert_string_equal(match.allow, "GET, HEAD");
}

static void test_unknown_paths_are_other(void **state) {
        static const char *const paths[] = {
                "",
                "/",
                "/v1",
                "/v1/",
                "/v1/jobs/",
                "/v1/jobs/a/b",
                "/v1/images/",
                "/health/",
                "/health/live/x",
                "/HEALTH",
                "//health",
                "/v1/models/a/",
        };
        RouteMatch match;

        (void) state;
        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                assert_int_equal(find("GET", paths[i], &match), ROUTE_NOT_FOUND);
                assert_string_equal(match.template, ROUTE_OTHER);
                assert_null(match.route);
        }
}

static void test_other_methods_are_told_which_are_allowed(void **state) {
        RouteMatch match;

        (void) state;
        assert_int_equal(find("PUT", "/v1/jobs/x", &match), ROUTE_METHOD_NOT_ALLOWED);
        assert_string_equal(match.allow, "GET, HEAD, DELETE");
        assert_string_equal(match.template, "/v1/jobs/{id}");
        assert_int_equal(find("GET", "/v1/images/generations", &match), ROUTE_METHOD_NOT_ALLOWED);
        assert_string_equal(match.allow, "POST");
        assert_int_equal(find("get", "/health", &match), ROUTE_METHOD_NOT_ALLOWED);
        assert_string_equal(match.allow, "GET, HEAD");
}

static void test_argument_at_the_limit_and_one_past_it(void **state) {
        char path[sizeof("/v1/jobs/") + ROUTE_ARGUMENT_BYTES_MAX] = "/v1/jobs/";
        RouteMatch match;

        (void) state;
        memset(path + strlen("/v1/jobs/"), 'a', ROUTE_ARGUMENT_BYTES_MAX - 1);
        assert_int_equal(find("GET", path, &match), 0);
        assert_int_equal(strlen(match.argument), ROUTE_ARGUMENT_BYTES_MAX - 1);
        memset(path + strlen("/v1/jobs/"), 'a', ROUTE_ARGUMENT_BYTES_MAX);
        assert_int_equal(find("GET", path, &match), ROUTE_NOT_FOUND);
}

static void test_parameters_are_known_per_route(void **state) {
        RouteMatch match;

        (void) state;
        assert_int_equal(find("GET", "/v1/jobs", &match), 0);
        assert_true(route_takes_parameter(match.route, "limit"));
        assert_false(route_takes_parameter(match.route, "limits"));
        assert_int_equal(find("GET", "/health", &match), 0);
        assert_false(route_takes_parameter(match.route, "limit"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_route_is_found_by_its_own_template),
                cmocka_unit_test(test_argument_is_what_stands_for_the_placeholder),
                cmocka_unit_test(test_what_stands_behind_the_placeholder_counts),
                cmocka_unit_test(test_head_goes_where_get_goes),
                cmocka_unit_test(test_only_an_image_takes_the_query_of_a_link),
                cmocka_unit_test(test_unknown_paths_are_other),
                cmocka_unit_test(test_other_methods_are_told_which_are_allowed),
                cmocka_unit_test(test_argument_at_the_limit_and_one_past_it),
                cmocka_unit_test(test_parameters_are_known_per_route),
        };

        return cmocka_run_group_tests_name("api-routes", tests, NULL, NULL);
}
