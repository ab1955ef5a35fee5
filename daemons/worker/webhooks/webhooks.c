/* The problem: whoever asked for a job wants to hear of its end, once it is true and even if he is away when it happens.
 *
 * The model: the store has a row for each job and endpoint (store-webhook.h), which becomes due with the end of the job.
 * Each endpoint is a lane of its own: some requests at a time, in the order in which they are due, so that a receiver
 * that stalls or is away holds up none of the others. What comes of an attempt is written by the commit group; a crash
 * before that sends it once more, under the same id, by which its receiver knows it. A lane that fails pauses, longer
 * each time, since its next request would fare no better; each delivery has its own schedule besides
 * (webhook-schedule.h), and is given up at its end. A receiver that says that it is gone (410) is not asked again until
 * the configuration is read anew.
 *
 * Only what the configuration names is ever called, redirects are not followed, and nothing of an answer is read but its
 * status. The daemon stays as long as anything waits to be delivered to an endpoint that can be. */
#include "webhooks/webhooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "webhooks/webhook-lanes.h"

struct Webhooks {
        Manager *manager;
        WebhookLane **lanes;
        size_t n_lanes;
        sd_event_source *timer, *look;
        bool waiting;                /* something is to be delivered, now or later */
        bool holding, quiesced;
};

/* ------------------------------------------------------------------ looking */

static void update_hold(Webhooks *webhooks) {
        bool hold = webhooks->waiting && !webhooks->quiesced;

        if (hold == webhooks->holding)
                return;
        webhooks->holding = hold;
        if (hold)
                service_hold(webhooks->manager->service);
        else
                service_release(webhooks->manager->service);
}

static void arm(Webhooks *webhooks, usec_t wait) {
        (void) sd_event_source_set_time_relative(webhooks->timer, wait);
        (void) sd_event_source_set_enabled(webhooks->timer, SD_EVENT_ONESHOT);
}

/* What can begin begins; the others are waited for. */
static int on_look(_unused_ sd_event_source *source, void *userdata) {
        Webhooks *webhooks = userdata;
        usec_t wait = USEC_INFINITY;

        if (webhooks->quiesced)
                return 0;
        webhooks->waiting = false;
        for (size_t i = 0; i < webhooks->n_lanes; i++) {
                usec_t lane_wait;
                bool lane_waits;
                int r;

                r = webhook_lane_run(webhooks->lanes[i], &lane_wait, &lane_waits);
                if (r < 0)
                        (void) log_warning_errno(r, "webhooks of %s can't be looked for",
                                                 webhook_lane_name(webhooks->lanes[i]));
                webhooks->waiting |= lane_waits;
                wait = MIN(wait, lane_wait);
        }
        if (wait != USEC_INFINITY)
                arm(webhooks, wait);
        update_hold(webhooks);
        return 0;
}

static int on_timer(sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        return on_look(source, userdata);
}

void webhooks_look(Webhooks *webhooks) {
        if (webhooks && webhooks->n_lanes > 0 && !webhooks->quiesced)
                (void) sd_event_source_set_enabled(webhooks->look, SD_EVENT_ONESHOT);
}

void webhooks_quiesce(Webhooks *webhooks) {
        webhooks->quiesced = true;
        update_hold(webhooks);
}

/* ------------------------------------------------------------------ endpoints */

static void lanes_free(WebhookLane **lanes, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) webhook_lane_free(lanes[i]);
        free(lanes);
}

static int new_lanes(Webhooks *webhooks, const Settings *settings, Buffer *errors, WebhookLane ***ret) {
        const ConfGroups *groups = &settings->common.webhooks;
        WebhookLane **lanes = calloc(groups->count + 1, sizeof(*lanes));
        size_t n = 0;
        int r = lanes ? 0 : -ENOMEM;

        while (r >= 0 && n < groups->count) {
                r = webhook_lane_new(&lanes[n], webhooks->manager, webhooks, groups->items[n], errors);
                if (r >= 0)
                        n++;
        }
        if (r < 0) {
                lanes_free(lanes, n);
                return r;
        }
        *ret = lanes;
        return 0;
}

int webhooks_reload(Webhooks *webhooks, const Settings *settings, Buffer *errors) {
        WebhookLane **lanes;
        int r;

        r = new_lanes(webhooks, settings, errors, &lanes);
        if (r < 0)
                return r;
        lanes_free(webhooks->lanes, webhooks->n_lanes);
        webhooks->lanes = lanes;
        webhooks->n_lanes = settings->common.webhooks.count;
        /* Also once there are none: nobody is waited for any more. */
        (void) sd_event_source_set_enabled(webhooks->look, SD_EVENT_ONESHOT);
        return 0;
}

int webhooks_new(Webhooks **ret, Manager *manager, Buffer *errors) {
        _cleanup_(webhooks_freep) Webhooks *webhooks = calloc(1, sizeof(*webhooks));
        sd_event *event = service_event(manager->service);
        int r;

        if (!webhooks)
                return -ENOMEM;
        webhooks->manager = manager;
        r = sd_event_add_time_relative(event, &webhooks->timer, CLOCK_MONOTONIC, 0, 0, on_timer, webhooks);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(webhooks->timer, "webhooks");
        (void) sd_event_source_set_enabled(webhooks->timer, SD_EVENT_OFF);
        r = sd_event_add_defer(event, &webhooks->look, on_look, webhooks);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(webhooks->look, "webhooks, now");
        r = webhooks_reload(webhooks, service_settings(manager->service), errors);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(webhooks);
        return 0;
}

Webhooks *webhooks_free(Webhooks *webhooks) {
        if (!webhooks)
                return NULL;
        webhooks->quiesced = true;
        lanes_free(webhooks->lanes, webhooks->n_lanes);
        (void) sd_event_source_disable_unref(webhooks->look);
        (void) sd_event_source_disable_unref(webhooks->timer);
        free(webhooks);
        return NULL;
}

/* ------------------------------------------------------------------ jobs */

int webhooks_of_job(const Webhooks *webhooks, const char *named, char ***ret) {
        const ConfGroups *groups = &service_settings(webhooks->manager->service)->common.webhooks;
        _cleanup_free_ char **names = calloc(groups->count + 1, sizeof(*names));
        bool found = !named;
        size_t n = 0;

        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < groups->count; i++) {
                const WebhookConf *conf = groups->items[i];
                bool is_named = named && text_equal(conf->name, named);

                found |= is_named;
                if (!is_named && !conf->all)
                        continue;
                names[n] = strdup(conf->name);
                if (!names[n++])
                        break;
        }
        if (!found || (n > 0 && !names[n - 1])) {
                for (size_t i = 0; i < n; i++)
                        free(names[i]);
                return found ? -ENOMEM : -ENOENT;
        }
        *ret = n > 0 ? TAKE_PTR(names) : NULL;
        return 0;
}

void webhooks_measure(const Webhooks *webhooks) {
        for (size_t i = 0; i < webhooks->n_lanes; i++)
                webhook_lane_measure(webhooks->lanes[i]);
}

WebhookLane *webhooks_lane(const Webhooks *webhooks, size_t i) {
        return i < webhooks->n_lanes ? webhooks->lanes[i] : NULL;
}
