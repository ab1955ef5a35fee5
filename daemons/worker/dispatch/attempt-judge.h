/* What becomes of a job whose attempt has failed: another attempt (later, with the next key, of the next model), or
 * the end. */
#pragma once

#include "dispatch/attempt-run.h"

/* `result` is not completed, and run->job->failure what it says. Sets run->verdict; for a job that goes on (up to
 * RETRY_NEXT_MODEL) when it may begin and what its history keeps of that, for one that does not what its client is
 * told. */
void attempt_judge(AttemptRun *run, const GenerationResult *result);
