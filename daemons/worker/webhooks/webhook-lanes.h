/* One endpoint and what is under way to it: see webhooks.c. */
#pragma once

#include "manager.h"

typedef struct WebhookLane WebhookLane;

#define WEBHOOK_LANE_REQUESTS_MAX 4     /* under way to one endpoint at a time */
#define WEBHOOK_REPLY_BYTES_MAX (64 * 1024)
#define WEBHOOK_LANE_PAUSE_MAX USEC_PER_MINUTE   /* of a lane that fails; it begins with a second, and doubles */

int webhook_lane_new(WebhookLane **ret, Manager *manager, Webhooks *webhooks, const WebhookConf *conf, Buffer *errors);
/* What is under way is cancelled, and stays to be delivered; what is being written ends by itself. */
WebhookLane *webhook_lane_free(WebhookLane *lane);
const char *webhook_lane_name(const WebhookLane *lane);

/* Begins what is due. *ret_wait: after how long to look again; USEC_INFINITY: an end of its own requests will tell.
 * *ret_waits: anything is to be delivered here, now or later, and can be. -EIO while there is no store. */
int webhook_lane_run(WebhookLane *lane, usec_t *ret_wait, bool *ret_waits);

/* An operator has reason to believe that it can be reached again. */
void webhook_lane_hope(WebhookLane *lane);

void webhook_lane_measure(const WebhookLane *lane);
int webhook_lane_to_json(const WebhookLane *lane, JsonValue **ret);   /* io.atelier.Webhooks.Endpoint */
