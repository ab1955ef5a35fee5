/* What the server itself needs of a call; what methods need is in varlink-server.h. */
#pragma once

#include "io/varlink-connection.h"
#include "io/varlink-idl.h"
#include "io/varlink-message.h"

/* Takes the request's tree and the descriptors over, also on failure. */
int varlink_call_new(VarlinkCall **ret, VarlinkConnection *connection, VarlinkRequest *request, VarlinkFds *fds);
VarlinkCall *varlink_call_free(VarlinkCall *call);
void varlink_call_closed(VarlinkCall *call);   /* tells the closed handler */
void varlink_call_drained(VarlinkCall *call);  /* tells the drained handler */

void varlink_call_set_observer(VarlinkCall *call, VarlinkObserver observer, void *userdata);

/* From now on replies are checked against the interface when debug records are on. `name` is the method's. */
void varlink_call_set_interface(VarlinkCall *call, const VarlinkInterface *interface, const char *name);

