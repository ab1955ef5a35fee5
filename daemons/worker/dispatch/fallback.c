#include "dispatch/fallback.h"

#include <errno.h>

#include "base/text.h"
#include "money/job-price.h"
#include "queue/request-check.h"

static int say(char **why, char *text) {
        if (!text)
                return -ENOMEM;
        free(*why);
        *why = text;
        return FALLBACK_UNFIT;
}

/* A style that the other model does not know is dropped, as an alias does. */
static int rename_request(const JsonValue *request, const ModelConf *model, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *copy = cJSON_Duplicate(request, true);
        int r;

        if (!copy)
                return -ENOMEM;
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "model");
        if (!model->style)
                cJSON_DeleteItemFromObjectCaseSensitive(copy, "style");
        r = json_add_string(copy, "model", model->name);
        if (r >= 0)
                *ret = TAKE_PTR(copy);
        return MIN(r, 0);
}

int fallback_translate(const Settings *settings, const JsonValue *request, const char *name, Translation *ret,
                       char **why) {
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(json_freep) JsonValue *copy = NULL;
        const ModelConf *model = settings_find_model(settings, name);
        int r;

        if (!model)
                return say(why, strdup("it is not configured"));
        r = rename_request(request, model, &copy);
        if (r >= 0)
                r = request_check(settings, copy, time_now_realtime(), &model, &failure);
        if (r == REQUEST_INVALID)
                return say(why, text_format("%s", failure.message));
        if (r >= 0)
                r = request_translate(settings, copy, model, ret);
        if (r < 0)
                return r;
        if (!ret->owned)
                ret->owned = TAKE_PTR(copy);
        return 0;
}

/* The ceiling of a member; FALLBACK_UNFIT where it cannot be asked. */
static int price_member(Manager *manager, const JsonValue *request, const char *name, micros_t *ret, char **why) {
        _cleanup_(translation_done) Translation translation = {};
        _cleanup_(buffer_done) Buffer reason = {};
        GenerationRequest generation;
        const ProviderSlot *slot;
        int r;

        r = fallback_translate(service_settings(manager->service), request, name, &translation, why);
        if (r != 0)
                return r;
        slot = provider_table_find(manager->providers, translation.model->provider);
        if (!slot || !provider_has_key(slot->provider))
                return say(why, strdup("its provider has no key"));
        request_to_generation(translation.request, translation.model, &generation);
        r = job_price_ceiling(manager->prices, translation.model, &generation, time_now_realtime(), ret, &reason);
        return r == PRICE_MISSING ? say(why, strdup("prices.conf has no price for it")) : r;
}

int fallback_fit(Manager *manager, const JsonValue *request, const char *name, micros_t reserved, char **why) {
        micros_t ceiling;
        int r;

        r = price_member(manager, request, name, &ceiling, why);
        if (r == 0 && ceiling > reserved)
                return say(why, strdup("it may cost more than the job has reserved"));
        return r;
}

int fallback_raise_ceiling(Manager *manager, const JsonValue *request, const ModelConf *model, micros_t *ceiling) {
        for (char **name = model->fallback; name && *name; name++) {
                _cleanup_free_ char *why = NULL;
                micros_t other;
                int r;

                r = price_member(manager, request, *name, &other, &why);
                if (r < 0)
                        return r;
                if (r == 0)
                        *ceiling = MAX(*ceiling, other);
        }
        return 0;
}

size_t fallback_position(const ModelConf *model, const Job *job) {
        const Attempt *last = job->n_attempts > 0 ? &job->attempts[job->n_attempts - 1] : NULL;
        const char *name = last ? last->next_model ?: last->model : NULL;

        for (size_t i = 0; name && model->fallback && model->fallback[i]; i++)
                if (text_equal(model->fallback[i], name))
                        return i + 1;
        return 0;
}

int fallback_next(Manager *manager, const ModelConf *model, const Job *job, size_t position, const char **ret,
                  Buffer *notes) {
        _cleanup_(json_freep) JsonValue *request = NULL;
        int r;

        r = json_parse(job->request, strlen(job->request), &request, NULL);
        if (r < 0)
                return r;
        for (char **name = model->fallback ? model->fallback + position : NULL; name && *name; name++) {
                _cleanup_free_ char *why = NULL;

                r = fallback_fit(manager, request, *name, job->cost_before.reserved, &why);
                if (r == 0) {
                        *ret = *name;
                        return 0;
                }
                if (r > 0)
                        r = buffer_printf(notes, "; %s is passed over: %s", *name, why);
                if (r < 0)
                        return r;
        }
        return FALLBACK_NONE;
}
