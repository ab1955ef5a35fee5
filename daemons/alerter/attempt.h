/* One try to tell one receiver over HTTP, and what its answer means. */
#pragma once

#include "io/http-client.h"
#include "receivers.h"

typedef struct Attempt Attempt;

typedef enum AttemptOutcome {
        ATTEMPT_SENT,            /* 2xx */
        ATTEMPT_RETRY,           /* nobody answered, or 408, 429, 5xx */
        ATTEMPT_REFUSED,         /* any other answer: asking again would not help */
        ATTEMPT_CANCELLED,
} AttemptOutcome;

#define ATTEMPT_RETRY_AFTER_MAX USEC_PER_HOUR

typedef struct AttemptResult {
        AttemptOutcome outcome;
        usec_t retry_after;                   /* what the receiver asks for; 0: nothing */
        char error[ALERT_ERROR_BYTES_MAX];    /* the receiver's own words; "" when sent */
} AttemptResult;

/* Exactly once, from the loop or out of attempt_cancel(); the attempt is freed afterwards. */
typedef void (*AttemptDone)(const AttemptResult *result, void *userdata);

/* Nothing of receiver or notice is needed after it returns. -EINVAL: the URL is none. */
int attempt_start(Attempt **ret, HttpClient *http, const Receiver *receiver, const Notice *notice, AttemptDone done,
                  void *userdata);
void attempt_cancel(Attempt *attempt);
