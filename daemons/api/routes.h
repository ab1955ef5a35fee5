/* What the api serves: one table of methods and path templates. */
#pragma once

#include <stdint.h>

#include "base/macro.h"

typedef struct ApiManager ApiManager;
typedef struct HttpRequest HttpRequest;
typedef struct ApiError ApiError;

/* Answers the request now or later. */
typedef void (*RouteHandler)(ApiManager *manager, HttpRequest *request);

typedef struct Route {
        const char *method; /* HEAD is served wherever GET is */
        const char *template; /* "/v1/jobs/{id}": {…} stands for one segment that is not empty */
        RouteHandler handler;
        const char *const *parameters; /* of the query, ended by NULL; NULL: none */
        bool takes_body; /* JSON; of others a body is read and thrown away */
        bool takes_uploads; /* or a form with files */
        bool body_optional;
} Route;

#define ROUTE_ARGUMENT_BYTES_MAX 256 /* a longer segment matches no template */
#define ROUTE_ALLOW_BYTES_MAX 64
#define ROUTE_OTHER "other" /* stands for a template where no route matches */

typedef struct RouteMatch {
        const Route *route;
        const char *template; /* also of a path whose method is not allowed */
        char argument[ROUTE_ARGUMENT_BYTES_MAX]; /* what stands for {…} */
        char allow[ROUTE_ALLOW_BYTES_MAX]; /* "GET, HEAD, DELETE" */
} RouteMatch;

enum {
        ROUTE_NOT_FOUND = 1,
        ROUTE_METHOD_NOT_ALLOWED, /* ret->allow says which are */
};

/* `routes` end with {}. The first template that matches decides; rows of one template stand together. */
int route_find(const Route *routes, const char *method, const char *path, RouteMatch *ret);

bool route_takes_parameter(const Route *route, const char *name);

extern const Route api_routes[];

void route_create_generation(ApiManager *manager, HttpRequest *request);
/* Takes its body in while it arrives; `length` 0: not announced. 0, a negative errno, or > 0 with *error. */
int route_admit_edit(ApiManager *manager, HttpRequest *request, uint64_t length, ApiError *error);
void route_create_edit(ApiManager *manager, HttpRequest *request);
void route_get_usage(ApiManager *manager, HttpRequest *request);
void route_quote(ApiManager *manager, HttpRequest *request);
void route_get_image(ApiManager *manager, HttpRequest *request);
void route_get_receipt(ApiManager *manager, HttpRequest *request);
void route_create_link(ApiManager *manager, HttpRequest *request);
void route_list_jobs(ApiManager *manager, HttpRequest *request);
void route_get_job(ApiManager *manager, HttpRequest *request);
void route_watch_job(ApiManager *manager, HttpRequest *request);
void route_delete_job(ApiManager *manager, HttpRequest *request);
void route_create_batch(ApiManager *manager, HttpRequest *request);
void route_list_batches(ApiManager *manager, HttpRequest *request);
void route_get_batch(ApiManager *manager, HttpRequest *request);
void route_list_batch_items(ApiManager *manager, HttpRequest *request);
void route_cancel_batch(ApiManager *manager, HttpRequest *request);
void route_list_models(ApiManager *manager, HttpRequest *request);
void route_get_model(ApiManager *manager, HttpRequest *request);
void route_get_health(ApiManager *manager, HttpRequest *request);
void route_get_live(ApiManager *manager, HttpRequest *request);
void route_get_ready(ApiManager *manager, HttpRequest *request);
void route_get_metrics(ApiManager *manager, HttpRequest *request);
