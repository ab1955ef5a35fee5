/* The ids of jobs, as the worker makes them: what cannot be a job's is not asked for. */
#pragma once

#include "base/id.h"
#include "base/text.h"

#define JOB_ID_PREFIX "job_"

static inline bool job_id_valid(const char *text) {
        const char *id = text_after(text, JOB_ID_PREFIX);

        return id && id_valid(id);
}
