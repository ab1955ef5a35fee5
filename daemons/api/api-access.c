/* Who may call what on the socket of the api: docs/permissions.md is made of it. */
#include "manager.h"

const AccessRule api_access[] = {
        ACCESS_DAEMON,
        {},
};
