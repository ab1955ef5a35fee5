/* A job that somebody waits for: its progress, and its images once it has ended. */
#pragma once

#include "ctl.h"
#include "image-output.h"
#include "base/time.h"

typedef struct JobWait {
        const char *method;       /* io.atelier.Queue.Submit or .Watch */
        JsonValue *parameters;    /* stays the caller's */
        const char *id;           /* of the job, where it is known already */
        ImageOutput output;
        usec_t timeout;           /* 0: as long as it takes */
} JobWait;

/* EXIT_SUCCESS when the job is completed and its images are written; otherwise EXIT_FAILURE after a message that
 * says how to go on. A connection that is lost is made anew: both methods may be asked twice. */
int job_result_wait(const Ctl *ctl, const JobWait *wait);

/* { "origin": "member" }: whoever reaches the worker's socket is one. NULL when memory is short. */
JsonValue *job_caller(void);
