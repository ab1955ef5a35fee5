/* Jobs for people. */
#pragma once

#include "base/json.h"
#include "text-table.h"

extern const char *const job_table_headings[];

void job_print_row(TextTable *table, const JsonValue *job);

/* All there is to know about one. */
void job_print(const JsonValue *job);

/* "held" or the status as it is; static text or the job's. */
const char *job_state(const JsonValue *job);
