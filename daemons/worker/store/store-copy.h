/* A consistent copy of the store, made step by step while it is written to. One at a time. */
#pragma once

#include "store/store.h"

enum {
        STORE_COPY_MORE = 1,
};

/* Begins a copy to a new file. */
int store_copy_begin(Store *store, const char *path);

/* Goes on with it, for about a millisecond. STORE_COPY_MORE: call again, later; 0: the copy is there, as the store is at
 * this moment. After an error there is none; -ECANCELED when the store was opened anew since. */
int store_copy_step(Store *store);

/* Gives it up; also done by store_free(). */
void store_copy_end(Store *store);
