#include "health.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/text.h"

/* What is known of one provider, by name: it outlives a reload. */
typedef struct ProviderHealth {
        Health *health;
        char *name;
        ProviderTable *table;   /* of the check under way; NULL: none is */
        bool ok;
        usec_t latency, checked_at;  /* monotonic; 0: never */
        char *message;
} ProviderHealth;

typedef struct HealthWaiter {
        Health *health;
        VarlinkCall *call;
        struct HealthWaiter *next;
} HealthWaiter;

struct Health {
        Manager *manager;
        Map *providers;         /* name → ProviderHealth */
        HealthWaiter *waiters;
        unsigned checking;      /* provider checks under way */
        bool freeing;
};

static ProviderHealth *provider_health_free(ProviderHealth *known) {
        if (!known)
                return NULL;
        (void) map_remove(known->health->providers, known->name);
        (void) provider_table_unref(known->table);
        free(known->message);
        free(known->name);
        free(known);
        return NULL;
}

static int get_provider(Health *health, const char *name, ProviderHealth **ret) {
        ProviderHealth *known = map_get(health->providers, name);
        int r;

        if (!known) {
                known = calloc(1, sizeof(*known));
                if (!known)
                        return -ENOMEM;
                known->health = health;
                known->name = strdup(name);
                r = known->name ? map_put(health->providers, known->name, known) : -ENOMEM;
                if (r < 0) {
                        free(known->name);
                        free(known);
                        return r;
                }
        }
        *ret = known;
        return 0;
}

/* ------------------------------------------------------------------ the answer */

static int add_check(JsonValue *array, const char *name, bool ok, usec_t latency, const char *message) {
        _cleanup_(json_freep) JsonValue *check = json_new_object();
        int r;

        r = json_add_string(check, "name", name);
        if (r >= 0)
                r = json_add_bool(check, "ok", ok);
        if (r >= 0)
                r = json_add_integer(check, "latency_usec", (int64_t) latency);
        if (r >= 0)
                r = json_add_string(check, "message", message);
        return r < 0 ? r : json_append(array, TAKE_PTR(check));
}

static int add_store(Health *health, JsonValue *array) {
        Store *store = commit_group_store(health->manager->group);
        usec_t before = time_now_monotonic();
        int64_t count;
        int r;

        r = store ? store_count_waiting(store, &count) : -EIO;
        return add_check(array, "cache", r == 0, time_now_monotonic() - before,
                         r == 0 ? NULL : "the job store does not answer; see journalctl -u atelier-worker");
}

/* Can an image be written, and is there room for more? */
static int probe_storage(const Manager *manager, char **ret_message) {
        uint64_t minimum = service_settings(manager->service)->worker.storage_free_min, available;
        TemporaryImage *probe = NULL;
        struct statvfs fs;
        int r;

        r = temporary_image_new(&probe, manager->images);
        if (r >= 0)
                r = temporary_image_write(probe, "probe", strlen("probe"));
        (void) temporary_image_free(probe);
        if (r < 0) {
                *ret_message = text_format("an image can't be written: %s", strerror(-r));
                return r;
        }

        if (statvfs(state_folder_current(manager->state), &fs) < 0)
                return -errno;
        available = (uint64_t) fs.f_bavail * fs.f_frsize;
        if (available < minimum) {
                *ret_message = text_format("%llu MiB are free, worker.storage_free_min is %llu MiB",
                                           (unsigned long long) available >> 20, (unsigned long long) minimum >> 20);
                return -ENOSPC;
        }
        return 0;
}

static int add_storage(Health *health, JsonValue *array) {
        _cleanup_free_ char *message = NULL;
        usec_t before = time_now_monotonic();
        int r;

        r = probe_storage(health->manager, &message);
        return add_check(array, "storage", r == 0, time_now_monotonic() - before,
                         r == 0 ? NULL : message ?: "the storage of images does not answer");
}

/* A key that is set aside is told of, whatever the others do; without a good one nothing can be made. */
static int add_provider(JsonValue *array, const Provider *provider, const ProviderHealth *known) {
        _cleanup_(buffer_done) Buffer keys = {};
        _cleanup_free_ char *text = NULL;
        bool ok = known->ok && !provider_keys_all_aside(provider);
        int r = 0;

        if (known->message)
                r = buffer_append_text(&keys, known->message);
        if (r >= 0)
                r = provider_describe_keys(provider, &keys);
        if (r < 0)
                return r;
        if (keys.size > 0 && !(text = buffer_take_text(&keys)))
                return -ENOMEM;
        return add_check(array, known->name, ok, known->latency, text);
}

static int add_providers(Health *health, JsonValue *array) {
        ProviderSlot *slot;
        int r;

        for (size_t i = 0; (slot = provider_table_at(health->manager->providers, i)); i++) {
                const ProviderHealth *known = map_get(health->providers, provider_name(slot->provider));

                if (!known)
                        continue;
                r = add_provider(array, slot->provider, known);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int reply_checks(Health *health, VarlinkCall *call) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *array = json_new_array();
        int r;

        r = json_add(reply, "checks", array);
        if (r >= 0)
                r = add_providers(health, array);
        if (r >= 0)
                r = add_store(health, array);
        if (r >= 0)
                r = add_storage(health, array);
        if (r < 0)
                return varlink_call_error(call, VARLINK_ERROR_SYSTEM, NULL);
        return varlink_call_reply(call, TAKE_PTR(reply));
}

/* ------------------------------------------------------------------ checking */

static void on_waiter_gone(_unused_ VarlinkCall *call, void *userdata) {
        HealthWaiter *waiter = userdata;

        for (HealthWaiter **link = &waiter->health->waiters; *link; link = &(*link)->next)
                if (*link == waiter) {
                        *link = waiter->next;
                        break;
                }
        free(waiter);
}

static void answer_waiters(Health *health) {
        for (HealthWaiter *waiter; (waiter = health->waiters);) {
                health->waiters = waiter->next;
                varlink_call_set_closed_handler(waiter->call, NULL, NULL);
                (void) reply_checks(health, waiter->call);
                free(waiter);
        }
}

static void on_checked(_unused_ Provider *provider, bool ok, usec_t latency, const char *message, void *userdata) {
        ProviderHealth *known = userdata;
        Health *health = known->health;

        known->ok = ok;
        known->latency = latency;
        known->checked_at = time_now_monotonic();
        free(known->message);
        known->message = message ? strdup(message) : NULL;
        known->table = provider_table_unref(known->table);
        if (--health->checking == 0 && !health->freeing)
                answer_waiters(health);
}

static int check_provider(Health *health, ProviderSlot *slot) {
        ProviderHealth *known;
        int r;

        r = get_provider(health, provider_name(slot->provider), &known);
        if (r < 0)
                return r;
        if (known->table ||
            (known->checked_at > 0 && time_now_monotonic() < known->checked_at + HEALTH_PROVIDER_USEC))
                return 0;

        known->table = provider_table_ref(slot->table);
        health->checking++;
        r = provider_check(slot->provider, 0, on_checked, known);
        if (r < 0) {
                health->checking--;
                known->table = provider_table_unref(known->table);
        }
        return r;
}

int health_check(Health *health, VarlinkCall *call) {
        HealthWaiter *waiter;
        ProviderSlot *slot;
        int r;

        for (size_t i = 0; (slot = provider_table_at(health->manager->providers, i)); i++)
                if (provider_has_key(slot->provider)) {
                        r = check_provider(health, slot);
                        if (r < 0)
                                return r;
                }
        if (health->checking == 0)
                return reply_checks(health, call);

        waiter = malloc(sizeof(*waiter));
        if (!waiter)
                return -ENOMEM;
        *waiter = (HealthWaiter) { health, call, health->waiters };
        health->waiters = waiter;
        varlink_call_set_closed_handler(call, on_waiter_gone, waiter);
        return 0;
}

int health_new(Health **ret, Manager *manager) {
        _cleanup_(health_freep) Health *health = NULL;
        int r;

        health = calloc(1, sizeof(*health));
        if (!health)
                return -ENOMEM;
        health->manager = manager;
        r = map_new(&health->providers);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(health);
        return 0;
}

Health *health_free(Health *health) {
        ProviderHealth *known;

        if (!health)
                return NULL;

        health->freeing = true;
        while (health->waiters) {
                varlink_call_set_closed_handler(health->waiters->call, NULL, NULL);
                on_waiter_gone(NULL, health->waiters);
        }
        while (health->providers && (known = map_first(health->providers)))
                (void) provider_health_free(known);
        (void) map_free(health->providers);
        free(health);
        return NULL;
}
