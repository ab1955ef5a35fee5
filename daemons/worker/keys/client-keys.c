#include "keys/client-keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

#define SECRET_FILE "client-key-secret"
#define SECRET_MODE 0600
#define LIST_KEYS_MAX 100
#define REFUSAL_LOG_INTERVAL_USEC (10 * USEC_PER_SEC)

struct ClientKeys {
        Manager *manager;
        int folder_fd;
        usec_t refusal_logged_at;
        uint64_t refusals;        /* since then */
        bool has_secret;
        uint8_t secret[CLIENT_KEY_SERVER_SECRET_BYTES];
};

static Store *store_of(const ClientKeys *keys) {
        return commit_group_store(keys->manager->group);
}

/* ------------------------------------------------------------------ the server's secret */

static int read_secret(ClientKeys *keys) {
        char *data;
        size_t size;
        int r;

        r = file_read(keys->folder_fd, SECRET_FILE, sizeof(keys->secret), &data, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        if (size == sizeof(keys->secret)) {
                memcpy(keys->secret, data, size);
                keys->has_secret = true;
        }
        explicit_bzero(data, size);
        free(data);
        return keys->has_secret ? 0 : -EBADMSG;
}

static int make_secret(ClientKeys *keys) {
        int r;

        if (keys->has_secret)
                return 0;
        if (getrandom(keys->secret, sizeof(keys->secret), 0) != (ssize_t) sizeof(keys->secret))
                return -EIO;
        r = file_replace(keys->folder_fd, SECRET_FILE, keys->secret, sizeof(keys->secret), SECRET_MODE);
        keys->has_secret = r >= 0;
        return r;
}

void client_keys_look_for_secret(const ClientKeys *keys) {
        Store *store = store_of(keys);
        bool any;

        if (!keys->has_secret && store && store_has_keys(store, &any) >= 0 && any)
                log_warning("the file " SECRET_FILE " is not in the state's folder: every client key is refused; "
                            "bring the file back, or make new keys with: atelierctl keys create");
}

int client_keys_new(ClientKeys **ret, Manager *manager, const char *state_path) {
        _cleanup_(client_keys_freep) ClientKeys *keys = calloc(1, sizeof(*keys));
        int r;

        if (!keys)
                return -ENOMEM;
        keys->manager = manager;
        keys->folder_fd = open(state_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (keys->folder_fd < 0)
                return -errno;
        r = read_secret(keys);
        if (r < 0)
                return log_error_errno(r, "the client keys' secret %s/" SECRET_FILE " can't be read", state_path);
        client_keys_look_for_secret(keys);

        *ret = TAKE_PTR(keys);
        return 0;
}

ClientKeys *client_keys_free(ClientKeys *keys) {
        if (!keys)
                return NULL;
        (void) fd_close(keys->folder_fd);
        explicit_bzero(keys->secret, sizeof(keys->secret));
        free(keys);
        return NULL;
}

/* ------------------------------------------------------------------ who a token is */

int client_keys_required(const ClientKeys *keys, bool *ret) {
        Store *store = store_of(keys);

        if (service_settings(keys->manager->service)->common.require_key == REQUIRE_KEY_ALWAYS) {
                *ret = true;
                return 0;
        }
        return store ? store_has_keys(store, ret) : -EIO;
}

/* The client is not told why; the operator is. Clients can bring this about as often as they like. */
static int refuse(ClientKeys *keys, const char *id, const char *why) {
        usec_t now = time_now_monotonic();

        keys->refusals++;
        if (keys->refusal_logged_at > 0 && now < keys->refusal_logged_at + REFUSAL_LOG_INTERVAL_USEC)
                return CLIENT_KEY_REFUSED;
        (void) log_record(LOG_NOTICE, 0, LOG_FIELDS({ "ATELIER_KEY", id }),
                          "requests refused for their key since the last such record: %llu, the newest for a key "
                          "that is %s",
                          (unsigned long long) keys->refusals, why);
        keys->refusal_logged_at = now;
        keys->refusals = 0;
        return CLIENT_KEY_REFUSED;
}

/* What an unknown key is compared with is the hash of nothing: the way is the same. */
int client_keys_check(ClientKeys *keys, const char *token, char id[static CLIENT_KEY_ID_MAX]) {
        ClientKey key = {};
        uint8_t hash[SHA256_BYTES];
        bool equal;
        int known, r;

        if (!client_key_parse(token, id))
                return refuse(keys, NULL, "none of ours");
        known = store_of(keys) ? store_get_key(store_of(keys), id, &key) : -EIO;
        if (known < 0)
                return known;
        r = client_key_hash(token, keys->secret, hash);
        if (r < 0)
                return r;

        equal = memory_equal_constant_time(hash, key.hash, sizeof(hash));
        explicit_bzero(hash, sizeof(hash));
        if (!equal || known != 0 || !keys->has_secret)
                return refuse(keys, known == 0 ? id : NULL, known == 0 ? "wrong" : "unknown");
        return key.revoked_at > 0 ? refuse(keys, id, "revoked") : 0;
}

/* ------------------------------------------------------------------ restoring */

static int merge_all(Store *from, Store *to) {
        char after[CLIENT_KEY_ID_MAX] = "";
        ClientKey page[LIST_KEYS_MAX];
        int n, r;

        while ((n = store_list_keys(from, after, page, LIST_KEYS_MAX)) > 0) {
                for (int i = 0; i < n; i++) {
                        r = store_merge_key(to, &page[i]);
                        if (r < 0)
                                return r;
                }
                (void) strcpy(after, page[n - 1].id);
        }
        return n;
}

int client_keys_carry(const ClientKeys *keys, const char *database_path) {
        _cleanup_(store_freep) Store *next = NULL;
        bool any = false;
        int r;

        r = store_of(keys) ? store_has_keys(store_of(keys), &any) : -EIO;
        if (r < 0 || !any)
                return r;
        r = store_open(&next, database_path);
        if (r >= 0)
                r = store_group_begin(next);
        if (r < 0)
                return r;
        r = merge_all(store_of(keys), next);
        if (r >= 0)
                return store_group_commit(next);
        store_group_rollback(next);
        return r;
}

/* ------------------------------------------------------------------ io.atelier.Keys */

/* Create or Revoke, under way. */
typedef struct KeyRequest {
        Write write;
        ClientKeys *keys;
        VarlinkCall *call;  /* NULL: the caller has gone */
        ClientKey key;
        char token[CLIENT_KEY_TOKEN_MAX];  /* Create */
} KeyRequest;

static void on_caller_gone(_unused_ VarlinkCall *call, void *userdata) {
        KeyRequest *request = userdata;

        request->call = NULL;
}

static void request_free(KeyRequest *request) {
        explicit_bzero(request, sizeof(*request));
        free(request);
}

static int add_budget(JsonValue *value, const char *name, micros_t budget) {
        return budget == CLIENT_KEY_NO_BUDGET ? 0 : json_add_integer(value, name, budget);
}

static JsonValue *key_to_json(const ClientKey *key) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "id", key->id);
        if (r >= 0)
                r = json_add_string(value, "name", key->name);
        if (r >= 0)
                r = json_add_integer(value, "created_at", (int64_t) key->created_at);
        if (r >= 0 && key->revoked_at > 0)
                r = json_add_integer(value, "revoked_at", (int64_t) key->revoked_at);
        if (r >= 0)
                r = add_budget(value, "daily_budget_micros", key->daily_budget);
        if (r >= 0)
                r = add_budget(value, "monthly_budget_micros", key->monthly_budget);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int reply_key(VarlinkCall *call, const KeyRequest *request) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add(reply, "key", key_to_json(&request->key));
        if (r >= 0 && *request->token)
                r = json_add_string(reply, "token", request->token);
        return r < 0 ? varlink_call_error_errno(call, r) : varlink_call_reply(call, TAKE_PTR(reply));
}

static int reply_not_found(VarlinkCall *call, const char *id) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "id", id);
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

static KeyRequest *request_new(ClientKeys *keys, VarlinkCall *call) {
        KeyRequest *request = calloc(1, sizeof(*request));

        if (!request)
                return NULL;
        request->keys = keys;
        request->call = call;
        varlink_call_set_closed_handler(call, on_caller_gone, request);
        return request;
}

static int apply_create(Write *write, Store *store) {
        return store_add_key(store, &CONTAINER_OF(write, KeyRequest, write)->key);
}

/* Its token will be told to nobody. */
static int settle_create(Write *write, Store *store) {
        return MIN(store_delete_key(store, CONTAINER_OF(write, KeyRequest, write)->key.id), 0);
}

static void on_created(Write *write, int result) {
        finish(CONTAINER_OF(write, KeyRequest, write), result, "created");
}

static int mint(ClientKeys *keys, KeyRequest *request) {
        int r;

        r = make_secret(keys);
        if (r >= 0)
                r = client_key_mint(request->token);
        if (r >= 0)
                r = client_key_hash(request->token, keys->secret, request->key.hash);
        if (r >= 0 && !client_key_parse(request->token, request->key.id))
                r = -EIO;
        return r;
}

int client_keys_create(ClientKeys *keys, VarlinkCall *call, const char *name, micros_t daily_budget,
                       micros_t monthly_budget) {
        KeyRequest *request = request_new(keys, call);
        int r;

        if (!request)
                return -ENOMEM;
        r = mint(keys, request);
        if (r < 0) {
                finish(request, r, NULL);
                return 0;
        }
        (void) snprintf(request->key.name, sizeof(request->key.name), "%s", name);
        request->key.created_at = time_now_realtime();
        request->key.daily_budget = daily_budget;
        request->key.monthly_budget = monthly_budget;
        request->write = (Write) { .apply = apply_create, .settle = settle_create, .done = on_created };
        commit_group_add(keys->manager->group, &request->write);
        return 0;
}

static int apply_revoke(Write *write, Store *store) {
        KeyRequest *request = CONTAINER_OF(write, KeyRequest, write);
        int r;

        r = store_revoke_key(store, request->key.id, time_now_realtime());
        return r != 0 ? r : store_get_key(store, request->key.id, &request->key);
}

/* An operator has said so: where it did not reach the disk it is done once more. */
static int settle_revoke(Write *write, Store *store) {
        int r = apply_revoke(write, store);

        return r < 0 ? r : WRITE_STANDS;
}

static void on_revoked(Write *write, int result) {
        finish(CONTAINER_OF(write, KeyRequest, write), result, "revoked");
}

int client_keys_revoke(ClientKeys *keys, VarlinkCall *call, const char *id) {
        KeyRequest *request;

        if (!client_key_id_valid(id))
                return reply_not_found(call, id);
        request = request_new(keys, call);
        if (!request)
                return -ENOMEM;
        (void) strcpy(request->key.id, id);
        request->write = (Write) { .apply = apply_revoke, .settle = settle_revoke, .done = on_revoked };
        commit_group_add(keys->manager->group, &request->write);
        return 0;
}

/* One more than a page holds tells whether there are more. */
int client_keys_list(ClientKeys *keys, VarlinkCall *call, const char *after) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        ClientKey page[LIST_KEYS_MAX + 1];
        JsonValue *array = json_new_array();
        int n, r;

        n = store_of(keys) ? store_list_keys(store_of(keys), after, page, ELEMENTS(page)) : -EIO;
        r = json_add(reply, "keys", array);
        if (n < 0)
                return reply_unavailable(call, n);
        for (int i = 0; r >= 0 && i < MIN(n, LIST_KEYS_MAX); i++)
                r = json_append(array, key_to_json(&page[i]));
        if (r >= 0)
                r = json_add_bool(reply, "has_more", n > LIST_KEYS_MAX);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}
