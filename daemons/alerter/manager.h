/* The alerter: so far it answers io.atelier.Daemon and leaves when idle. */
#pragma once

#include "io/service.h"

extern const ServiceKind alerter_service_kind;
