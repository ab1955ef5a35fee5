/* Is everything there that a job needs? Providers by a call that costs nothing, at most once a minute each; the store
 * (as the guide's "cache"); the storage of images. */
#pragma once

#include "manager.h"

#define HEALTH_PROVIDER_USEC USEC_PER_MINUTE

int health_new(Health **ret, Manager *manager);
Health *health_free(Health *health);
DEFINE_CLEANUP(Health *, health_free);

/* Answers CheckHealth, once all checks have come back. */
int health_check(Health *health, VarlinkCall *call);
