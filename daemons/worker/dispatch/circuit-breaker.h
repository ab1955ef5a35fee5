/* The circuit breaker of one provider and model. Pure: the clock is handed in.
 *
 *   CLOSED ─ failures in a row ─► OPEN ─ cooldown over, an attempt begins ─► HALF_OPEN ─ it does well ─► CLOSED
 *                                  ▲                                            │
 *                                  └──────────────── it fails ──────────────────┘
 *
 * While it is open nothing begins; half open, one attempt does, the probe, and the others wait for its end. What began
 * before the circuit opened is old news: only the probe's end counts then. */
#pragma once

#include <stdbool.h>

#include "base/time.h"

/* The numbers are those of the gauge. */
typedef enum CircuitState {
        CIRCUIT_CLOSED = 0,
        CIRCUIT_HALF_OPEN = 1,
        CIRCUIT_OPEN = 2,
} CircuitState;

/* What the end of an attempt says about the provider. */
typedef enum CircuitEvidence {
        CIRCUIT_EVIDENCE_NONE,
        CIRCUIT_EVIDENCE_WELL,
        CIRCUIT_EVIDENCE_FAILING,
} CircuitEvidence;

typedef struct CircuitLimits {
        unsigned failures_max;        /* in a row; the circuit opens with the last */
        usec_t cooldown;
} CircuitLimits;

/* All zero is closed. */
typedef struct CircuitBreaker {
        CircuitState state;
        unsigned failures;            /* in a row */
        bool probing;
        usec_t open_until;            /* monotonic */
} CircuitBreaker;

/* 0: an attempt may begin at `now`; else when one may (monotonic); USEC_INFINITY: when the probe has ended. */
usec_t circuit_wait(const CircuitBreaker *breaker, usec_t now);

/* An attempt begins, as circuit_wait() has allowed. Is it the probe? */
bool circuit_begin(CircuitBreaker *breaker);

/* An attempt has ended. Has the state changed? */
bool circuit_end(CircuitBreaker *breaker, const CircuitLimits *limits, bool probe, CircuitEvidence evidence,
                 usec_t now);

/* Something was changed that may help: an open circuit is tried at once. */
void circuit_hurry(CircuitBreaker *breaker);

const char *circuit_state_name(CircuitState state);
