/* Does an alias lead to a model that takes what the alias lets clients ask for? */
#pragma once

#include "conf/settings.h"

/* Of a model with `alias_of`; one line at most in `errors`, which begins with `place`. 0 or -ENOMEM. */
int alias_check(const Settings *settings, const ModelConf *alias, const char *place, Buffer *errors);
