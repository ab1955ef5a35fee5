/* io.atelier.Tasks and io.atelier.Backups: from the wire to runs.h. */
#pragma once

#include "manager.h"

int scheduler_methods_add(VarlinkServer *server, SchedulerManager *manager);
