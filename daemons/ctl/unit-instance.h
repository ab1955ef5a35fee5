/* What an instance of atelier-alert@.service says: which unit has failed, in which invocation, and how. */
#pragma once

#include "base/macro.h"

#define INVOCATION_TEXT_MAX 33   /* 32 hexadecimal digits and NUL */

typedef struct UnitInstance {
        char *unit;
        char invocation[INVOCATION_TEXT_MAX];   /* "": not said */
        char *result;                           /* NULL: not said */
} UnitInstance;

/* "UNIT", "UNIT:INVOCATION" or "UNIT:INVOCATION:RESULT"; a unit's name may have colons itself. -EINVAL: no unit's
 * name. Whatever it returns, unit_instance_done() frees it. */
int unit_instance_parse(UnitInstance *ret, const char *text);
void unit_instance_done(UnitInstance *instance);

/* True for 32 hexadecimal digits and nothing else. */
bool invocation_valid(const char *text);
