/* One look at all that waits: which job may start next, and when to look again if none may.
 *
 * Each model with waiting jobs is a lane of its own. A lane whose provider takes nothing at the moment is left out as
 * a whole, at the cost of one look, however many jobs stand in it; the others take turns, and so do the parties within
 * a lane (fair-share.h), whose retries that are due go first. A job is offered once in a turn, whatever becomes of it.
 * Where images per minute are bounded, a provider's first job waits until its images fit, and later ones behind it:
 * else one of many images would wait for good.
 *
 * Jobs of a model with fallbacks may go different ways (dispatch-route.h): there each is looked at by itself, and one
 * that must wait lets those behind it go by, ROUTE_SKIPS_MAX of them in a turn. */
#pragma once

#include "dispatch/fair-share.h"
#include "dispatch/gates.h"
#include "manager.h"
#include "store/store.h"

typedef struct DispatchTurn DispatchTurn;

enum {
        DISPATCH_TURN_OVER = 1,
};

/* `now` is the wall clock, by which retries are due; `share` remembers from turn to turn. */
int dispatch_turn_new(DispatchTurn **ret, Manager *manager, FairShare *share, usec_t now);
DispatchTurn *dispatch_turn_free(DispatchTurn *turn);
DEFINE_CLEANUP(DispatchTurn *, dispatch_turn_free);

typedef struct DispatchJob {
        WaitingJob waiting;
        ProviderSlot *slot;     /* NULL: nothing here can ever make it */
        Gate *gate;             /* with a slot */
        const char *model, *note;  /* of a fallback, as Attempt; valid until the next call */
        unsigned images;        /* asked for; 0: not looked up, since nothing hangs on it */
} DispatchJob;

/* The next job. DISPATCH_TURN_OVER: no job may start. */
int dispatch_turn_next(DispatchTurn *turn, DispatchJob *ret);

/* When lanes that were left out are to be looked at again (monotonic); USEC_INFINITY: after an event. */
usec_t dispatch_turn_wake(const DispatchTurn *turn);
