/* For whom a call is made, and whether it may be served: `caller` of the interfaces.
 *
 * Without any key (and with require_key = "auto") where a client comes from decides, and a token that it sends along
 * counts for nothing: once money can be spent, only root and group atelier on the Unix socket (members) are served,
 * unless trust_loopback says otherwise.
 *
 * Once there is a key, whoever is no member shows one. A member may go without, and see everything; what it sends
 * along counts only if it looks like a key of ours. Who has shown a key is known by it and sees that key's jobs
 * alone. */
#pragma once

#include "keys/client-key.h"
#include "manager.h"

typedef struct Caller {
        char key[CLIENT_KEY_ID_MAX];  /* that it has shown; "" none */
} Caller;

typedef enum CallerPurpose {
        CALLER_ASKS,   /* may cause costs */
        CALLER_LOOKS,  /* sees and touches what is stored */
} CallerPurpose;

/* NULL when the call whose parameters these are may be served, with *ret; else why it is not. */
const Failure *caller_judge(const Manager *manager, const JsonValue *parameters, CallerPurpose purpose, Caller *ret);

/* May it ask for the model, which is one of the configuration? A key is bound to models by their own names or by aliases. */
bool caller_may_ask_for(const Manager *manager, const Caller *caller, const ModelConf *model);

/* 403, for a model that it may not ask for. */
extern const Failure caller_model_refused;

/* May it know of the job? */
bool caller_may_see(const Caller *caller, const Job *job);
