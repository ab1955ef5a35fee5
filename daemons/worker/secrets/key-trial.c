#include "secrets/key-trial.h"

#include <errno.h>

#include "base/log.h"
#include "base/text.h"

typedef struct TriedKey {
        ProviderSlot *slot;
        unsigned number;
        const char *reference;      /* of the settings */
        bool refused;
} TriedKey;

struct KeyTrial {
        ProviderTable *table;
        KeyTrialDone done;
        void *userdata;
        size_t count, next;
        TriedKey keys[];
};

static void try_next(KeyTrial *trial);

static void on_checked(Provider *provider, bool ok, _unused_ usec_t latency, const char *message, void *userdata) {
        KeyTrial *trial = userdata;
        TriedKey *key = &trial->keys[trial->next++];

        key->refused = provider_check_refused(provider);
        if (!ok)
                log_debug("key %u of %s was tried: %s", key->number, provider_name(provider), message);
        if (trial->next == trial->count)
                trial->done(trial, trial->userdata);
        else
                try_next(trial);
}

/* One that can't be tried is none that was refused. */
static void try_next(KeyTrial *trial) {
        while (trial->next < trial->count) {
                const TriedKey *key = &trial->keys[trial->next];
                int r = provider_check(key->slot->provider, key->number, on_checked, trial);

                if (r >= 0)
                        return;
                (void) log_warning_errno(r, "key %u of %s can't be tried", key->number, provider_name(key->slot->provider));
                trial->next++;
        }
        trial->done(trial, trial->userdata);
}

static size_t find_keys(KeyTrial *trial, ProviderTable *table, const Settings *settings, const Secrets *secrets) {
        ProviderSlot *slot;
        size_t count = 0;

        for (size_t i = 0; (slot = provider_table_at(table, i)); i++) {
                const ProviderConf *conf = settings_find_provider(settings, provider_name(slot->provider));
                const char *reference;

                for (unsigned number = 1; (reference = settings_provider_key(conf, number)); number++) {
                        if (!secrets_is_new(secrets, reference))
                                continue;
                        if (trial)
                                trial->keys[count] = (TriedKey) { slot, number, reference, false };
                        count++;
                }
        }
        return count;
}

int key_trial_new(KeyTrial **ret, ProviderTable *table, const Settings *settings, const Secrets *secrets, KeyTrialDone done,
                  void *userdata) {
        size_t count = find_keys(NULL, table, settings, secrets);
        KeyTrial *trial;
        int r;

        *ret = NULL;
        if (count == 0)
                return 0;
        trial = calloc(1, sizeof(*trial) + count * sizeof(trial->keys[0]));
        if (!trial)
                return -ENOMEM;
        trial->table = provider_table_ref(table);
        trial->done = done;
        trial->userdata = userdata;
        trial->count = find_keys(trial, table, settings, secrets);
        r = provider_check(trial->keys[0].slot->provider, trial->keys[0].number, on_checked, trial);
        if (r < 0) {
                (void) key_trial_free(trial);
                return r;
        }
        *ret = trial;
        return 0;
}

/* A check under way ends with its provider, untold. */
KeyTrial *key_trial_free(KeyTrial *trial) {
        if (!trial)
                return NULL;
        (void) provider_table_unref(trial->table);
        free(trial);
        return NULL;
}

ProviderTable *key_trial_table(const KeyTrial *trial) {
        return trial->table;
}

bool key_trial_refused(const KeyTrial *trial, const char *reference) {
        for (size_t i = 0; i < trial->count; i++)
                if (trial->keys[i].refused && text_equal(trial->keys[i].reference, reference))
                        return true;
        return false;
}
