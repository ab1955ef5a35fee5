/* Asking before something is done that cannot be taken back. */
#pragma once

#include "base/macro.h"

/* EXIT_SUCCESS when the answer is yes, or `yes` was said on the command line. Without a terminal nobody can be asked:
 * CTL_USAGE with a message; a no is EXIT_FAILURE with one. */
int confirm_possible(void);  /* the same, before there is a question */
int confirm(const char *question, bool yes);
