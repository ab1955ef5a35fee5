/* How far a long call has come, for whoever looks on: a line that is written over on a terminal, now and then a line
 * elsewhere, and STATUS= for the service manager. */
#pragma once

#include <stdio.h>

#include "base/macro.h"
#include "base/time.h"

#define PROGRESS_PLAIN_USEC (10 * USEC_PER_SEC)  /* between two lines where there is no terminal */

typedef struct ProgressLine ProgressLine;

/* On standard error. With `quiet` only the service manager is told. */
int progress_line_new(ProgressLine **ret, bool quiet);
int progress_line_new_on(ProgressLine **ret, FILE *stream, bool terminal, size_t columns);  /* stream NULL: quiet */
ProgressLine *progress_line_free(ProgressLine *line);  /* clears the terminal's line */
DEFINE_CLEANUP(ProgressLine *, progress_line_free);

void progress_line_show(ProgressLine *line, const char *text);
void progress_line_show_at(ProgressLine *line, const char *text, usec_t now);

/* "what: 45 %, 12.3 MB of 27.0 MB"; without a total (0 or below) what is known. */
void progress_line_show_bytes(ProgressLine *line, const char *what, int64_t done, int64_t total);

/* Takes the line off a terminal before something else is written. */
void progress_line_clear(ProgressLine *line);
