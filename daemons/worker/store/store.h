/* The durable state of the worker: jobs, attempts and the images that jobs use.
 *
 * Every operation is one call that a transaction carries out whole; this header is the seam behind which another
 * store could stand. The worker is the only writer. Writing operations stand inside a group (store_group_begin() …
 * store_group_commit()), each within its own savepoint: one that fails leaves the others of its group untouched, and
 * all of a group share one fsync. Nothing counts before the commit has returned 0.
 *
 * After a failed commit nothing that SQLite holds in memory is trusted: the caller frees the store, opens it again,
 * and asks what is there (an fsync that failed may still have reached the disk).
 *
 * Errors: -ENOSPC (disk full; the store goes on), -EIO, -ENOMEM, -EUCLEAN (not our database, or damaged),
 * -EPROTONOSUPPORT (made by a newer version). */
#pragma once

#include "base/macro.h"
#include "keys/client-key.h"
#include "money/budget.h"
#include "store/job.h"

typedef struct Store Store;

enum {
        STORE_EXISTS = 1,      /* submit: a job of that id is there already */
        STORE_NOT_FOUND,
        STORE_WRONG_STATE,     /* the job is not in the state that the operation needs */
        STORE_KEY_REUSED,      /* submit: another request came with this idempotency key */
        STORE_OVER_RATE,       /* the key asks for more than its rates leave */
        STORE_OVER_BUDGET,     /* submit: *verdict says which limit the job would exceed */
};

/* Opens or creates the database, brings its schema to the current version, checks it. */
int store_open(Store **ret, const char *path);
Store *store_free(Store *store);
DEFINE_CLEANUP(Store *, store_free);

/* Groups. */
int store_group_begin(Store *store);
int store_group_commit(Store *store);
void store_group_rollback(Store *store);
bool store_group_open(const Store *store);

/* Runs `operation` within a savepoint of the open group: all of it, or, where it does not return 0, nothing. */
int store_run_in_savepoint(Store *store, int (*operation)(Store *store, void *userdata), void *userdata);

/* Stores a queued job and sets job->sequence; what it has reserved is booked. STORE_EXISTS: there is such a job
 * already, of this id, or of the same idempotency key, whose id job->id then is. STORE_KEY_REUSED, STORE_OVER_BUDGET.
 * `budget` and `verdict` may be NULL, here and below: there is no limit. */
int store_submit(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict);

/* queued → in_progress, leased to `lease`, with a new attempt, which is the last of *ret. STORE_WRONG_STATE. */
int store_start_attempt(Store *store, const char *id, const char *provider, const char *lease, usec_t now,
                        Job **ret);

/* The same, of another model than the job's own, and why. Both may be NULL. */
int store_start_fallback(Store *store, const char *id, const char *provider, const char *model, const char *note,
                         const char *lease, usec_t now, Job **ret);

/* How an attempt ended; `status` is what the job becomes: completed, failed, or queued to be tried again, and not
 * before job->not_before. Images, usage, reply and failure are taken from `job`, the attempt's facts and its cost from
 * its last attempt. The ledger follows: settled, released, or unknown. An attempt that may have been charged and is
 * made again reserves once more; where no budget has room for that, the job fails instead. STORE_WRONG_STATE: that
 * attempt is not under way. */
int store_end_attempt(Store *store, Job *job, const Budget *budget, BudgetVerdict *verdict);

/* queued → cancelled or failed (job->failure); what it had reserved is released. */
int store_end_queued(Store *store, Job *job);

/* Lets held jobs go on: those named, or all (`ids` NULL). *ret_count of them wait to be dispatched now, and
 * *ret_to_budget for their budget. */
int store_release(Store *store, const char *const *ids, size_t n_ids, int64_t *ret_count, int64_t *ret_to_budget);

/* Removes an ended job. STORE_NOT_FOUND, STORE_WRONG_STATE. */
int store_delete(Store *store, const char *id);

/* Reading. */
int store_get(Store *store, const char *id, Job **ret);                       /* STORE_NOT_FOUND */

/* A waiting job that is not held. */
typedef struct WaitingJob {
        char id[JOB_ID_MAX];
        int64_t sequence;
        usec_t not_before;           /* realtime, of a retry; 0: it is none */
        char party[CLIENT_KEY_ID_MAX];  /* the client's key; "": none */
        JobPriority priority;
} WaitingJob;

/* The model, behind `after` in the order of names ("" is before all), that jobs wait for. STORE_NOT_FOUND. */
int store_next_waiting_model(Store *store, const char *after, char **ret);

/* Of the model's waiting retries that are due at `now` (realtime) the one behind `after`, or the first (NULL), in the order
 * of their times. STORE_NOT_FOUND. Costs the logarithm of what waits, as do all that follow. */
int store_next_due(Store *store, const char *model, usec_t now, const WaitingJob *after, WaitingJob *ret);

/* The same of what was never tried: by parties, in the order of their names, then by priority and acceptance. */
int store_next_untried(Store *store, const char *model, const WaitingJob *after, WaitingJob *ret);

/* The first of these of the party that comes behind `after`, which need not have any. STORE_NOT_FOUND: none does. */
int store_next_party(Store *store, const char *model, const char *after, WaitingJob *ret);

/* How many jobs go before that one, which waits: of a retry those due before it; of another one the retries that are due
 * at `now`, its party's before it, and as many of each other party as have a turn until then, if that of `last` was the
 * last one (fair-share.h). Counts up to `limit` and no further. */
int store_count_ahead(Store *store, const Job *job, const char *last, usec_t now, int64_t limit, int64_t *ret);

/* When the first retry is due that is not due at `now`. STORE_NOT_FOUND. */
int store_next_retry_time(Store *store, usec_t now, usec_t *ret);

/* The waiting retry whose first attempt began the longest ago, and when that was. STORE_NOT_FOUND. */
int store_oldest_retry(Store *store, WaitingJob *ret, usec_t *ret_started_at);

/* Newest first; status JOB_STATUS_INVALID = any; after NULL = from the newest; key NULL = of whomever, else only jobs
 * of this key. Each job in full. */
int store_list(Store *store, const char *key, JobStatus status, const char *after, size_t limit, Job ***ret,
               size_t *ret_count);

/* The next job in progress that is leased to somebody else than `lease`: its holder has died. STORE_NOT_FOUND. */
int store_next_orphan(Store *store, const char *lease, Job **ret);

/* Has any attempt been made at this provider? */
int store_has_attempts(Store *store, const char *provider, bool *ret);

/* Jobs that use the image. */
int store_image_uses(Store *store, const char *sha256, ImageFormat format, int64_t *ret);

int store_count_waiting(Store *store, int64_t *ret);  /* without those that are held */
int store_count_held(Store *store, int64_t *ret);
int store_count_following(Store *store, int64_t *ret);

/* The clients' keys; the first four are writing operations. Merging adds one that is not there, and hands on its
 * revocation to one that is. Revoking one that is revoked changes nothing. STORE_NOT_FOUND. */
int store_add_key(Store *store, const ClientKey *key);
int store_merge_key(Store *store, const ClientKey *key);
int store_revoke_key(Store *store, const char *id, usec_t now);
int store_delete_key(Store *store, const char *id);

/* Gives it the secret, and the former one, of *key. STORE_NOT_FOUND: there is no such key, or it is revoked. */
int store_rotate_key(Store *store, const ClientKey *key);

/* It has been used: kept to a minute. */
int store_use_key(Store *store, const char *id, usec_t now);
int store_get_key(Store *store, const char *id, ClientKey *ret);

/* Oldest first, behind `after` (NULL: from the first), up to `limit`. Returns their number. */
int store_list_keys(Store *store, const char *after, ClientKey *keys, size_t limit);

/* Has there ever been one, revoked or not? */
int store_has_keys(Store *store, bool *ret);
