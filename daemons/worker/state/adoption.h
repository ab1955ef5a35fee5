/* A state takes the place of another: io.atelier.Store.PrepareAdoption, Receive, Adopt, AbandonAdoption, DiscardFormer. */
#pragma once

#include "manager.h"

/* Each answers the call, now or later. */
int adoption_prepare(Manager *manager, VarlinkCall *call);
int adoption_receive(Manager *manager, VarlinkCall *call, const JsonValue *parameters);
int adoption_adopt(Manager *manager, VarlinkCall *call, const char *id);
int adoption_abandon(Manager *manager, VarlinkCall *call, const char *id);
int adoption_discard_former(Manager *manager, VarlinkCall *call);

/* The daemon stops: one that is not being put in place is given up. */
void adoption_quiesce(Adoption *adoption);

Adoption *adoption_free(Adoption *adoption);
