/* What the journal has of one invocation of a unit. */
#pragma once

#include "base/macro.h"
#include "base/time.h"
#include "unit-instance.h"

#define UNIT_LINES_MAX 20
#define UNIT_LINE_BYTES_MAX 512

typedef struct UnitStory {
        char invocation[INVOCATION_TEXT_MAX];  /* "": not known */
        char *result;                          /* as the manager has recorded it; NULL: it has not */
        char *exit_code, *exit_status;         /* of the main process: "killed", "6"; NULL: not known */
        char *lines[UNIT_LINES_MAX];           /* the last ones, secrets masked; oldest first */
        size_t n_lines;
} UnitStory;

/* Waits up to `patience` for the record that the unit has failed, so that what it said last is there as well. With
 * invocation "" it is that which failed last. Whatever it returns, unit_story_done() frees it. */
int unit_story_read(UnitStory *ret, const char *unit, const char *invocation, usec_t patience);
void unit_story_done(UnitStory *story);

/* Messages, oldest first, become story->lines: masked as a whole, then divided at their newlines and cut. */
int unit_story_take_lines(UnitStory *story, const char *messages);
