/* What is wrong with the reply of an attempt, before it is booked. A picture that is one is kept and delivered all the same: it
 * is paid for, and a suspicion is no proof. */
#pragma once

#include "dispatch/attempt-run.h"

/* Of images that were taken from it, while they are temporary: job->defects, and the attempt's cause. */
void attempt_find_defects(AttemptRun *run, const GenerationResult *result);

/* Of a reply that failed: one from which no image could be taken is a defect. */
void attempt_find_unusable(AttemptRun *run);

/* They are recorded. */
void attempt_count_defects(AttemptRun *run);
