/* atelierctl alerts fire --unit=INSTANCE: what atelier-alert@.service runs. */
#pragma once

#include "ctl.h"
#include "unit-journal.h"

/* Fires the alert UnitFailed for what `instance` names (unit-instance.h), with the last lines of that invocation.
 * Where the alerter cannot be reached the journal is told instead, as critical, and it fails. Returns the exit
 * code. */
int unit_report_fire(const Ctl *ctl, const char *instance);

/* "atelier-worker.service failed: watchdog (killed by ABRT)". The caller frees it; NULL when memory is short. */
char *unit_report_summary(const UnitInstance *instance, const UnitStory *story);
