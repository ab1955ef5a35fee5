/* io.atelier.Webhooks: who is told of the end of jobs, and how that goes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "interfaces/interfaces.h"
#include "store/store-webhook.h"
#include "webhooks/webhook-lanes.h"
#include "webhooks/webhooks.h"

static int on_list(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        const Webhooks *webhooks = ((Manager *) userdata)->webhooks;
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *endpoints = json_new_array();
        WebhookLane *lane;
        int r;

        r = json_add(reply, "endpoints", endpoints);
        for (size_t i = 0; r >= 0 && (lane = webhooks_lane(webhooks, i)); i++) {
                JsonValue *endpoint = NULL;

                r = webhook_lane_to_json(lane, &endpoint);
                if (r >= 0)
                        r = json_append(endpoints, endpoint);
        }
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

typedef struct Retry {
        Write write;
        Webhooks *webhooks;
        VarlinkCall *call;           /* NULL: the client has gone */
        char *endpoint;              /* NULL: all */
        int64_t count;
} Retry;

static int apply_retry(Write *write, Store *store) {
        Retry *retry = CONTAINER_OF(write, Retry, write);

        return store_webhook_retry(store, retry->endpoint, time_now_realtime(), &retry->count);
}

/* An operator has said so. */
static int settle_retry(Write *write, Store *store) {
        int r = apply_retry(write, store);

        return r < 0 ? r : WRITE_STANDS;
}

static int answer_retry(Retry *retry, int result) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        if (result == -ECANCELED) {
                varlink_call_abandon(retry->call);
                return 0;
        }
        if (result < 0)
                return varlink_call_error_errno(retry->call, result);
        r = json_add_integer(reply, "count", retry->count);
        return r < 0 ? varlink_call_error_errno(retry->call, r) : varlink_call_reply(retry->call, TAKE_PTR(reply));
}

static void on_retried(Write *write, int result) {
        Retry *retry = CONTAINER_OF(write, Retry, write);
        WebhookLane *lane;

        for (size_t i = 0; result == 0 && (lane = webhooks_lane(retry->webhooks, i)); i++)
                if (!retry->endpoint || text_equal(retry->endpoint, webhook_lane_name(lane)))
                        webhook_lane_hope(lane);
        webhooks_look(retry->webhooks);
        if (retry->call) {
                varlink_call_set_closed_handler(retry->call, NULL, NULL);
                (void) answer_retry(retry, result);
        }
        free(retry->endpoint);
        free(retry);
}

static void on_retry_gone(_unused_ VarlinkCall *call, void *userdata) {
        ((Retry *) userdata)->call = NULL;
}

static int on_retry(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const char *endpoint = json_get_string(parameters, "endpoint");
        Retry *retry;

        if (endpoint && !settings_find_webhook(service_settings(manager->service), endpoint))
                return varlink_call_invalid_parameter(call, "endpoint");
        retry = calloc(1, sizeof(*retry));
        if (!retry)
                return -ENOMEM;
        *retry = (Retry) {
                .write = { .apply = apply_retry, .settle = settle_retry, .done = on_retried },
                .webhooks = manager->webhooks,
                .call = call,
                .endpoint = endpoint ? strdup(endpoint) : NULL,
        };
        if (endpoint && !retry->endpoint) {
                free(retry);
                return -ENOMEM;
        }
        varlink_call_set_closed_handler(call, on_retry_gone, retry);
        commit_group_add(manager->group, &retry->write);
        return 0;
}

int webhook_methods_add(VarlinkServer *server, Manager *manager) {
        static const VarlinkMethod methods[] = {
                { "List", on_list, false },
                { "Retry", on_retry, false },
                {},
        };

        return varlink_server_add_interface(server, interface_webhooks, methods, manager);
}
