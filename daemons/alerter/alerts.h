/* What happens to an alert that is fired, and to one that is over: between the methods and the store. */
#pragma once

#include "manager.h"

/* So many alerts of one name, source and severity within the window are told one by one; those after them are folded
 * into the last. */
#define ALERTS_PER_SOURCE_MAX 6
#define ALERTS_WINDOW_USEC USEC_PER_MINUTE

enum {
        ALERTS_BAD_FIELD = 1,     /* *ret_field */
        ALERTS_FULL,
};

/* 0 once it is durable; *ret stays the store's. A folded one is the alert into which it was. */
int alerts_fire(AlerterManager *manager, const AlertInput *input, Alert **ret, const char **ret_field);

int alerts_resolve(AlerterManager *manager, Alert *alert);
