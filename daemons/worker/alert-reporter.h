/* Tells the alerter what an operator must hear of. */
#pragma once

#include "manager.h"

typedef struct AlertReporter AlertReporter;

int alert_reporter_new(AlertReporter **ret, Manager *manager);
AlertReporter *alert_reporter_free(AlertReporter *reporter);   /* what is under way is given up */
DEFINE_CLEANUP(AlertReporter *, alert_reporter_free);

/* Fires an alert as io.atelier.Alerts.Fire: `key` makes repeated ones the same, `severity` is "warning" or "critical".
 * The daemon does not exit before the alerter has it, or MESSAGE_PATIENCE_USEC is over; what can't be told is logged. */
void alert_report(AlertReporter *reporter, const char *key, const char *name, const char *severity,
                  const char *summary);
