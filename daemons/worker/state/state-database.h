/* A database that is not in use: the copy that a snapshot hands out, and the one that a restore has brought. Blocks: for a
 * helper thread; used by one thread at a time. */
#pragma once

#include "base/macro.h"
#include "images/image-store.h"

typedef struct StateDatabase StateDatabase;

typedef struct StateTotals {
        int64_t jobs, held;
        int64_t images;          /* different ones */
        int64_t image_bytes;
} StateTotals;

/* Opens a database of ours whatever version it has up to ours, brings its layout up to date, and holds every unfinished
 * job; afterwards it is one file without a journal. `thorough` also checks every page and index, the layout, and reads every job. Errors as store_open();
 * -EUCLEAN as well when the check finds anything. */
int state_database_open(StateDatabase **ret, const char *path, bool thorough);
StateDatabase *state_database_free(StateDatabase *database);
DEFINE_CLEANUP(StateDatabase *, state_database_free);

const StateTotals *state_database_totals(const StateDatabase *database);

typedef struct StateImage {
        char sha256[SHA256_TEXT_MAX];
        ImageFormat format;
        uint64_t size_bytes;
} StateImage;

/* The images that jobs use, ascending by their names, each once. 1 with *ret, 0 at the end. */
int state_database_next_image(StateDatabase *database, StateImage *ret);
