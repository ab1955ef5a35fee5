/* What a waiting job may expect: its place and how long it will take.
 *
 * The place counts the attempts that begin before it in its lane (dispatch-turn.h), if nothing more came and none
 * failed: retries that are due; what its own party has before it, by priority and acceptance; and of each other party as
 * many as have a turn meanwhile (fair-share.h). It is looked up within the indexes by which jobs are dispatched, and no
 * further than OUTLOOK_POSITION_MAX entries: beyond, it is only said that there are more.
 *
 * How long it will take is an estimate, by the mean of the last attempts (attempt-times.h), the provider's concurrency
 * and its images per minute, one image to a job, as if its model had the provider to itself. Where there is nothing to
 * estimate from, or nobody knows when it goes on (dispatching is paused), there is none. */
#pragma once

#include "dispatch/attempt-times.h"
#include "dispatch/fair-share.h"
#include "manager.h"

#define OUTLOOK_POSITION_MAX 1000

typedef struct OutlookFacts {
        int64_t position;            /* 1: the next one; 0: it waits for its time, which is `wait` */
        usec_t mean;                 /* of an attempt; 0: not known */
        size_t concurrency, running; /* attempts that the provider takes at a time, and has */
        uint64_t images_per_minute;  /* 0: without a limit */
        usec_t wait;                 /* before which nothing begins */
} OutlookFacts;

/* Until the job's end, in microseconds; 0: there is no telling. Pure. */
usec_t outlook_estimate(const OutlookFacts *facts);

/* Fills in job->outlook of a job as it was read; of one that does not wait to be dispatched it is empty. `moving`: jobs
 * are dispatched at all. */
int outlook_set(Manager *manager, const FairShare *share, const AttemptTimes *times, bool moving, Job *job);
