/* A chain of hashes checked from its beginning to its end, beside the work, in steps while the loop is idle. */
#pragma once

#include "io/varlink-server.h"
#include "manager.h"
#include "store/chain.h"

/* Answers the call with { COUNTS: int, ok: bool, problem: ?string }, and where it wants more with the count so far, once a
 * second. `kind` is static. */
int chain_check_start(Manager *manager, VarlinkCall *call, const ChainKind *kind);
