/* Who may call what on the socket of the scheduler: docs/permissions.md is made of it. */
#include "manager.h"

const AccessRule scheduler_access[] = {
        ACCESS_DAEMON,
        { "io.atelier.Tasks.List", ACCESS_MEMBER },
        { "io.atelier.Tasks.History", ACCESS_MEMBER },
        { "io.atelier.Tasks.Run", ACCESS_ADMIN },
        { "io.atelier.Backups.List", ACCESS_MEMBER },
        { "io.atelier.Backups.Verify", ACCESS_ADMIN },
        { "io.atelier.Backups.Restore", ACCESS_ADMIN },
        {},
};
