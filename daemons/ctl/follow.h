/* Calls of atelierctl that last: several replies, descriptors, progress, ^C. */
#pragma once

#include "base/time.h"
#include "ctl.h"
#include "io/varlink-dialog.h"

/* The call was given up because `timeout` was over; nothing has been said about it. */
#define FOLLOW_TIMED_OUT 3

typedef struct Follow {
        const char *daemon, *method;
        const JsonValue *parameters;  /* NULL: none */
        usec_t timeout;               /* for all of it; 0: for ever */

        /* How often a call whose connection is lost is made, at least once; more only for what may be asked twice. */
        unsigned tries;

        /* With on_reply more than one reply is asked for, and it hears of each but the last. on_tick is called a few
         * times a second while there is nothing to hear. */
        void (*on_reply)(const JsonValue *parameters, void *userdata);
        void (*on_tick)(void *userdata);

        /* Told of ^C and of SIGTERM; the program ends by that signal right after. NULL: it ends at once. */
        void (*on_interrupt)(void *userdata);
        void *userdata;
} Follow;

/* EXIT_SUCCESS with the last reply, which is no error; FOLLOW_TIMED_OUT; or a message and EXIT_FAILURE. */
int follow_call(const Follow *follow, VarlinkAnswer *ret);
