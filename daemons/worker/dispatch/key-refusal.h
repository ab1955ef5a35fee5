/* What a provider's refusal says of the gateway's own account there, and what follows: the key is set aside, the
 * operator is told once, and the client is told that the fault is the gateway's, never that its own token is wrong. */
#pragma once

#include "manager.h"
#include "store/job.h"

/* Of an attempt that the provider refused with that status and error. */
KeyFault key_refusal_fault(int http_status, const char *type, const char *code);

/* Sets the key aside with which an attempt was made (0: none). True: another one is good, or may come, and the job goes on
 * with it. */
bool key_refusal_take(Manager *manager, Provider *provider, unsigned number, KeyFault fault);

/* No key is good, but one of them is being fetched anew from its secret manager, or tried: until then jobs wait. */
bool key_refusal_awaits(const Manager *manager, const Provider *provider);

/* It was fetched anew, and is no other one: says of each provider that is left without a good key. */
void key_refusal_tell_of(Manager *manager, const char *reference);

/* What a client is told when no key of the provider is good. `fault` is that of the last attempt; KEY_FAULT_NONE: none
 * was made. */
int key_refusal_failure(const Provider *provider, KeyFault fault, Failure *failure);
