/* The list of jobs, however long: page after page of it. */
#pragma once

#include "base/json.h"

/* Calls `each` with up to `limit` jobs, newest first, that have the status (NULL: any; "held" is one).
 * EXIT_SUCCESS, or a message and EXIT_FAILURE. *ret_more, which may be NULL, tells whether there are others. */
int job_pages_visit(const char *status, uint64_t limit, void (*each)(const JsonValue *job, void *userdata),
                    void *userdata, bool *ret_more);
