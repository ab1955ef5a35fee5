/* io.atelier.Ledger. */
#pragma once

#include "manager.h"

#define LEDGER_LIST_DEFAULT 100
#define LEDGER_LIST_MAX 1000
#define LEDGER_REPORT_ROWS_MAX 1000

int ledger_methods_add(VarlinkServer *server, Manager *manager);
