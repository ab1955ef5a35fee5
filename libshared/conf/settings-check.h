/* What concerns several settings at once. */
#pragma once

#include "conf/settings.h"

/* Appends a line for each thing that does not fit together. 0 or -ENOMEM. */
int settings_check(const Settings *settings, const ConfOrigins *origins, Buffer *errors);
