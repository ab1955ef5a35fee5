#include "dispatch/circuit-breaker.h"

#include "base/macro.h"

usec_t circuit_wait(const CircuitBreaker *breaker, usec_t now) {
        if (breaker->state == CIRCUIT_OPEN && now < breaker->open_until)
                return breaker->open_until;
        return breaker->probing ? USEC_INFINITY : 0;
}

bool circuit_begin(CircuitBreaker *breaker) {
        if (breaker->state == CIRCUIT_CLOSED)
                return false;
        breaker->state = CIRCUIT_HALF_OPEN;
        breaker->probing = true;
        return true;
}

static void open_circuit(CircuitBreaker *breaker, const CircuitLimits *limits, usec_t now) {
        breaker->state = CIRCUIT_OPEN;
        breaker->open_until = now + limits->cooldown;
}

static bool end_probe(CircuitBreaker *breaker, const CircuitLimits *limits, CircuitEvidence evidence, usec_t now) {
        breaker->probing = false;
        if (evidence == CIRCUIT_EVIDENCE_NONE)
                return false;
        if (evidence == CIRCUIT_EVIDENCE_FAILING) {
                breaker->failures++;
                open_circuit(breaker, limits, now);
        } else
                *breaker = (CircuitBreaker) {};
        return true;
}

bool circuit_end(CircuitBreaker *breaker, const CircuitLimits *limits, bool probe, CircuitEvidence evidence,
                 usec_t now) {
        if (probe)
                return end_probe(breaker, limits, evidence, now);
        if (breaker->state != CIRCUIT_CLOSED || evidence == CIRCUIT_EVIDENCE_NONE)
                return false;

        breaker->failures = evidence == CIRCUIT_EVIDENCE_WELL ? 0 : breaker->failures + 1;
        if (breaker->failures < limits->failures_max)
                return false;
        open_circuit(breaker, limits, now);
        return true;
}

void circuit_hurry(CircuitBreaker *breaker) {
        breaker->open_until = 0;
}

const char *circuit_state_name(CircuitState state) {
        static const char *const names[] = {
                [CIRCUIT_CLOSED] = "closed",
                [CIRCUIT_HALF_OPEN] = "half-open",
                [CIRCUIT_OPEN] = "open",
        };

        return names[state];
}
