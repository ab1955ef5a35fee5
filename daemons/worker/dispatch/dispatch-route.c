#include "dispatch/dispatch-route.h"

#include <errno.h>

#include "base/text.h"
#include "dispatch/fallback.h"
#include "dispatch/key-refusal.h"

typedef struct Search {
        Manager *manager;
        const ModelConf *model;
        Job *job;
        JsonValue *request;
        unsigned images;
        usec_t now;
        usec_t *wake;
        Buffer notes;
        ProviderSlot *keyless;  /* the first without a good key */
        bool outage;            /* a circuit was open */
} Search;

static void search_done(Search *search) {
        (void) job_free(search->job);
        (void) json_free(search->request);
        buffer_done(&search->notes);
}

static int search_begin(Search *search, const char *id) {
        int64_t n;
        int r;

        r = store_get(commit_group_store(search->manager->group), id, &search->job);
        if (r != 0)
                return r < 0 ? r : -EUCLEAN;
        (void) json_parse(search->job->request, strlen(search->job->request), &search->request, NULL);
        n = json_get_integer(search->request, "n", 1);
        search->images = n < 1 || n > GENERATION_IMAGES_MAX ? 1 : (unsigned) n;
        return 0;
}

static int add_note(Search *search, const char *name, const char *what) {
        return buffer_printf(&search->notes, "%s%s: %s", search->notes.size > 0 ? "; " : "", name, what);
}

enum {
        ROUTE_OPEN,
        ROUTE_WAITS,                  /* it is the one, but not now */
        ROUTE_PASSED_OVER,
};

/* An open circuit and keys that are set aside lead on; whatever else is in the way is waited for. */
static int judge_gate(Search *search, const char *name, ProviderSlot *slot, Gate *gate) {
        usec_t wait;
        int r;

        if (provider_keys_all_aside(slot->provider)) {
                if (key_refusal_awaits(search->manager, slot->provider))
                        return ROUTE_WAITS;
                search->keyless = search->keyless ?: slot;
                r = add_note(search, name, "no key is good");
                return r < 0 ? r : ROUTE_PASSED_OVER;
        }
        wait = circuit_wait(gate_circuit(gate), search->now);
        if (wait > 0) {
                search->outage = true;
                *search->wake = MIN(*search->wake, wait);
                r = add_note(search, name, "the circuit is open");
                return r < 0 ? r : ROUTE_PASSED_OVER;
        }
        if (!provider_has_key(slot->provider) || slot->running >= slot->concurrency)
                return ROUTE_WAITS;
        wait = gate_wait(gate, search->now);
        if (wait == 0 && gate_is_paced(gate))
                wait = gate_wait_for_images(gate, search->images, search->now);
        if (wait > 0)
                *search->wake = MIN(*search->wake, wait);
        return wait > 0 ? ROUTE_WAITS : ROUTE_OPEN;
}

static int judge_member(Search *search, size_t position, DispatchRoute *route) {
        const Settings *settings = service_settings(search->manager->service);
        const char *name = position > 0 ? search->model->fallback[position - 1] : search->model->name;
        const ModelConf *model = settings_model_asked(settings, settings_find_model(settings, name));
        _cleanup_free_ char *why = NULL;
        int r = 0;

        if (position > 0)
                r = fallback_fit(search->manager, search->request, name, search->job->cost_before.reserved, &why);
        if (r > 0) {
                r = add_note(search, name, why);
                return r < 0 ? r : ROUTE_PASSED_OVER;
        }
        if (r < 0)
                return r;
        *route = (DispatchRoute) {
                .slot = provider_table_find(search->manager->providers, model->provider),
                .gate = gates_find(search->manager->gates, model->name),
                .model = position > 0 ? name : NULL,
                .images = search->images,
        };
        return route->slot && route->gate ? judge_gate(search, name, route->slot, route->gate) : ROUTE_PASSED_OVER;
}

static int search_chain(Search *search, DispatchRoute *route) {
        size_t position = fallback_position(search->model, search->job);
        int r;

        do {
                r = judge_member(search, position, route);
                if (r != ROUTE_PASSED_OVER)
                        return r < 0 ? r : r == ROUTE_WAITS ? DISPATCH_ROUTE_WAITS : 0;
        } while (search->model->fallback[position++]);

        if (search->outage || !search->keyless)
                return DISPATCH_ROUTE_WAITS;
        *route = (DispatchRoute) { .slot = search->keyless };
        return 0;
}

int dispatch_route_find(Manager *manager, const ModelConf *model, const char *id, DispatchRoute *ret, usec_t *wake) {
        _cleanup_(search_done) Search search = {
                .manager = manager,
                .model = model,
                .now = time_now_monotonic(),
                .wake = wake,
        };
        DispatchRoute route = {};
        int r;

        r = search_begin(&search, id);
        if (r >= 0)
                r = search_chain(&search, &route);
        if (r != 0)
                return r;
        if (search.notes.size > 0 && !(route.note = buffer_take_text(&search.notes)))
                return -ENOMEM;
        *ret = route;
        return 0;
}
