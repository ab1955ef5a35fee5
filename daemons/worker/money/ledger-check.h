/* io.atelier.Ledger.Verify: the whole ledger checked beside the work, in steps while the loop is idle. */
#pragma once

#include "manager.h"

int ledger_check_start(Manager *manager, VarlinkCall *call);
