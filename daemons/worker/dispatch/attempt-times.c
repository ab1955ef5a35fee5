#include "dispatch/attempt-times.h"

#include <errno.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/text.h"

/* There are as many as the configuration has had since the start. */
typedef struct TimesOfModel {
        char *name;        /* "provider/model" */
        usec_t kept[ATTEMPT_TIMES_KEPT], sum;
        size_t n, next;    /* next: the oldest, once all places are taken */
} TimesOfModel;

struct AttemptTimes {
        Map *models;
};

static TimesOfModel *times_of_model_free(TimesOfModel *model) {
        if (model)
                free(model->name);
        free(model);
        return NULL;
}
DEFINE_CLEANUP(TimesOfModel *, times_of_model_free);

int attempt_times_new(AttemptTimes **ret) {
        _cleanup_(attempt_times_freep) AttemptTimes *times = calloc(1, sizeof(*times));
        int r;

        if (!times)
                return -ENOMEM;
        r = map_new(&times->models);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(times);
        return 0;
}

AttemptTimes *attempt_times_free(AttemptTimes *times) {
        TimesOfModel *model;

        if (!times)
                return NULL;
        while (times->models && (model = map_first(times->models))) {
                (void) map_remove(times->models, model->name);
                (void) times_of_model_free(model);
        }
        (void) map_free(times->models);
        free(times);
        return NULL;
}

static int find_or_add(AttemptTimes *times, const char *provider, const char *name, TimesOfModel **ret) {
        _cleanup_(times_of_model_freep) TimesOfModel *model = NULL;
        _cleanup_free_ char *key = text_format("%s/%s", provider, name);
        int r;

        if (!key)
                return -ENOMEM;
        *ret = map_get(times->models, key);
        if (*ret)
                return 0;
        model = calloc(1, sizeof(*model));
        if (!model)
                return -ENOMEM;
        model->name = TAKE_PTR(key);
        r = map_put(times->models, model->name, model);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(model);
        return 0;
}

int attempt_times_add(AttemptTimes *times, const char *provider, const char *model, usec_t started_at,
                      usec_t ended_at) {
        TimesOfModel *found;
        int r;

        if (ended_at < started_at)
                return 0;
        r = find_or_add(times, provider, model, &found);
        if (r < 0)
                return r;
        found->sum += ended_at - started_at - found->kept[found->next];
        found->kept[found->next] = ended_at - started_at;
        found->next = (found->next + 1) % ATTEMPT_TIMES_KEPT;
        found->n = MIN(found->n + 1, (size_t) ATTEMPT_TIMES_KEPT);
        return 0;
}

usec_t attempt_times_mean(const AttemptTimes *times, const char *provider, const char *model) {
        _cleanup_free_ char *key = text_format("%s/%s", provider, model);
        const TimesOfModel *found = key ? map_get(times->models, key) : NULL;

        return found ? found->sum / found->n : 0;
}
