/* How jobs come by a picture that is there or under way; the store's side of it is store-cache.h. */
#pragma once

#include "keys/caller.h"
#include "manager.h"
#include "queue/request-translate.h"

/* What a client says of the cache, by Cache-Control (RFC 9111). */
typedef struct CacheWish {
        bool no_cache;  /* a new picture */
        bool no_store;  /* one that also serves nobody else */
} CacheWish;

/* The terms on which a submission may be served, which are none where the cache is off. */
int picture_cache_terms(Manager *manager, const Translation *translation, const Caller *caller, CacheWish wish,
                        JobCache *ret);

/* What may be kept of the job's images when it ends. */
void picture_cache_prepare_end(const Settings *settings, Job *job);

/* The end of the job is durable: those that followed it have ended with it, and are told. */
void picture_cache_ended(Manager *manager, const Job *leader);

/* A leader that is cancelled hands on its part: to the first follower whose budgets have room for `amount`; those
 * before it have failed. */
typedef struct Succession {
        Job *promoted;  /* or NULL */
        Job **failed;
        size_t n_failed;
} Succession;

/* In the group that cancels the leader. `held`: as it was. */
int picture_cache_succeed(Manager *manager, Store *store, const Job *leader, micros_t amount, bool held,
                          Succession *ret);
void picture_cache_succeeded(Manager *manager, const Succession *succession);  /* that is durable */
void succession_done(Succession *succession);
