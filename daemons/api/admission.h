/* What is asked of every request before its handler runs. */
#pragma once

#include "http-request.h"
#include "manager.h"

/* Checks peer, Host, target, route, query, type and announced length of the body. Fills in the request's match and the
 * bound of its body; answers what can't be served. */
void admission_check(ApiManager *manager, HttpRequest *request);
