/* Defects in the store: recorded by the transaction that books the attempt, and kept as long as the ledger is, since who claims
 * a refund may do so when job and image are long gone. */
#pragma once

#include "store/defect.h"
#include "store/store.h"

#define JOB_DEFECTS_MAX 32  /* of one job that are told with it; its newest */

/* Those of the job's last attempt, which has ended: job->defects. */
int store_add_defects(Store *store, const Job *job);

/* Oldest first, behind number `after`, and recorded at `since` (realtime) or later: all numbers behind `after` are looked at, as
 * the clock may have been set back between them. */
int store_list_defects(Store *store, int64_t after, usec_t since, size_t limit, Defect **ret, size_t *ret_count);

/* Of the job with this id, which need not be there any more; at most JOB_DEFECTS_MAX, oldest first. */
int store_list_job_defects(Store *store, const char *job, Defect **ret, size_t *ret_count);

/* The same as job->recorded_defects. */
int store_read_job_defects(Store *store, Job *job);
