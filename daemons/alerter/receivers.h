/* Who is told: the receivers of the configuration, and journald, which is always there. */
#pragma once

#include "conf/settings.h"
#include "notifier.h"

typedef struct Receivers Receivers;

typedef struct Receiver {
        char *name;
        const Notifier *notifier;
        AlertSeverity severity;      /* the least */
        char *url;                   /* the secret itself; NULL: none, and `problem` says why */
        const char *problem;         /* static text: "no url", "bad url"; NULL: it can be told */
        bool dormant;                /* as it was shipped, and without a URL: nobody expects that it is told */
        usec_t timeout;
} Receiver;

/* A URL that cannot be had is a receiver with a problem, not an error. */
int receivers_new(Receivers **ret, const Settings *settings);
Receivers *receivers_free(Receivers *receivers);   /* wipes the URLs */
DEFINE_CLEANUP(Receivers *, receivers_free);

/* journald first; NULL past the end. */
const Receiver *receivers_at(const Receivers *receivers, size_t i);
const Receiver *receivers_find(const Receivers *receivers, const char *name);
