/* io.atelier.Audit. */
#pragma once

#include "io/varlink-server.h"
#include "manager.h"

int audit_methods_add(VarlinkServer *server, Manager *manager);
