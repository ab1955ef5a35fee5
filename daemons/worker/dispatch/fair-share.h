/* Whose turn it is, where more waits than may start. Pure.
 *
 * Models take turns, and within a model its parties do: the clients' keys, and all who showed none together. A turn is
 * one job. So whoever asks for one picture waits for one turn of each of the others, not for all that they asked for.
 * What a party has waiting goes by its own priorities, then in order of acceptance: a client puts its own jobs first,
 * and never before another one's. A party that had nothing waiting has missed nothing, and does not catch up.
 *
 * Only who came last is remembered, and only in memory: a restart begins the round anew. */
#pragma once

#include "base/macro.h"
#include "keys/client-key.h"

#define FAIR_SHARE_PARTY_MAX CLIENT_KEY_ID_MAX

typedef struct FairShare FairShare;

int fair_share_new(FairShare **ret);
FairShare *fair_share_free(FairShare *share);
DEFINE_CLEANUP(FairShare *, fair_share_free);

/* Which of the model's parties came last; "" as well when none did. */
const char *fair_share_last(const FairShare *share, const char *model);

/* Its place among the models: the lowest has waited the longest for a turn. */
uint64_t fair_share_turn(const FairShare *share, const char *model);

/* A job of it starts. -ENOMEM: its next turn comes early. */
int fair_share_take(FairShare *share, const char *model, const char *party);
