/* io.atelier.Queue and io.atelier.Store: from the wire to queue.h, and who may ask for what. */
#pragma once

#include "manager.h"

/* May it see and touch what is stored? By the `caller` of its parameters. */
bool caller_allowed(const Manager *manager, const JsonValue *parameters);

/* 403 with what to do about it, as `error` ("io.atelier.Queue.Refused"). */
int caller_refuse(VarlinkCall *call, const char *error);

int worker_methods_add(VarlinkServer *server, Manager *manager);
