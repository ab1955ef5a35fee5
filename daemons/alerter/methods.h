/* io.atelier.Alerts. */
#pragma once

#include "manager.h"

int alerter_methods_add(VarlinkServer *server, AlerterManager *manager);
