/* Takes waiting jobs to their providers, and what comes back to the store. */
#pragma once

#include "manager.h"
#include "store/job.h"

int dispatcher_new(Dispatcher **ret, Manager *manager);
Dispatcher *dispatcher_free(Dispatcher *dispatcher);
DEFINE_CLEANUP(Dispatcher *, dispatcher_free);

/* Settles what a dead worker left in progress, and counts what waits; before anything is dispatched, and again when another
 * state has come into use. */
int dispatcher_recover(Dispatcher *dispatcher);

/* There may be something to start: looked for in this turn of the loop, before the commit. */
void dispatcher_look(Dispatcher *dispatcher);

/* Jobs that wait, as committed: `change` is durable. */
void dispatcher_add_waiting(Dispatcher *dispatcher, int64_t change);
int64_t dispatcher_waiting(const Dispatcher *dispatcher);

/* Jobs that wait for an operator's word; they keep nobody awake. */
void dispatcher_add_held(Dispatcher *dispatcher, int64_t change);
/* Jobs that wait for the end of another one, and not to be dispatched. */
void dispatcher_add_following(Dispatcher *dispatcher, int64_t change);
int64_t dispatcher_following(const Dispatcher *dispatcher);
int64_t dispatcher_held(const Dispatcher *dispatcher);
/* Fills in job->outlook (outlook.h). */
int dispatcher_foresee(const Dispatcher *dispatcher, Job *job);

size_t dispatcher_running(const Dispatcher *dispatcher);

void dispatcher_set_paused(Dispatcher *dispatcher, bool paused);
bool dispatcher_paused(const Dispatcher *dispatcher);

/* Starts nothing more, and tells, from the loop, when nothing is under way any more, uploads included; until unparked. */
void dispatcher_park(Dispatcher *dispatcher, void (*parked)(void *userdata), void *userdata);
void dispatcher_uploads_idle(Dispatcher *dispatcher);  /* none is under way any more */
void dispatcher_unpark(Dispatcher *dispatcher);
bool dispatcher_parked(const Dispatcher *dispatcher);

/* Starts nothing more; what runs goes on. */
void dispatcher_quiesce(Dispatcher *dispatcher);

/* Whatever still comes back from providers and helper threads is ignored; its jobs are settled by the next start. */
void dispatcher_abandon(Dispatcher *dispatcher);

/* The store was closed after a failure; it is open again and what was in doubt is settled. */
void dispatcher_hold_back(Dispatcher *dispatcher);
void dispatcher_resume(Dispatcher *dispatcher);

/* Work is waiting, nothing keeps it from going on, and it does not. */
bool dispatcher_stalled(const Dispatcher *dispatcher);

/* Is an attempt at this job under way? */
bool dispatcher_runs(const Dispatcher *dispatcher, const char *id);

/* Is an image of these bytes about to be used by a job that has not ended yet? */
bool dispatcher_needs_image(const Dispatcher *dispatcher, const char *sha256, ImageFormat format);
