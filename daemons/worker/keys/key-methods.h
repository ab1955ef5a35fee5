/* io.atelier.Keys: making, listing, rotating and revoking keys. Each call is answered when what it does is durable. */
#pragma once

#include "io/varlink-server.h"
#include "manager.h"

int key_methods_add(VarlinkServer *server, Manager *manager);
