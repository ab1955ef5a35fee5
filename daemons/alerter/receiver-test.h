/* Test alerts: sent at once, to receivers that somebody wants to try, and never stored. */
#pragma once

#include "io/varlink-server.h"
#include "manager.h"

/* Answers the call when each of the receivers has answered: the one of this name, or all that can be told. -EBUSY past
 * RECEIVER_TESTS_MAX. Until then it holds the service. */
int receiver_test_start(AlerterManager *manager, VarlinkCall *call, const char *name);

/* Ends those that are under way; their calls go with the server. */
void receiver_tests_cancel(AlerterManager *manager);
