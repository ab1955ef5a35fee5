/* The providers that the settings name, ready to be called. A table is never changed: a reload makes a new one, and
 * the old one lives on until its last attempt has ended. */
#pragma once

#include "base/buffer.h"
#include "conf/settings.h"
#include "providers/provider.h"

typedef struct ProviderTable ProviderTable;

/* One instance and what of its settings outlives a reload. */
typedef struct ProviderSlot {
        ProviderTable *table;
        Provider *provider;
        usec_t timeout;         /* of an attempt */
        bool retry_unknown;
        unsigned concurrency;
        unsigned running;       /* attempts under way; the dispatcher's count */
} ProviderSlot;

/* -EBADMSG with lines in `errors`: a key that can't be read, a bad URL; in production, no provider that can be
 * used. A key that is not there yet leaves its provider without one, which is no error elsewhere. */
int provider_table_new(ProviderTable **ret, const ProviderContext *context, const Settings *settings,
                       Buffer *errors);
ProviderTable *provider_table_ref(ProviderTable *table);
ProviderTable *provider_table_unref(ProviderTable *table);
DEFINE_CLEANUP(ProviderTable *, provider_table_unref);

/* NULL: there is none of that name. */
ProviderSlot *provider_table_find(ProviderTable *table, const char *name);
ProviderSlot *provider_table_at(ProviderTable *table, size_t index);  /* NULL past the end */

/* Can money be spent? */
bool provider_table_is_paid(const ProviderTable *table);
