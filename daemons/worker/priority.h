/* The order of work within one turn of the worker's loop: everything that has arrived is taken in first, then jobs
 * are dispatched, then all that was written is committed. A job can thus be accepted and started by one fsync. */
#pragma once

#include <systemd/sd-event.h>

#define PRIORITY_DISPATCH (SD_EVENT_PRIORITY_NORMAL + 10)
#define PRIORITY_COMMIT (SD_EVENT_PRIORITY_NORMAL + 20)
