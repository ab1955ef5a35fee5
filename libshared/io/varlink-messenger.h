/* Calls to other daemons whose answer nobody waits for: what fails is logged. */
#pragma once

#include <systemd/sd-event.h>

#include "base/json.h"
#include "base/macro.h"
#include "base/time.h"

#define MESSAGES_MAX 64  /* under way at a time; a further one is only logged */
#define MESSAGE_PATIENCE_USEC (10 * USEC_PER_SEC)

typedef struct VarlinkMessenger VarlinkMessenger;

/* Told when the first message is under way (true) and when the last one has been answered or given up (false): a daemon
 * should not exit in between. */
typedef void (*MessengerBusyHandler)(bool busy, void *userdata);

int varlink_messenger_new(VarlinkMessenger **ret, sd_event *event, MessengerBusyHandler busy, void *userdata);
VarlinkMessenger *varlink_messenger_free(VarlinkMessenger *messenger);  /* what is under way is given up */
DEFINE_CLEANUP(VarlinkMessenger *, varlink_messenger_free);

/* Calls the method of the daemon ("Worker", "Alerter"). Takes `parameters` over; NULL: memory was short. `what` is what the
 * log says of it when it fails. */
void varlink_messenger_send(VarlinkMessenger *messenger, const char *daemon, const char *method, JsonValue *parameters,
                            const char *what);
