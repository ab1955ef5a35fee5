#include "queue/request-price.h"

#include <errno.h>

#include "dispatch/fallback.h"
#include "money/job-price.h"
#include "money/optimiser.h"
#include "money/spending.h"
#include "queue/request-check.h"

static int ceiling_of(Manager *manager, const JsonValue *request, const ModelConf *model, micros_t *ret,
                      Buffer *reason) {
        GenerationRequest generation;
        int r;

        request_to_generation(request, model, &generation);
        r = job_price_ceiling(manager->prices, model, &generation, time_now_realtime(), ret, reason);
        return r == 0 ? fallback_raise_ceiling(manager, request, model, ret) : r;
}

/* ------------------------------------------------------------------ the optimiser's changes */

/* Changes a member of the request where that costs less than *ceiling: *ret, or NULL. */
static int try_change(Manager *manager, const Translation *translation, const char *member, const char *value,
                      micros_t *ceiling, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *copy = cJSON_Duplicate(translation->request, true);
        _cleanup_(buffer_done) Buffer reason = {};
        micros_t changed;
        int r;

        *ret = NULL;
        if (!copy)
                return -ENOMEM;
        cJSON_DeleteItemFromObjectCaseSensitive(copy, member);
        r = json_add_string(copy, member, value);
        if (r >= 0)
                r = ceiling_of(manager, copy, translation->model, &changed, &reason);
        if (r < 0 || r == PRICE_MISSING || changed >= *ceiling)
                return MIN(r, 0);
        *ceiling = changed;
        *ret = TAKE_PTR(copy);
        return 0;
}

static int append_change(JsonValue *changes, const char *member, const char *from, const char *to,
                         OptimiserRule rule) {
        _cleanup_(json_freep) JsonValue *change = json_new_object();
        int r;

        r = json_add_string(change, "parameter", member);
        if (r >= 0)
                r = json_add_string(change, "from", from);
        if (r >= 0)
                r = json_add_string(change, "to", to);
        if (r >= 0)
                r = json_add_string(change, "rule", optimiser_rule_name(rule));
        return r < 0 ? r : json_append(changes, TAKE_PTR(change));
}

/* `to` NULL: nothing is proposed. */
static int change(Manager *manager, Translation *translation, const char *member, const char *to, OptimiserRule rule,
                  micros_t *ceiling, JsonValue *changes) {
        _cleanup_(json_freep) JsonValue *changed = NULL;
        const char *from;
        int r;

        if (!to)
                return 0;
        r = try_change(manager, translation, member, to, ceiling, &changed);
        if (r < 0 || !changed)
                return r;
        from = json_get_string(translation->request, member);
        r = append_change(changes, member, from, to, rule);
        if (r < 0)
                return r;
        (void) json_free(translation->owned);
        translation->owned = TAKE_PTR(changed);
        translation->request = translation->owned;
        return 0;
}

static int apply_proposal(Manager *manager, Translation *translation, const Proposal *proposal, RequestPrice *price) {
        _cleanup_(json_freep) JsonValue *optimised = NULL, *changes = json_new_array();
        micros_t *ceiling = &price->ceiling, before = *ceiling;
        int r;

        r = change(manager, translation, "quality", proposal->quality, proposal->quality_rule, ceiling, changes);
        if (r >= 0)
                r = change(manager, translation, "size", proposal->size, proposal->size_rule, ceiling, changes);
        price->saved = before - *ceiling;
        if (r < 0 || price->saved == 0)
                return r;
        optimised = json_new_object();
        r = json_add(optimised, "changes", TAKE_PTR(changes));
        if (r >= 0)
                r = json_add_integer(optimised, "saved_micros", price->saved);
        if (r >= 0)
                translation->optimised = TAKE_PTR(optimised);
        return r;
}

/* ------------------------------------------------------------------ the price */

static bool optimiser_is_on(const WorkerSettings *settings, OptimiseWish wish) {
        if (settings->optimise == OPTIMISE_NEVER || wish == OPTIMISE_OFF)
                return false;
        return settings->optimise == OPTIMISE_ALWAYS || wish == OPTIMISE_ON;
}

static int optimise(Manager *manager, const Caller *caller, Translation *translation, RequestPrice *price) {
        const WorkerSettings *settings = &service_settings(manager->service)->worker;
        const ModelConf *model = translation->model;
        GenerationRequest generation;
        Proposal proposal;
        int64_t gone;
        int r;

        r = spending_share_gone(manager->spending, model->name, *caller->key ? caller->key : NULL, &gone);
        if (r < 0)
                return r;
        request_to_generation(translation->request, model, &generation);
        optimiser_propose(model, &generation, gone, settings->optimise_quality_from, settings->optimise_size_from,
                          &proposal);
        price->gone = gone >= settings->optimise_cache_from ? gone : 0;
        return apply_proposal(manager, translation, &proposal, price);
}

int request_price(Manager *manager, const Caller *caller, OptimiseWish wish, Translation *translation,
                  RequestPrice *ret, Buffer *reason) {
        int r;

        *ret = (RequestPrice) {};
        r = ceiling_of(manager, translation->request, translation->model, &ret->ceiling, reason);
        if (r != 0 || ret->ceiling == 0 || !optimiser_is_on(&service_settings(manager->service)->worker, wish))
                return r;
        return optimise(manager, caller, translation, ret);
}
