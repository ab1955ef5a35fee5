/* Who may call what on the socket of the alerter: docs/permissions.md is made of it. */
#include "manager.h"

const AccessRule alerter_access[] = {
        ACCESS_DAEMON,
        { "io.atelier.Alerts.List", ACCESS_MEMBER },
        { "io.atelier.Alerts.ListReceivers", ACCESS_MEMBER },
        { "io.atelier.Alerts.Fire",
          ACCESS_ADMIN | ACCESS_API | ACCESS_WORKER | ACCESS_SCHEDULER | ACCESS_ALERTER | ACCESS_ALERT },
        { "io.atelier.Alerts.*", ACCESS_ADMIN },
        {},
};
