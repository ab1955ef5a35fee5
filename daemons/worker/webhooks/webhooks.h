/* The delivery of webhooks: see the essay in webhooks.c. */
#pragma once

#include "manager.h"

/* Takes the endpoints from the settings. -EBADMSG: what is wrong stands in `errors`. */
int webhooks_new(Webhooks **ret, Manager *manager, Buffer *errors);
Webhooks *webhooks_free(Webhooks *webhooks);  /* what is under way is cancelled, and stays to be delivered */
DEFINE_CLEANUP(Webhooks *, webhooks_free);

/* The settings have changed: what is under way goes on as it began. On error nothing changes. */
int webhooks_reload(Webhooks *webhooks, const Settings *settings, Buffer *errors);

/* Deliveries may have become due. */
void webhooks_look(Webhooks *webhooks);

/* Begins nothing any more; what is under way is waited for. */
void webhooks_quiesce(Webhooks *webhooks);

/* The endpoints that are told of a job: those of all jobs, and the one that its request names (NULL: none). *ret, ended
 * by NULL, is to be freed with its strings; NULL: there are none. -ENOENT: there is no endpoint of that name. */
int webhooks_of_job(const Webhooks *webhooks, const char *named, char ***ret);

/* One for each endpoint of the configuration, in its order; NULL past the end. */
typedef struct WebhookLane WebhookLane;
WebhookLane *webhooks_lane(const Webhooks *webhooks, size_t i);
void webhooks_measure(const Webhooks *webhooks);

int webhook_methods_add(VarlinkServer *server, Manager *manager);
