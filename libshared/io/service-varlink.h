/* io.atelier.Daemon, as every daemon serves it; the inner side of service.h. */
#pragma once

#include "base/time.h"
#include "io/service.h"

extern const VarlinkMethod service_methods[];

/* The authorizer of the daemon's socket, by ServiceKind.access. */
bool service_authorize(const VarlinkPeer *peer, const char *method, void *userdata);

/* Whose descriptors are taken, by ServiceKind.fds_methods. */
bool service_accepts_fds(const VarlinkPeer *peer, void *userdata);

/* Reads the settings again and offers them to the daemon. -EBADMSG and others with lines in `errors`. */
int service_reload(Service *service, Buffer *errors);

char *service_status_text(Service *service);
void *service_userdata(Service *service);
const ServiceKind *service_kind(const Service *service);
usec_t service_started_at(const Service *service);
const AccessTable *service_access(const Service *service);
