/* What an alias makes of a request that has been checked. Pure.
 *
 * It is done once, when the request is accepted: from then on everything (price, cache, queue, provider) has to do with
 * the model that is asked and with nothing else. What the client asked for is kept beside it, to be shown. */
#pragma once

#include "base/json.h"
#include "conf/settings.h"

typedef struct Translation {
        const ModelConf *model;      /* the model that is asked; no alias. Of the settings */
        const JsonValue *request;    /* an ImageRequest in its terms */
        JsonValue *asked;            /* io.atelier.Queue.Asked; NULL: as `request` says */
        JsonValue *optimised;        /* io.atelier.Queue.Optimised, by request_price(); NULL: as it was asked for */
        JsonValue *owned;
} Translation;

/* `model` is what the request names, by request_check(). *ret holds `request` itself where that is no alias, so it must
 * stay; translation_done() frees the rest. -ENOMEM. */
int request_translate(const Settings *settings, const JsonValue *request, const ModelConf *model, Translation *ret);
void translation_done(Translation *translation);
