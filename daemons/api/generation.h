/* What is common to the routes that have images made. */
#pragma once

#include "manager.h"

/* Submits the request as its header fields say and leads to an answer. `image_request` is taken over; NULL: no memory. */
void generation_start(ApiManager *manager, HttpRequest *request, JsonValue *image_request);
