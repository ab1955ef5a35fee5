/* Requests of web pages that come from elsewhere: the CORS protocol (Fetch standard, 3.2).
 *
 * A browser sends along where the page is from (Origin), and lets the page read the answer only if that names the origin again.
 * Before a request that a form could not make it asks first, by OPTIONS: the preflight. Origins are compared as texts with
 * api.cors_origins; credentials of the browser's own (cookies) are not allowed, as there are none: keys are sent by the page. */
#pragma once

#include "http-request.h"

/* Keeps what of the request the answer's headers follow from; where no origin is configured, nothing. */
void cors_look(HttpRequest *request, char *const *origins);

/* Whether it is a preflight, which needs no key. */
bool cors_is_preflight(const HttpRequest *request, char *const *origins);

/* The answer to a preflight for the route that was found: 204, or 403 for an origin that is not allowed. */
void cors_answer_preflight(HttpRequest *request, usec_t max_age);
