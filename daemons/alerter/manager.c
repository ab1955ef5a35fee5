#include "manager.h"

static const AccessRule alerter_access[] = {
        ACCESS_DAEMON,
        {},
};

static usec_t alerter_idle_timeout(const Settings *settings) {
        return settings->alerter.idle_timeout;
}

static usec_t alerter_drain_timeout(const Settings *settings) {
        return settings->alerter.drain_timeout;
}

const ServiceKind alerter_service_kind = {
        .name = "alerter",
        .summary = "watches the others and tells people",
        .access = alerter_access,
        .idle_timeout = alerter_idle_timeout,
        .drain_timeout = alerter_drain_timeout,
};
