/* Receipts of an image: for whom it was made, from what, by whom, and what it cost. */
#pragma once

#include "io/varlink-server.h"
#include "keys/caller.h"
#include "store/store.h"

#define RECEIPTS_MAX 20   /* of one image, the newest */

/* Answers io.atelier.Ledger.GetReceipts, with what the caller may see. */
int receipts_reply(VarlinkCall *call, Store *store, const Caller *caller, const char *sha256);
