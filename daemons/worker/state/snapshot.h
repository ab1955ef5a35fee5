/* io.atelier.Store.Snapshot: the whole state, as it was at one moment, handed over member by member. */
#pragma once

#include "manager.h"

/* Begins one for the call, or answers Busy. */
int snapshot_start(Manager *manager, VarlinkCall *call);

/* A snapshot may be about to hand this image out: it takes the removal over and makes up for it when it ends. False when
 * none is under way. */
bool snapshot_defers_removal(Snapshot *snapshot, const char *sha256, ImageFormat format);

/* The store is between two transactions. */
void snapshot_on_committed(Snapshot *snapshot);

/* Ends it and closes its caller's connection. */
void snapshot_abandon(Snapshot *snapshot);

Snapshot *snapshot_free(Snapshot *snapshot);
DEFINE_CLEANUP(Snapshot *, snapshot_free);
