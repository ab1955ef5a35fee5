/* What a model takes, and what becomes of it behind an alias. Pure: by the settings alone. */
#pragma once

#include "conf/settings.h"

/* By its lists and, for sizes, its rule. */
bool model_takes_size(const ModelConf *model, const char *size);
bool model_takes_quality(const ModelConf *model, const char *quality);
bool model_takes_format(const ModelConf *model, const char *format);

/* What is asked of the provider for what a client has asked for; the same where the alias does not translate it, and
 * NULL for NULL. Points into `alias` or is the argument. */
const char *alias_size(const ModelConf *alias, const char *size);
const char *alias_quality(const ModelConf *alias, const char *quality);

/* "FROM TO", one blank between. */
bool alias_line_valid(const char *line);

/* FROM without the rest of its line; -EINVAL, -ENOMEM. */
int alias_line_from(const char *line, char **ret);
