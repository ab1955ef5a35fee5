/* The scheduler: so far it answers io.atelier.Daemon and leaves when idle. */
#pragma once

#include "io/service.h"

extern const ServiceKind scheduler_service_kind;
