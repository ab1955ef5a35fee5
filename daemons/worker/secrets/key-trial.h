/* Keys that are to be used are tried before: a call to their provider that costs nothing, with one after the other. */
#pragma once

#include "providers/provider-table.h"
#include "secrets/secrets.h"

typedef struct KeyTrial KeyTrial;

typedef void (*KeyTrialDone)(KeyTrial *trial, void *userdata);

/* Tries those keys of the table that secrets_is_new(). `done` comes once, from the loop; NULL in *ret: there is nothing to try. The
 * table is referenced; `settings` and `secrets` outlive the trial. */
int key_trial_new(KeyTrial **ret, ProviderTable *table, const Settings *settings, const Secrets *secrets, KeyTrialDone done,
                  void *userdata);
KeyTrial *key_trial_free(KeyTrial *trial);
DEFINE_CLEANUP(KeyTrial *, key_trial_free);

/* The table whose keys are tried. */
ProviderTable *key_trial_table(const KeyTrial *trial);

/* Did a provider refuse the key of this reference? One that could not be asked did not. */
bool key_trial_refused(const KeyTrial *trial, const char *reference);
