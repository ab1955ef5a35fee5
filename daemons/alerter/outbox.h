/* What is still to be told, and the telling of it: see the essay in outbox.c. */
#pragma once

#include "alert-store.h"
#include "attempt.h"

typedef struct Outbox Outbox;

typedef struct OutboxLimits {
        usec_t retry_min, retry_max;     /* pause after a failed try; doubles from the one to the other */
        usec_t retry_for;                /* then a notice is given up */
} OutboxLimits;

typedef struct OutboxHooks {
        /* Something is to be sent, or on its way (true), or nothing any more: true and false in turn. */
        void (*busy)(bool busy, void *userdata);
        /* A try is over; `delivery` says how. */
        void (*tried)(const Alert *alert, const Delivery *delivery, const AttemptResult *result, void *userdata);
        /* Its outcome could not be written: after a crash it would be made again. */
        void (*unrecorded)(const Alert *alert, int error, void *userdata);
} OutboxHooks;

/* `receivers`, `http` and `store` are the caller's and outlive it. Begins with what the store has to be sent. */
int outbox_new(Outbox **ret, sd_event *event, HttpClient *http, AlertStore *store, const OutboxHooks *hooks,
               void *userdata);
Outbox *outbox_free(Outbox *outbox);   /* what is on its way is cancelled, and stays to be sent */
DEFINE_CLEANUP(Outbox *, outbox_free);

/* From now on these are told; from the second time on, what waits is tried at once. The former ones are not looked at
 * any more when it returns. */
int outbox_configure(Outbox *outbox, const Receivers *receivers, const OutboxLimits *limits);

/* The store has something new to be sent. */
void outbox_look(Outbox *outbox);

/* Begins nothing any more; what is on its way is waited for. */
void outbox_quiesce(Outbox *outbox);

/* Notices that wait to be sent, and those of firing alerts that were given up. */
void outbox_count(const Outbox *outbox, size_t *ret_pending, size_t *ret_failed);

/* Something that could be sent has been waiting for minutes with nothing on its way. */
bool outbox_stalled(const Outbox *outbox);
