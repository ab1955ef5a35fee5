#include "queue/request-translate.h"

#include <errno.h>

#include "conf/model-terms.h"

/* What the client asked for, or the alias gives for it. */
typedef struct Terms {
        const char *size, *quality, *style;
} Terms;

static int format_asked(const ModelConf *alias, const Terms *terms, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *asked = json_new_object();
        int r;

        r = json_add_string(asked, "model", alias->name);
        if (r >= 0)
                r = json_add_string(asked, "size", terms->size);
        if (r >= 0)
                r = json_add_string(asked, "quality", terms->quality);
        if (r >= 0)
                r = json_add_string(asked, "style", terms->style);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(asked);
        return 0;
}

static int replace(JsonValue *request, const char *name, const char *text) {
        cJSON_DeleteItemFromObjectCaseSensitive(request, name);
        return json_add_string(request, name, text);
}

/* A style that the model does not know is dropped: it never was more than a hint. */
static int format_request(const JsonValue *request, const ModelConf *alias, const ModelConf *model, const Terms *terms,
                          JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *copy = cJSON_Duplicate(request, true);
        int r;

        if (!copy)
                return -ENOMEM;
        r = replace(copy, "model", model->name);
        if (r >= 0)
                r = replace(copy, "size", alias_size(alias, terms->size));
        if (r >= 0)
                r = replace(copy, "quality", alias_quality(alias, terms->quality));
        if (r >= 0)
                r = replace(copy, "style", model->style ? terms->style : NULL);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(copy);
        return 0;
}

int request_translate(const Settings *settings, const JsonValue *request, const ModelConf *model, Translation *ret) {
        const Terms terms = {
                .size = json_get_string(request, "size") ?: model->default_size,
                .quality = json_get_string(request, "quality") ?: model->default_quality,
                .style = json_get_string(request, "style"),
        };
        int r;

        *ret = (Translation) { .model = settings_model_asked(settings, model), .request = request };
        if (!model->alias_of)
                return 0;

        r = format_asked(model, &terms, &ret->asked);
        if (r >= 0)
                r = format_request(request, model, ret->model, &terms, &ret->owned);
        if (r < 0) {
                translation_done(ret);
                return r;
        }
        ret->request = ret->owned;
        return 0;
}

void translation_done(Translation *translation) {
        (void) json_free(translation->asked);
        (void) json_free(translation->optimised);
        (void) json_free(translation->owned);
        *translation = (Translation) {};
}
