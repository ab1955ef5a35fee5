/* Batches in the store: which jobs belong together.
 *
 * A batch is a row, and a row for each of its items, which names the item's job. What has become of it is not kept: it
 * is counted from the jobs' own rows, of which there are BATCH_ITEMS_MAX at most. So nothing has to follow what happens
 * to a job, and no crash can leave the two at odds. */
#pragma once

#include "store/batch.h"
#include "store/store.h"

/* Stores the batch and its items, each of them as store_submit() does, or nothing at all. *ret_fits is how many were
 * accepted before the one that was not (the number of all at 0). STORE_EXISTS: it is there already, of this id or of
 * the same idempotency key, and batch->id says which it is. STORE_KEY_REUSED, STORE_OVER_BUDGET (see that item's
 * verdict). */
int store_submit_batch(Store *store, Batch *batch, BatchItem *items, size_t count, size_t *ret_fits);

int store_get_batch(Store *store, const char *id, Batch **ret);               /* STORE_NOT_FOUND */

/* Newest first; as store_list(). */
int store_list_batches(Store *store, const char *key, const char *after, size_t limit, Batch ***ret,
                       size_t *ret_count);
void batches_free(Batch **batches, size_t count);

/* Behind number `after`, in their order. */
int store_list_batch_items(Store *store, const Batch *batch, int64_t after, size_t limit, BatchItem **ret,
                           size_t *ret_count);

/* Its cancellation is asked for: from now on none of its jobs goes back into the queue. Not the first time: nothing
 * changes. */
int store_cancel_batch(Store *store, const Batch *batch, usec_t now);

/* The last of its items before number `before` whose job waits. STORE_NOT_FOUND. */
int store_next_waiting_item(Store *store, const Batch *batch, int64_t before, int64_t *ret_number, Job **ret);

/* An attempt has ended and the job is to be tried again: where it is one of a batch that is cancelled, and nobody else
 * waits for its images, it ends as cancelled instead. */
int store_end_retry_of_batch(Store *store, Job *job);
