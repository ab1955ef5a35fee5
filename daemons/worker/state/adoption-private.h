/* The inner side of adoption.h: one adoption, from Prepare to its end. */
#pragma once

#include "base/id.h"
#include "state/adoption.h"
#include "state/state-database.h"
#include "state/state-receiver.h"

struct Adoption {
        Manager *manager;
        char id[ID_TEXT_MAX];
        StateReceiver *receiver;
        bool busy;                  /* a helper thread is at work on it, or it is being adopted */
        usec_t called_at;           /* monotonic: when it was last asked for anything */
        bool held;                  /* the worker stays for it, as long as its caller may come back */
        sd_event_source *patience_timer;

        bool receiving, abandoned;  /* abandoned: to be removed once the helper thread has let go of its files */
        sd_event_source *let_go;

        VarlinkCall *call;          /* of Adopt, or of an Abandon that waits; NULL: its caller has gone */
        const char *reason;         /* why it is refused; static */
        StateTotals totals;
        int64_t missing;
        char former[STATE_FORMER_NAME_MAX];
        sd_event_source *park_timer;
};

/* The adoption of this id that nobody works on. NULL after the call has been answered. */
Adoption *adoption_find(Manager *manager, VarlinkCall *call, const char *id);

/* Its end: there is none any more. What was built stays until the next one, or the next start. */
void adoption_forget(Adoption *adoption);

int adoption_refuse_busy(VarlinkCall *call);

/* A call that is answered later lies in a VarlinkCall * that is NULL once the caller has gone. */
void adoption_on_caller_gone(VarlinkCall *call, void *userdata);
VarlinkCall *adoption_take_call(VarlinkCall **call);
