/* org.varlink.service: what a server tells about itself. */
#pragma once

#include "io/varlink-registry.h"

#define VARLINK_SERVICE_INTERFACE "org.varlink.service"

typedef struct VarlinkService {
        VarlinkProduct product;
        const VarlinkRegistry *registry;
} VarlinkService;

/* `service` outlives the registry. */
int varlink_service_add(VarlinkRegistry *registry, VarlinkService *service);
