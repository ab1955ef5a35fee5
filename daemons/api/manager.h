/* The api daemon's one state. */
#pragma once

#include "base/buffer.h"
#include "conf/settings.h"
#include "guess-limit.h"
#include "http-request.h"
#include "io/metrics.h"
#include "io/service.h"
#include "routes.h"
#include "upload-spool.h"
#include "worker-client.h"
#include "worker-metrics.h"

int api_manager_new(ApiManager **ret, Service *service);
ApiManager *api_manager_free(ApiManager *manager);
DEFINE_CLEANUP(ApiManager *, api_manager_free);

const ApiSettings *api_manager_settings(const ApiManager *manager);
sd_event *api_manager_event(const ApiManager *manager);
WorkerClient *api_manager_worker(const ApiManager *manager);
bool api_manager_requires_keys(const ApiManager *manager); /* of all but members, as far as the configuration says */
GuessLimit *api_manager_guesses(const ApiManager *manager);
UploadMeter *api_manager_uploads(ApiManager *manager);
WorkerMetrics *api_manager_worker_metrics(const ApiManager *manager);

/* The worker has answered a call that may have changed its counters. */
void api_manager_worker_worked(ApiManager *manager);

/* Our own families as text. */
int api_manager_format_metrics(ApiManager *manager, Buffer *buffer);

/* "http://HOST" or the configured public_url, before "/v1/images/…". The caller frees it; NULL: no memory. */
char *api_manager_link_base(const ApiManager *manager, const HttpRequest *request);

/* For service_run(). */
extern const ServiceKind api_service;
extern const AccessRule api_access[];  /* api-access.c */
