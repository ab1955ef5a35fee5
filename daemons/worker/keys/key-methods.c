#include "keys/key-methods.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/network-list.h"
#include "base/text.h"
#include "interfaces/interfaces.h"
#include "keys/caller.h"
#include "keys/client-keys.h"
#include "store/store-audit.h"

#define LIST_KEYS_MAX 100
#define GRACE_DEFAULT (24 * USEC_PER_HOUR)
#define GRACE_MAX (30 * 24 * USEC_PER_HOUR)

/* Create, Rotate or Revoke, under way. */
typedef struct KeyRequest {
        Write write;
        Manager *manager;
        VarlinkCall *call;  /* NULL: the caller has gone */
        uid_t uid;          /* of the caller */
        ClientKey key;
        ClientKey before;   /* Rotate: as it was */
        usec_t grace;       /* Rotate */
        char token[CLIENT_KEY_TOKEN_MAX];  /* Create, Rotate */
} KeyRequest;

static void on_caller_gone(_unused_ VarlinkCall *call, void *userdata) {
        KeyRequest *request = userdata;

        request->call = NULL;
}

static void request_free(KeyRequest *request) {
        explicit_bzero(request, sizeof(*request));
        free(request);
}

static KeyRequest *request_new(Manager *manager, VarlinkCall *call) {
        KeyRequest *request = calloc(1, sizeof(*request));

        if (!request)
                return NULL;
        request->manager = manager;
        request->call = call;
        request->uid = varlink_call_peer(call)->uid;
        varlink_call_set_closed_handler(call, on_caller_gone, request);
        return request;
}

/* In the transaction that changes the key. */
static int record_of_key(const KeyRequest *request, Store *store, const char *action) {
        AuditRecord record = {
                .action = (char *) action,
                .outcome = (char *) AUDIT_OK,
                .object = (char *) request->key.id,
                .detail = (char *) request->key.name,
                .uid = request->uid,
                .count = 1,
        };

        return store_audit_append(store, &record);
}

/* ------------------------------------------------------------------ answers */

static int add_budget(JsonValue *value, const char *name, micros_t budget) {
        return budget == CLIENT_KEY_NO_BUDGET ? 0 : json_add_integer(value, name, budget);
}

static int add_some(JsonValue *value, const char *name, uint64_t number) {
        return number == 0 ? 0 : json_add_integer(value, name, (int64_t) number);
}

static int add_list(JsonValue *value, const char *name, const char *list) {
        JsonValue *array = *list ? json_new_array() : NULL;
        int r = 0;

        if (!*list)
                return 0;
        for (const char *p = list; *p && r >= 0;) {
                size_t n = strcspn(p, ",");
                _cleanup_free_ char *entry = strndup(p, n);

                r = entry ? json_append(array, cJSON_CreateString(entry)) : -ENOMEM;
                p += n + (p[n] == ',');
        }
        if (r >= 0)
                return json_add(value, name, array);
        (void) json_free(array);
        return r;
}

static JsonValue *key_to_json(const ClientKey *key, usec_t now) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "id", key->id);
        if (r >= 0)
                r = json_add_string(value, "name", key->name);
        if (r >= 0)
                r = json_add_string(value, "owner", *key->owner ? key->owner : NULL);
        if (r >= 0)
                r = json_add_integer(value, "created_at", (int64_t) key->created_at);
        if (r >= 0)
                r = add_some(value, "revoked_at", key->revoked_at);
        if (r >= 0)
                r = add_some(value, "expires_at", key->expires_at);
        if (r >= 0)
                r = add_some(value, "former_until", key->former_until > now ? key->former_until : 0);
        if (r >= 0)
                r = add_some(value, "used_at", key->used_at);
        if (r >= 0)
                r = add_budget(value, "daily_budget_micros", key->daily_budget);
        if (r >= 0)
                r = add_budget(value, "monthly_budget_micros", key->monthly_budget);
        if (r >= 0)
                r = add_list(value, "models", key->models);
        if (r >= 0)
                r = add_list(value, "networks", key->networks);
        if (r >= 0)
                r = add_some(value, "requests_per_minute", key->requests_per_minute);
        if (r >= 0)
                r = add_some(value, "images_per_minute", key->images_per_minute);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int reply_key(VarlinkCall *call, const KeyRequest *request) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add(reply, "key", key_to_json(&request->key, time_now_realtime()));
        if (r >= 0 && *request->token)
                r = json_add_string(reply, "token", request->token);
        return r < 0 ? varlink_call_error_errno(call, r) : varlink_call_reply(call, TAKE_PTR(reply));
}

static int reply_not_found(VarlinkCall *call, const char *id) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "id", id ?: "");
        return varlink_call_error(call, "io.atelier.Keys.KeyNotFound", parameters);
}

static int reply_unavailable(VarlinkCall *call, int error) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "reason",
                               error == -ENOSPC ? "the disk is full" : "it can't be read or written");
        return varlink_call_error(call, "io.atelier.Keys.StoreUnavailable", parameters);
}

/* At -ECANCELED nobody knows what was written. */
static void answer(KeyRequest *request, int result) {
        VarlinkCall *call = TAKE_PTR(request->call);

        if (!call)
                return;
        varlink_call_set_closed_handler(call, NULL, NULL);
        if (result == -ECANCELED)
                varlink_call_abandon(call);
        else if (result == STORE_NOT_FOUND)
                (void) reply_not_found(call, request->key.id);
        else
                (void) (result < 0 ? reply_unavailable(call, result) : reply_key(call, request));
}

static void finish(KeyRequest *request, int result, const char *what) {
        if (result == 0)
                (void) log_record(LOG_NOTICE, 0, LOG_FIELDS({ "ATELIER_KEY", request->key.id }),
                                  "client key %s %s (%s)", request->key.id, what, request->key.name);
        else if (result < 0 && result != -ECANCELED)
                (void) log_error_errno(result, "a client key can't be written");
        answer(request, result);
        request_free(request);
}

/* ------------------------------------------------------------------ Create */

/* Absent: none. False for an amount that is none. */
static bool read_budget(const JsonValue *parameters, const char *name, micros_t *ret) {
        *ret = json_get_integer(parameters, name, CLIENT_KEY_NO_BUDGET);
        return !json_has(parameters, name) || (*ret >= 0 && *ret <= MICROS_MAX);
}

static bool read_rate(const JsonValue *parameters, const char *name, unsigned *ret) {
        int64_t rate = json_get_integer(parameters, name, 0);

        if (json_has(parameters, name) && (rate < 1 || rate > CLIENT_KEY_RATE_MAX))
                return false;
        *ret = (unsigned) rate;
        return true;
}

static bool read_name(const JsonValue *parameters, const char *member, char ret[static CLIENT_KEY_NAME_BYTES_MAX + 1]) {
        const char *name = json_get_string(parameters, member);

        if (!client_key_name_valid(name))
                return false;
        (void) strcpy(ret, name);
        return true;
}

static bool model_fits(const Manager *manager, const char *name) {
        return settings_find_model(service_settings(manager->service), name) && !strchr(name, ',');
}

static bool network_fits(_unused_ const Manager *manager, const char *name) {
        return network_valid(name);
}

/* Strings that `fits`, as one text divided by commas. An empty list would be all, which nobody means by it. */
static bool read_list(const Manager *manager, const JsonValue *parameters, const char *name,
                      bool (*fits)(const Manager *manager, const char *text), char *ret, size_t size) {
        const JsonValue *array = json_get_array(parameters, name), *entry;
        size_t length = 0;

        *ret = 0;
        if (!json_has(parameters, name))
                return true;
        cJSON_ArrayForEach(entry, array) {
                const char *text = cJSON_GetStringValue(entry);

                if (!text || !fits(manager, text))
                        return false;
                length += (size_t) snprintf(ret + length, size - length, "%s%s", length > 0 ? "," : "", text);
                if (length >= size)
                        return false;
        }
        return length > 0;
}

static bool read_expiry(const JsonValue *parameters, usec_t now, usec_t *ret) {
        int64_t at = json_get_integer(parameters, "expires_at", 0);

        *ret = (usec_t) MAX(at, 0);
        return !json_has(parameters, "expires_at") || at > (int64_t) now;
}

/* NULL, or the parameter that is wrong. */
static const char *read_key(const Manager *manager, const JsonValue *parameters, ClientKey *key) {
        if (!read_name(parameters, "name", key->name))
                return "name";
        if (json_has(parameters, "owner") && !read_name(parameters, "owner", key->owner))
                return "owner";
        if (!read_expiry(parameters, key->created_at, &key->expires_at))
                return "expires_at";
        if (!read_budget(parameters, "daily_budget_micros", &key->daily_budget))
                return "daily_budget_micros";
        if (!read_budget(parameters, "monthly_budget_micros", &key->monthly_budget))
                return "monthly_budget_micros";
        if (!read_list(manager, parameters, "models", model_fits, key->models, sizeof(key->models)))
                return "models";
        if (!read_list(manager, parameters, "networks", network_fits, key->networks, sizeof(key->networks)))
                return "networks";
        if (!read_rate(parameters, "requests_per_minute", &key->requests_per_minute))
                return "requests_per_minute";
        if (!read_rate(parameters, "images_per_minute", &key->images_per_minute))
                return "images_per_minute";
        return NULL;
}

static int apply_create(Write *write, Store *store) {
        KeyRequest *request = CONTAINER_OF(write, KeyRequest, write);
        int r = store_add_key(store, &request->key);

        return r != 0 ? r : record_of_key(request, store, "key.created");
}

/* Its token will be told to nobody. */
static int settle_create(Write *write, Store *store) {
        KeyRequest *request = CONTAINER_OF(write, KeyRequest, write);
        ClientKey key;
        int r;

        r = store_get_key(store, request->key.id, &key);
        if (r == 0)
                r = record_of_key(request, store, "key.withdrawn");
        return r != 0 ? MIN(r, 0) : MIN(store_delete_key(store, request->key.id), 0);
}

static void on_created(Write *write, int result) {
        finish(CONTAINER_OF(write, KeyRequest, write), result, "created");
}

static int on_create(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        ClientKey key = { .created_at = time_now_realtime() };
        Manager *manager = userdata;
        const char *wrong;
        KeyRequest *request;
        int r;

        wrong = read_key(manager, parameters, &key);
        if (wrong)
                return varlink_call_invalid_parameter(call, wrong);
        request = request_new(manager, call);
        if (!request)
                return -ENOMEM;
        request->key = key;
        r = client_keys_mint(manager->client_keys, &request->key, request->token);
        if (r < 0) {
                finish(request, r, NULL);
                return 0;
        }
        request->write = (Write) { .apply = apply_create, .settle = settle_create, .done = on_created };
        commit_group_add(manager->group, &request->write);
        return 0;
}

/* ------------------------------------------------------------------ Rotate */

static int apply_rotate(Write *write, Store *store) {
        KeyRequest *request = CONTAINER_OF(write, KeyRequest, write);
        uint8_t hash[SHA256_BYTES];
        int r;

        r = store_get_key(store, request->key.id, &request->before);
        if (r != 0)
                return r;
        memcpy(hash, request->key.hash, sizeof(hash));
        request->key = request->before;
        memcpy(request->key.hash, hash, sizeof(hash));
        memcpy(request->key.former_hash, request->before.hash, sizeof(hash));
        request->key.former_until = request->grace > 0 ? time_now_realtime() + request->grace : 0;
        r = store_rotate_key(store, &request->key);
        return r != 0 ? r : record_of_key(request, store, "key.rotated");
}

/* Nobody will be told the new token: the key goes on with the secrets that it had. */
static int settle_rotate(Write *write, Store *store) {
        const KeyRequest *request = CONTAINER_OF(write, KeyRequest, write);

        return *request->before.id ? MIN(store_rotate_key(store, &request->before), 0) : 0;
}

static void on_rotated(Write *write, int result) {
        finish(CONTAINER_OF(write, KeyRequest, write), result, "has a new secret");
}

static int on_rotate(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        int64_t grace = json_get_integer(parameters, "grace_usec", (int64_t) GRACE_DEFAULT);
        const char *id = json_get_string(parameters, "id");
        Manager *manager = userdata;
        KeyRequest *request;
        int r;

        if (!client_key_id_valid(id))
                return reply_not_found(call, id);
        if (grace < 0 || grace > (int64_t) GRACE_MAX)
                return varlink_call_invalid_parameter(call, "grace_usec");
        request = request_new(manager, call);
        if (!request)
                return -ENOMEM;
        (void) strcpy(request->key.id, id);
        request->grace = (usec_t) grace;
        r = client_keys_mint(manager->client_keys, &request->key, request->token);
        if (r < 0) {
                finish(request, r, NULL);
                return 0;
        }
        request->write = (Write) { .apply = apply_rotate, .settle = settle_rotate, .done = on_rotated };
        commit_group_add(manager->group, &request->write);
        return 0;
}

/* ------------------------------------------------------------------ Revoke */

static int apply_revoke(Write *write, Store *store) {
        KeyRequest *request = CONTAINER_OF(write, KeyRequest, write);
        int r;

        r = store_revoke_key(store, request->key.id, time_now_realtime());
        if (r == 0)
                r = store_get_key(store, request->key.id, &request->key);
        return r != 0 ? r : record_of_key(request, store, "key.revoked");
}

/* An operator has said so: where it did not reach the disk it is done once more. */
static int settle_revoke(Write *write, Store *store) {
        int r = apply_revoke(write, store);

        return r < 0 ? r : WRITE_STANDS;
}

static void on_revoked(Write *write, int result) {
        finish(CONTAINER_OF(write, KeyRequest, write), result, "revoked");
}

static int on_revoke(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        const char *id = json_get_string(parameters, "id");
        Manager *manager = userdata;
        KeyRequest *request;

        if (!client_key_id_valid(id))
                return reply_not_found(call, id);
        request = request_new(manager, call);
        if (!request)
                return -ENOMEM;
        (void) strcpy(request->key.id, id);
        request->write = (Write) { .apply = apply_revoke, .settle = settle_revoke, .done = on_revoked };
        commit_group_add(manager->group, &request->write);
        return 0;
}

/* ------------------------------------------------------------------ List */

/* One more than a page holds tells whether there are more. */
static int reply_list(VarlinkCall *call, const ClientKey *keys, int count) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        usec_t now = time_now_realtime();
        int r;

        r = json_add(reply, "keys", array);
        for (int i = 0; r >= 0 && i < MIN(count, LIST_KEYS_MAX); i++)
                r = json_append(array, key_to_json(&keys[i], now));
        if (r >= 0)
                r = json_add_bool(reply, "has_more", count > LIST_KEYS_MAX);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int on_list(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Store *store = commit_group_store(((Manager *) userdata)->group);
        _cleanup_free_ ClientKey *keys = calloc(LIST_KEYS_MAX + 1, sizeof(*keys));
        int n;

        if (!keys)
                return -ENOMEM;
        n = store ? store_list_keys(store, json_get_string(parameters, "after"), keys, LIST_KEYS_MAX + 1) : -EIO;
        return n < 0 ? reply_unavailable(call, n) : reply_list(call, keys, n);
}

/* ------------------------------------------------------------------ Check */

static int on_check(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        const Failure *failure;
        JsonValue *refusal;
        Caller caller;

        failure = caller_judge(userdata, parameters, CALLER_LOOKS, &caller);
        if (!failure)
                return varlink_call_reply(call, NULL);
        refusal = failure_to_json(failure);
        return refusal ? varlink_call_error(call, "io.atelier.Keys.Refused", refusal) : -ENOMEM;
}

int key_methods_add(VarlinkServer *server, Manager *manager) {
        static const VarlinkMethod methods[] = {
                { "Create", on_create, false },
                { "List", on_list, false },
                { "Rotate", on_rotate, false },
                { "Revoke", on_revoke, false },
                { "Check", on_check, false },
                {},
        };

        return varlink_server_add_interface(server, interface_keys, methods, manager);
}
