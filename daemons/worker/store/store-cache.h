/* Pictures that serve more than one request.
 *
 * An entry says of a picture, by the hash of all that shapes it, which job has it. A submission that finds one is a
 * job that has ended, in the same transaction, with that job's images; nothing is reserved and nothing sent. One that
 * finds the same picture under way becomes a follower: it reserves nothing either, is not dispatched, and ends as its
 * leader ends, images, failure and all, in the transaction that ends the leader. So no crash can part them. A leader
 * that is cancelled hands its part to its first follower (store_promote()).
 *
 * An entry lives as long as its job: who deletes the job takes the picture out of the cache. It goes earlier when it
 * is too old or when others were used more lately and the cache is full. The images themselves belong to jobs. */
#pragma once

#include "store/store.h"

#define STORE_FOLLOWERS_MAX 1024     /* of one job; the next one of the same picture is made anew */
#define STORE_CACHE_REMOVED_MAX 16   /* entries that adding one removes: what a smaller bound leaves goes by and by */

/* The first that follows the job, and what makes it a leader in its place: `amount` is reserved for it, and the others
 * follow it from then on; `held`: as its leader was. STORE_NOT_FOUND, STORE_OVER_BUDGET. */
int store_next_follower(Store *store, const Job *leader, Job **ret);
int store_promote(Store *store, Job *follower, const Job *leader, micros_t amount, bool held, const Budget *budget,
                  BudgetVerdict *verdict);

/* Is there one that was made after then? Reads only. */
int store_cache_has(Store *store, const char *picture, usec_t made_after, bool *ret);

typedef struct CacheTotal {
        int64_t entries, size_bytes;
} CacheTotal;

int store_cache_get_total(Store *store, CacheTotal *ret);

/* Removes entries, at most `max`. Returns how many. */
int store_cache_clear(Store *store, int max);
