/* x-atelier-optimise: whether a request may be made cheaper, "on" or "off". Absent: as worker.optimise says. */
#pragma once

#include "http-request.h"

bool optimise_wish_fits(const HttpRequest *request, ApiError *error);

/* Adds what it says to the parameters of Queue.Submit or Queue.Quote. */
int optimise_wish_add(const HttpRequest *request, JsonValue *parameters);
