/* Whether an attempt that failed is made again, and after how long. Pure: chance and settings are handed in.
 *
 * The rule is that of OpenAI's own client, kept away from where it would cost money or do nothing: what may have been
 * charged is repeated only where the configuration says so; an exhausted quota and a prompt that was rejected are
 * never repeated, whatever the provider's headers say. */
#pragma once

#include <stdint.h>

#include "providers/provider.h"

#define RETRY_AFTER_MAX_USEC (120 * USEC_PER_SEC)  /* a provider that asks for more is not asked again */

/* How the attempt ended; not completed. */
typedef struct RetryEnd {
        GenerationOutcome outcome;
        int http_status;              /* the provider's own; 0: it gave none */
        const char *type, *code;      /* of its error; may be NULL */
        usec_t retry_after;           /* 0: not said */
        RetryHint hint;               /* x-should-retry */
        bool local;                   /* our own disk or memory failed */
} RetryEnd;

typedef struct RetryLimits {
        unsigned retries_made;        /* of this job so far */
        unsigned attempts_max;        /* the first one counts */
        bool retry_unknown;           /* what may have been charged may be repeated */
        usec_t delay_min, delay_max;  /* of the delays that grow by themselves */
        usec_t time_left;             /* until the job's deadline */
        uint32_t chance;              /* any number, equally likely */
} RetryLimits;

typedef enum RetryVerdict {
        RETRY_LATER,
        RETRY_NEXT_KEY,               /* at once; not of retry_policy(), see key-refusal.h */
        RETRY_NEXT_MODEL,             /* the same; see fallback.h */
        RETRY_NOT_REPEATABLE,         /* the same would be answered again */
        RETRY_NOT_MODERATED,
        RETRY_NOT_QUOTA,
        RETRY_NOT_CHARGEABLE,         /* it may have been charged */
        RETRY_NOT_HINTED,             /* the provider asks not to */
        RETRY_NOT_SO_LATE,            /* Retry-After past RETRY_AFTER_MAX_USEC */
        RETRY_NOT_MORE,               /* attempts_max */
        RETRY_NOT_IN_TIME,            /* it would begin after the job's deadline */
        _RETRY_VERDICTS,
} RetryVerdict;

/* *ret_delay is set for RETRY_LATER alone. */
RetryVerdict retry_policy(const RetryEnd *end, const RetryLimits *limits, usec_t *ret_delay);

/* May another model make what ended so, by that verdict? What was rejected, is wrong in itself or may have been
 * charged never. */
bool retry_may_fall_back(RetryVerdict verdict, const RetryEnd *end);

/* In words, for the log: "the provider's quota is exhausted". */
const char *retry_verdict_reason(RetryVerdict verdict);

/* The account's money or quota is used up: no request of the kind will do until somebody pays. */
bool retry_is_quota(const char *type, const char *code);

/* `delay_min` doubled with each retry made up to `delay_max`, less up to a quarter by chance. */
usec_t retry_backoff(usec_t delay_min, usec_t delay_max, unsigned retries_made, uint32_t chance);
