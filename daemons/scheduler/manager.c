#include "manager.h"

static const AccessRule scheduler_access[] = {
        ACCESS_DAEMON,
        {},
};

static usec_t scheduler_idle_timeout(const Settings *settings) {
        return settings->scheduler.idle_timeout;
}

static usec_t scheduler_drain_timeout(const Settings *settings) {
        return settings->scheduler.drain_timeout;
}

const ServiceKind scheduler_service_kind = {
        .name = "scheduler",
        .summary = "runs backups, restores and maintenance",
        .access = scheduler_access,
        .idle_timeout = scheduler_idle_timeout,
        .drain_timeout = scheduler_drain_timeout,
};
