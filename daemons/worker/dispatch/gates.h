/* One gate for each model at its provider: may an attempt begin there now, and if not, when?
 *
 * A gate closes for what the provider has shown of itself (circuit-breaker.h), for what it says of its rates
 * (rate-window.h), and for the images per minute that the settings allow it for all of its models (pacing.h). Jobs
 * wait before a gate; none fails because it is closed. Gates live in memory alone, through reloads: a new process finds
 * them open, and finds out for itself. They are told of every attempt that begins and of its end. */
#pragma once

#include "base/macro.h"
#include "conf/settings.h"
#include "dispatch/circuit-breaker.h"
#include "dispatch/rate-window.h"
#include "io/metrics.h"
#include "providers/provider.h"

typedef struct Gates Gates;
typedef struct Gate Gate;

/* `circuit_family` is the gauge's index in `metrics`, with the labels provider and model. */
int gates_new(Gates **ret, Metrics *metrics, size_t circuit_family);
Gates *gates_free(Gates *gates);  /* after the last gate_unref() */
DEFINE_CLEANUP(Gates *, gates_free);

/* A gate for each model that can be used; those that are there already keep what they know. */
int gates_configure(Gates *gates, const Settings *settings);

/* NULL: no such model. */
Gate *gates_find(Gates *gates, const char *model);
Gate *gates_at(Gates *gates, size_t index);  /* NULL past the end */

/* Kept for an attempt, though a reload may drop its model. NULL is taken and given. */
Gate *gate_ref(Gate *gate);
Gate *gate_unref(Gate *gate);

/* 0: an attempt may begin; else when to ask again (monotonic); USEC_INFINITY: when an attempt there has ended. */
usec_t gate_wait(const Gate *gate, usec_t now);

/* The same of one for so many images, as far as the provider's images per minute go; those with none are not paced. */
bool gate_is_paced(const Gate *gate);
usec_t gate_wait_for_images(const Gate *gate, unsigned images, usec_t now);

/* An attempt for so many images (0: not known, one at least) begins. What comes back goes to gate_end(): whether it is
 * the probe of the circuit. */
bool gate_begin(Gate *gate, unsigned images, usec_t now);

/* An attempt has ended; `result` NULL: without having been made, or of itself. */
void gate_end(Gate *gate, bool probe, const GenerationResult *result, usec_t now);

const char *gate_provider(const Gate *gate);
const char *gate_model(const Gate *gate);
const CircuitBreaker *gate_circuit(const Gate *gate);
const RateWindow *gate_rate(const Gate *gate);
