#include "dispatch/gates.h"

#include <errno.h>

#include "base/log.h"
#include "base/text.h"
#include "dispatch/pacing.h"

/* Of all models of a provider. */
typedef struct ProviderPace {
        unsigned references;
        char *provider;
        Pacing pacing;
} ProviderPace;

struct Gate {
        unsigned references;
        Gates *gates;
        char *provider, *model;
        CircuitBreaker circuit;
        RateWindow rate;
        ProviderPace *pace;
};

struct Gates {
        Metrics *metrics;
        size_t circuit_family;
        CircuitLimits circuit;
        RateLimits rate;
        Gate **gates;
        size_t n_gates;
};

int gates_new(Gates **ret, Metrics *metrics, size_t circuit_family) {
        Gates *gates = calloc(1, sizeof(*gates));

        if (!gates)
                return -ENOMEM;
        gates->metrics = metrics;
        gates->circuit_family = circuit_family;
        *ret = gates;
        return 0;
}

static ProviderPace *pace_unref(ProviderPace *pace) {
        if (!pace || --pace->references > 0)
                return NULL;
        free(pace->provider);
        free(pace);
        return NULL;
}
DEFINE_CLEANUP(ProviderPace *, pace_unref);

Gate *gate_ref(Gate *gate) {
        if (gate)
                gate->references++;
        return gate;
}

Gate *gate_unref(Gate *gate) {
        if (!gate || --gate->references > 0)
                return NULL;
        (void) pace_unref(gate->pace);
        free(gate->provider);
        free(gate->model);
        free(gate);
        return NULL;
}
DEFINE_CLEANUP(Gate *, gate_unref);

static void drop_gates(Gate **list, size_t count) {
        for (size_t i = 0; i < count; i++)
                (void) gate_unref(list[i]);
        free(list);
}

Gates *gates_free(Gates *gates) {
        if (!gates)
                return NULL;
        drop_gates(gates->gates, gates->n_gates);
        free(gates);
        return NULL;
}

static void show_circuit(const Gate *gate, CircuitState state) {
        metrics_set(gate->gates->metrics, gate->gates->circuit_family, METRIC_VALUES(gate->provider, gate->model),
                    (double) state);
}

static int pace_new(ProviderPace **ret, const char *provider) {
        _cleanup_(pace_unrefp) ProviderPace *pace = calloc(1, sizeof(*pace));

        if (!pace)
                return -ENOMEM;
        pace->references = 1;
        pace->provider = strdup(provider);
        if (!pace->provider)
                return -ENOMEM;
        *ret = TAKE_PTR(pace);
        return 0;
}

/* Takes that of another gate of the provider. */
static bool share_pace(Gate *gate, Gate *const *others, size_t count) {
        for (size_t i = 0; i < count; i++)
                if (text_equal(others[i]->provider, gate->provider)) {
                        gate->pace = others[i]->pace;
                        gate->pace->references++;
                        return true;
                }
        return false;
}

static int gate_new(Gate **ret, Gates *gates, const ModelConf *model) {
        _cleanup_(gate_unrefp) Gate *gate = calloc(1, sizeof(*gate));

        if (!gate)
                return -ENOMEM;
        gate->references = 1;
        gate->gates = gates;
        gate->provider = strdup(model->provider);
        gate->model = strdup(model->name);
        if (!gate->provider || !gate->model)
                return -ENOMEM;
        *ret = TAKE_PTR(gate);
        return 0;
}

Gate *gates_find(Gates *gates, const char *model) {
        for (size_t i = 0; i < gates->n_gates; i++)
                if (text_equal(gates->gates[i]->model, model))
                        return gates->gates[i];
        return NULL;
}

Gate *gates_at(Gates *gates, size_t index) {
        return index < gates->n_gates ? gates->gates[index] : NULL;
}

static int take_gate(Gates *gates, const ModelConf *model, Gate **ret) {
        Gate *gate = gates_find(gates, model->name);

        if (!gate || !text_equal(gate->provider, model->provider))
                return gate_new(ret, gates, model);
        *ret = gate_ref(gate);
        return 0;
}

/* Those of before come first, so that what a provider was asked for lately is known to its new models as well. */
static int take_paces(Gates *gates, Gate *const *list, size_t count, const Settings *settings) {
        for (size_t i = 0; i < count; i++) {
                const ProviderConf *conf = settings_find_provider(settings, list[i]->provider);
                int r;

                if (!list[i]->pace && !share_pace(list[i], gates->gates, gates->n_gates) &&
                    !share_pace(list[i], list, i)) {
                        r = pace_new(&list[i]->pace, list[i]->provider);
                        if (r < 0)
                                return r;
                }
                list[i]->pace->pacing.images_per_minute = (uint64_t) conf->images_per_minute;
        }
        return 0;
}

static bool is_listed(const Gate *gate) {
        for (size_t i = 0; i < gate->gates->n_gates; i++)
                if (gate->gates->gates[i] == gate)
                        return true;
        return false;
}

/* A gauge of a model that is gone would show its last state for good. */
static void retire_gates(Gates *gates, Gate **former, size_t count) {
        for (size_t i = 0; i < count; i++)
                if (!is_listed(former[i]))
                        show_circuit(former[i], CIRCUIT_CLOSED);
        drop_gates(former, count);
        for (size_t i = 0; i < gates->n_gates; i++) {
                circuit_hurry(&gates->gates[i]->circuit);
                show_circuit(gates->gates[i], gates->gates[i]->circuit.state);
        }
}

int gates_configure(Gates *gates, const Settings *settings) {
        Gate **list = calloc(settings->common.models.count + 1, sizeof(*list)), **former = gates->gates;
        size_t n_former = gates->n_gates, count = 0;
        int r = 0;

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < settings->common.models.count && r >= 0; i++) {
                const ModelConf *model = settings->common.models.items[i];

                if (!settings_model_usable(settings, model))
                        continue;
                r = take_gate(gates, model, &list[count]);
                if (r >= 0)
                        count++;
        }
        if (r >= 0)
                r = take_paces(gates, list, count, settings);
        if (r < 0) {
                drop_gates(list, count);
                return r;
        }

        gates->rate = (RateLimits) { settings->worker.retry_min, settings->worker.retry_max };
        gates->circuit = (CircuitLimits) {
                .failures_max = (unsigned) settings->worker.breaker_failures,
                .cooldown = settings->worker.breaker_cooldown,
        };
        gates->gates = list;
        gates->n_gates = count;
        retire_gates(gates, former, n_former);
        return 0;
}

usec_t gate_wait(const Gate *gate, usec_t now) {
        usec_t circuit = circuit_wait(&gate->circuit, now), rate = rate_window_wait(&gate->rate, now);

        return MAX(circuit, rate);
}

bool gate_is_paced(const Gate *gate) {
        return gate->pace->pacing.images_per_minute > 0;
}

usec_t gate_wait_for_images(const Gate *gate, unsigned images, usec_t now) {
        return pacing_wait(&gate->pace->pacing, images, now);
}

bool gate_begin(Gate *gate, unsigned images, usec_t now) {
        bool probe = circuit_begin(&gate->circuit);

        rate_window_take(&gate->rate);
        pacing_take(&gate->pace->pacing, images ?: 1, now);

        if (probe && is_listed(gate))
                show_circuit(gate, CIRCUIT_HALF_OPEN);
        return probe;
}

/* An answer that is no error of the provider's own shows that it is there, whatever it says. */
static CircuitEvidence evidence_of(const GenerationResult *result) {
        if (!result || result->local)
                return CIRCUIT_EVIDENCE_NONE;
        if (result->outcome == GENERATION_COMPLETED)
                return CIRCUIT_EVIDENCE_WELL;
        if (result->outcome == GENERATION_REFUSED && result->http_status != 408 && result->http_status < 500)
                return CIRCUIT_EVIDENCE_WELL;
        return CIRCUIT_EVIDENCE_FAILING;
}

static void log_circuit(const Gate *gate) {
        const LogField *fields = LOG_FIELDS({ "ATELIER_PROVIDER", gate->provider }, { "ATELIER_MODEL", gate->model });

        if (gate->circuit.state == CIRCUIT_CLOSED)
                (void) log_record(LOG_NOTICE, 0, fields, "the circuit of %s at %s is closed again", gate->model,
                                  gate->provider);
        else
                (void) log_record(LOG_WARNING, 0, fields,
                                  "the circuit of %s at %s is open: %u attempts in a row failed; its jobs wait, and "
                                  "one is tried in %.1f s", gate->model, gate->provider, gate->circuit.failures,
                                  (double) gate->gates->circuit.cooldown / (double) USEC_PER_SEC);
}

void gate_end(Gate *gate, bool probe, const GenerationResult *result, usec_t now) {
        if (result)
                rate_window_tell(&gate->rate, &gate->gates->rate, result, now);
        if (!circuit_end(&gate->circuit, &gate->gates->circuit, probe, evidence_of(result), now) || !is_listed(gate))
                return;
        show_circuit(gate, gate->circuit.state);
        log_circuit(gate);
}

const char *gate_provider(const Gate *gate) {
        return gate->provider;
}

const char *gate_model(const Gate *gate) {
        return gate->model;
}

const CircuitBreaker *gate_circuit(const Gate *gate) {
        return &gate->circuit;
}

const RateWindow *gate_rate(const Gate *gate) {
        return &gate->rate;
}
