#include "keys/client-keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/network-list.h"

#define SECRET_FILE "client-key-secret"
#define SECRET_MODE 0600
#define CARRIED_AT_ONCE 16
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

        int require_key = service_settings(keys->manager->service)->common.require_key;

        *ret = require_key == REQUIRE_KEY_ALWAYS;
        if (require_key != REQUIRE_KEY_AUTO)
                return 0;
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

/* The secret, or the one before it as long as that is good. Both are compared, whatever the first says. */
static bool secret_is_right(const ClientKey *key, const uint8_t hash[static SHA256_BYTES], usec_t now) {
        bool right = memory_equal_constant_time(hash, key->hash, SHA256_BYTES);
        bool former = memory_equal_constant_time(hash, key->former_hash, SHA256_BYTES);

        return right | (former & (key->former_until > now));
}

/* What an unknown key is compared with is the hash of nothing: the way is the same. What else there is against a key is told
 * only to who knows its secret. */
int client_keys_check(ClientKeys *keys, const char *token, const char *address, char id[static CLIENT_KEY_ID_MAX]) {
        usec_t now = time_now_realtime();
        ClientKey key = {};
        uint8_t hash[SHA256_BYTES];
        bool right;
        int known, r;

        if (!client_key_parse(token, id))
                return refuse(keys, NULL, "none of ours");
        known = store_of(keys) ? store_get_key(store_of(keys), id, &key) : -EIO;
        if (known < 0)
                return known;
        r = client_key_hash(token, keys->secret, hash);
        if (r < 0)
                return r;

        right = secret_is_right(&key, hash, now);
        explicit_bzero(hash, sizeof(hash));
        if (!right || known != 0 || !keys->has_secret)
                return refuse(keys, known == 0 ? id : NULL, known == 0 ? "wrong" : "unknown");
        if (key.revoked_at > 0)
                return refuse(keys, id, "revoked");
        if (key.expires_at > 0 && key.expires_at <= now)
                return refuse(keys, id, "expired");
        if (*key.networks && !network_list_contains(key.networks, address)) {
                (void) refuse(keys, id, "not good from where it is used");
                return CLIENT_KEY_WRONG_NETWORK;
        }
        return 0;
}

int client_keys_mint(ClientKeys *keys, ClientKey *key, char token[static CLIENT_KEY_TOKEN_MAX]) {
        int r;

        r = make_secret(keys);
        if (r >= 0)
                r = client_key_mint(*key->id ? key->id : NULL, token);
        if (r >= 0)
                r = client_key_hash(token, keys->secret, key->hash);
        if (r >= 0 && !client_key_parse(token, key->id))
                r = -EIO;
        return r;
}

/* ------------------------------------------------------------------ restoring */

static int merge_all(Store *from, Store *to) {
        char after[CLIENT_KEY_ID_MAX] = "";
        ClientKey page[CARRIED_AT_ONCE];
        int n, r;

        while ((n = store_list_keys(from, after, page, CARRIED_AT_ONCE)) > 0) {
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
