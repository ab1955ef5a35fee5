/* Defects in the store: recorded by the transaction that books the attempt, and kept as long as the ledger is, since who claims
 * a refund may do so when job and image are long gone. */
#pragma once

#include "store/defect.h"
#include "store/store.h"

/* Those of the job's last attempt, which has ended: job->defects. */
int store_add_defects(Store *store, const Job *job);

/* Oldest first, behind number `after`. */
int store_list_defects(Store *store, int64_t after, size_t limit, Defect **ret, size_t *ret_count);
