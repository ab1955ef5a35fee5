/* Which model of its chain (fallback.h) a waiting job goes to now, and whether it may begin there. */
#pragma once

#include "dispatch/gates.h"
#include "manager.h"

typedef struct DispatchRoute {
        ProviderSlot *slot;
        Gate *gate;
        const char *model;      /* a fallback's name, of the settings; NULL: the job's own model */
        unsigned images;        /* that it asks for */
        char *note;             /* why it is not the one before; NULL. To be freed */
} DispatchRoute;

enum {
        DISPATCH_ROUTE_WAITS = 1,     /* *wake is lowered to when to look again (monotonic) */
};

/* For the waiting job of that id, whose model has fallbacks. Where no key of the whole chain is good, the slot is one
 * of them. */
int dispatch_route_find(Manager *manager, const ModelConf *model, const char *id, DispatchRoute *ret, usec_t *wake);
