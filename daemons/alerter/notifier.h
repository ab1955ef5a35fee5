/* How a receiver is told: what one kind of receiver differs in from another. Pure but for the journal's, which needs
 * nobody's answer. */
#pragma once

#include "alert.h"
#include "base/buffer.h"

/* One thing to tell one receiver. */
typedef struct Notice {
        const Alert *alert;
        AlertState state;        /* that it fires, or that it is over */
        const char *receiver;
        bool test;
} Notice;

typedef struct Notifier {
        const char *kind;        /* as the settings call it */
        usec_t interval;         /* between two requests to one receiver */
        bool idempotency_key;    /* whether requests carry one */

        /* Appends the JSON body of a POST. */
        int (*format)(const Notice *notice, Buffer *body);

        /* Tells at once and without a request; then `format` is not there. */
        void (*tell)(const Notice *notice);
} Notifier;

extern const Notifier slack_notifier, webhook_notifier, journald_notifier;
