/* io.atelier.Queue and io.atelier.Store: from the wire to queue.h, and who may ask for what. */
#pragma once

#include "manager.h"

int worker_methods_add(VarlinkServer *server, Manager *manager);
