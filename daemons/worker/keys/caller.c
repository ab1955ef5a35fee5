#include "keys/caller.h"

#include <string.h>

#include "base/text.h"
#include "keys/client-keys.h"

#define FAILURE(number, kind, name, text) \
        { .status = (number), .type = (char *) (kind), .code = (char *) (name), .message = (char *) (text) }

static const Failure not_trusted = FAILURE(
        403, "invalid_request_error", "caller_not_trusted",
        "A provider that costs money is configured: only root and members of group atelier may ask, on the Unix "
        "socket. Make a key with atelierctl keys create, or set trust_loopback = true to serve every local client.");

static const Failure key_missing = FAILURE(
        401, "invalid_request_error", "invalid_api_key",
        "You didn't provide an API key. Send one in the header: Authorization: Bearer YOUR_KEY.");

static const Failure key_refused = FAILURE(
        401, "invalid_request_error", "invalid_api_key",
        "Incorrect API key provided. Keys of this server begin with " CLIENT_KEY_PREFIX "; its operator makes them.");

static const Failure wrong_network = FAILURE(
        401, "invalid_request_error", "ip_not_authorized",
        "The key may not be used from your address; whoever gave it to you can say from where.");

const Failure caller_model_refused = {
        .status = 403,
        .type = (char *) "invalid_request_error",
        .code = (char *) "model_not_found",
        .param = (char *) "model",
        .message = (char *) "Your key has no access to this model; GET /v1/models lists those that it has.",
};

static const Failure store_unavailable = FAILURE(
        503, "server_error", "storage_unavailable",
        "The job store is not available; keys can't be checked. Try again later.");

/* As it was before there were keys. */
static const Failure *judge_by_origin(const Manager *manager, bool member, CallerPurpose purpose) {
        bool paid = purpose == CALLER_ASKS ? provider_table_is_paid(manager->providers) : manager->paid_history;

        return member || service_settings(manager->service)->common.trust_loopback || !paid ? NULL : &not_trusted;
}

static const Failure *judge_by_key(const Manager *manager, const char *token, const char *address, Caller *ret) {
        char id[CLIENT_KEY_ID_MAX];
        int r;

        if (!token)
                return &key_missing;
        r = client_keys_check(manager->client_keys, token, address, id);
        if (r < 0)
                return &store_unavailable;
        if (r == CLIENT_KEY_REFUSED)
                return &key_refused;
        if (r == CLIENT_KEY_WRONG_NETWORK)
                return &wrong_network;
        (void) strcpy(ret->key, id);
        return NULL;
}

const Failure *caller_judge(const Manager *manager, const JsonValue *parameters, CallerPurpose purpose, Caller *ret) {
        const JsonValue *caller = json_get_object(parameters, "caller");
        bool member = text_equal(json_get_string(caller, "origin"), "member"), required;
        bool remote = text_equal(json_get_string(caller, "origin"), "remote");
        const char *token = json_get_string(caller, "token");

        *ret = (Caller) {};
        if (member && !client_key_is_ours(token))
                return NULL;
        if (client_keys_required(manager->client_keys, &required) < 0)
                return &store_unavailable;
        return required || remote ? judge_by_key(manager, token, json_get_string(caller, "address"), ret)
                        : judge_by_origin(manager, member, purpose);
}

bool caller_may_ask_for(const Manager *manager, const Caller *caller, const ModelConf *model) {
        Store *store = commit_group_store(manager->group);
        const ModelConf *asked;
        ClientKey key;

        if (!*caller->key)
                return true;
        if (!store || store_get_key(store, caller->key, &key) != 0)
                return false;
        asked = settings_model_asked(service_settings(manager->service), model);
        return !*key.models || client_key_list_contains(key.models, model->name) ||
               (asked && client_key_list_contains(key.models, asked->name));
}

bool caller_may_see(const Caller *caller, const Job *job) {
        return !*caller->key || text_equal(caller->key, job->key);
}
