/* The key that those show who watch: of /metrics and /health, which tell more of the server than every client is to know. */
#pragma once

#include "http-request.h"
#include "manager.h"

/* Whether the request may be answered now. Else it will be, with a refusal, or by its route's handler, which is called again: once
 * the worker has said that the key is good. It is asked once in GUESS_TOKEN_USEC, so that a scrape every few seconds does
 * not keep it awake.
 *
 * Members need none, clients of other machines do, and others on this one where require_key says always. (With auto, only the
 * worker knows whether there are keys, and watching is not to wake it.) */
bool monitor_key_admits(ApiManager *manager, HttpRequest *request);
