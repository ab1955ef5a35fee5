#include "secrets/secrets.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/log.h"
#include "base/secret-pages.h"
#include "base/text.h"
#include "secrets/secret-files.h"
#include "secrets/secret-manager.h"

#define MANAGERS (SECRET_VAULT + 1)
#define FILE_READS_MAX 10            /* of a folder that changes while it is read */
#define REFRESH_SPREAD 10            /* a refresh comes earlier by up to this part of its pause, by chance */
#define ACCURACY_USEC (100 * USEC_PER_MSEC)
#define START_CONNECTIONS_MAX 4

/* In pages of its own. */
typedef struct SecretValue {
        char *text;                  /* NULL: there is none */
        size_t bytes;                /* with the final zero */
} SecretValue;

typedef struct Secret {
        struct Secret *next;
        Secrets *secrets;
        char *text;                  /* the reference */
        SecretReference reference;
        SecretValue value;           /* in use, or new */
        SecretValue former;          /* while `value` is new: the one that it took the place of */
        SecretValue rejected;        /* what is there still, and was no good */
        usec_t fetched_at;           /* realtime */
        usec_t due;                  /* monotonic; for a file USEC_INFINITY */
        usec_t refused_at;           /* monotonic: when it was last fetched because it was refused; 0: never */
        char *problem;               /* of the last fetch; NULL: none */
        unsigned failures;           /* in a row */
        bool refused;                /* and is being fetched for that */
        bool wanted;                 /* by the settings; while they are taken */
} Secret;

struct Secrets {
        sd_event *event;
        sd_event_source *timer;
        HttpClient *http;
        const Settings *settings;
        SecretsHooks hooks;
        void *userdata;
        SecretFiles *files;
        SecretManager *managers[MANAGERS];  /* by place; NULL: not needed so far */
        Secret *fetched[MANAGERS];          /* by each of them, now */
        Secret *list;
        bool serving;                /* hooks are called */
};

/* ------------------------------------------------------------------ values */

static bool is_remote(const Secret *secret) {
        return secret->reference.place >= SECRET_AWS;
}

static void value_done(SecretValue *value) {
        value->text = secret_pages_free(value->text, value->bytes);
        value->bytes = 0;
}

static bool value_is(const SecretValue *value, const char *text) {
        return value->text && text ? strcmp(value->text, text) == 0 : !value->text && !text;
}

static int value_copy(SecretValue *value, const char *text) {
        void *pages;
        int r;

        *value = (SecretValue) {};
        if (!text)
                return 0;
        r = secret_pages_new(&pages, strlen(text) + 1);
        if (r < 0)
                return r;
        *value = (SecretValue) { strcpy(pages, text), strlen(text) + 1 };
        return 0;
}

/* One that was rejected is no other one while it is still there; put back what it took the place of, and it is forgotten. */
static bool is_other(Secret *secret, const char *text) {
        if (value_is(&secret->value, text)) {
                value_done(&secret->rejected);
                return false;
        }
        return !text || !value_is(&secret->rejected, text);
}

/* NULL: there is none any more. What was in use, and not only tried, can come back. */
static int set_value(Secret *secret, const char *text) {
        SecretValue value;
        int r;

        r = value_copy(&value, text);
        if (r < 0)
                return r;
        if (secret->former.text || !secret->value.text || !text)
                value_done(&secret->value);
        else
                secret->former = secret->value;
        secret->value = value;
        value_done(&secret->rejected);
        return 0;
}

static Secret *secret_free_entry(Secret *secret) {
        value_done(&secret->value);
        value_done(&secret->former);
        value_done(&secret->rejected);
        free(secret->problem);
        free(secret->text);
        free(secret);
        return NULL;
}

static Secret *find(const Secrets *secrets, const char *reference) {
        for (Secret *secret = secrets ? secrets->list : NULL; secret; secret = secret->next)
                if (text_equal(secret->text, reference))
                        return secret;
        return NULL;
}

int secrets_resolve(const Secrets *secrets, const char *reference, char **ret) {
        const Secret *secret = find(secrets, reference);

        if (!secret)
                return secret_reference_is_remote(reference) ? -EAGAIN : secret_resolve(reference, ret);
        if (!secret->value.text)
                return is_remote(secret) ? -EAGAIN : -ENOENT;
        *ret = strdup(secret->value.text);
        return *ret ? 0 : -ENOMEM;
}

bool secrets_is_new(const Secrets *secrets, const char *reference) {
        const Secret *secret = find(secrets, reference);

        return secret && secret->former.text;
}

void secrets_reject(Secrets *secrets, const char *reference) {
        Secret *secret = find(secrets, reference);

        if (!secret || !secret->former.text)
                return;
        value_done(&secret->rejected);
        secret->rejected = secret->value;
        secret->value = secret->former;
        secret->former = (SecretValue) {};
}

void secrets_accept_all(Secrets *secrets) {
        for (Secret *secret = secrets->list; secret; secret = secret->next)
                value_done(&secret->former);
}

/* ------------------------------------------------------------------ managers */

static void schedule(Secrets *secrets) {
        usec_t due = USEC_INFINITY;

        for (Secret *secret = secrets->list; secret; secret = secret->next)
                if (!secrets->fetched[secret->reference.place])
                        due = MIN(due, secret->due);
        if (due != USEC_INFINITY)
                (void) sd_event_source_set_time(secrets->timer, due);
        (void) sd_event_source_set_enabled(secrets->timer, due == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* Many hosts that started together do not ask together for ever. */
static usec_t next_refresh(const Secrets *secrets) {
        usec_t refresh = secrets->settings->secrets.refresh;
        uint32_t chance = 0;

        if (getrandom(&chance, sizeof(chance), 0) < 0)
                chance = 0;
        return refresh - (usec_t) ((double) refresh / REFRESH_SPREAD * chance / UINT32_MAX);
}

static usec_t next_try(const Secret *secret, usec_t retry_after) {
        usec_t pause = SECRET_RETRY_MIN;

        for (unsigned i = 1; i < secret->failures && pause < SECRET_RETRY_MAX; i++)
                pause *= 2;
        pause = MIN(pause, SECRET_RETRY_MAX);
        return MAX(pause, retry_after);
}

static void take_failure(Secret *secret, const char *message, usec_t retry_after) {
        Secrets *secrets = secret->secrets;

        if (!text_equal(secret->problem, message)) {
                free(secret->problem);
                secret->problem = strdup(message);
                log_warning("The secret %s can't be fetched: %s%s", secret->text, message,
                            secret->value.text ? "; the value of before is used on" : "");
        }
        if (++secret->failures == SECRET_FAILURES_TOLD && secrets->serving)
                secrets->hooks.failing(secret->text, message, secret->value.text, secrets->userdata);
        secret->due = time_now_monotonic() + next_try(secret, retry_after);
}

/* True: the value is another one. */
static bool take_value(Secret *secret, const char *value) {
        Secrets *secrets = secret->secrets;
        bool changed = is_other(secret, value);

        if (changed && set_value(secret, value) < 0) {
                take_failure(secret, "memory is short", 0);
                return false;
        }
        if (secret->failures >= SECRET_FAILURES_TOLD && secrets->serving)
                secrets->hooks.mended(secret->text, secrets->userdata);
        secret->failures = 0;
        free(secret->problem);
        secret->problem = NULL;
        secret->fetched_at = time_now_realtime();
        secret->due = time_now_monotonic() + next_refresh(secrets);
        return changed;
}

static void on_fetched(const SecretResult *result, void *userdata) {
        Secret *secret = userdata;
        Secrets *secrets = secret->secrets;
        bool refused = secret->refused, changed = false;

        secrets->fetched[secret->reference.place] = NULL;
        secret->refused = false;
        if (result->error < 0)
                take_failure(secret, result->message, result->retry_after);
        else
                changed = take_value(secret, result->value);
        schedule(secrets);
        if (!secrets->serving)
                return;
        if (changed)
                secrets->hooks.changed(secret->text, secrets->userdata);
        else if (refused)
                secrets->hooks.unchanged(secret->text, secrets->userdata);
}

/* Each manager fetches what has been due the longest. */
static void fetch_due(Secrets *secrets) {
        usec_t now = time_now_monotonic();

        for (size_t place = SECRET_AWS; place < MANAGERS; place++) {
                Secret *due = NULL;
                int r;

                if (!secrets->managers[place] || secrets->fetched[place])
                        continue;
                for (Secret *secret = secrets->list; secret; secret = secret->next)
                        if (secret->reference.place == place && secret->due <= now && (!due || secret->due < due->due))
                                due = secret;
                if (!due)
                        continue;
                secrets->fetched[place] = due;
                r = secret_manager_fetch(secrets->managers[place], secrets->http, &secrets->settings->secrets, &due->reference,
                                         on_fetched, due);
                if (r < 0)
                        on_fetched(&(SecretResult) { .error = r, .message = strerror(-r) }, due);
        }
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Secrets *secrets = userdata;

        fetch_due(secrets);
        schedule(secrets);
        return 0;
}

/* What is under way is begun anew by the next fetch_due(). */
static void cancel_fetches(Secrets *secrets) {
        for (size_t place = SECRET_AWS; place < MANAGERS; place++) {
                if (secrets->managers[place])
                        secret_manager_cancel(secrets->managers[place]);
                secrets->fetched[place] = NULL;
        }
}

bool secrets_refetch(Secrets *secrets, const char *reference) {
        Secret *secret = find(secrets, reference);
        usec_t now = time_now_monotonic();

        if (!secret || !is_remote(secret))
                return false;
        if (secret->refused)
                return true;
        if (secret->refused_at > 0 && now < secret->refused_at + SECRET_REFUSED_PAUSE)
                return false;
        secret->refused = true;
        secret->refused_at = secret->due = now;
        schedule(secrets);
        return true;
}

bool secrets_refetching(const Secrets *secrets, const char *reference) {
        const Secret *secret = find(secrets, reference);

        return secret && secret->refused;
}

/* ------------------------------------------------------------------ files */

static bool same_folder(const Secret *a, const Secret *b) {
        size_t length = (size_t) (strrchr(a->reference.name, '/') - a->reference.name);

        return strncmp(a->reference.name, b->reference.name, length + 1) == 0 && !strchr(b->reference.name + length + 1, '/');
}

static int read_file(Secret *secret, bool *changed) {
        _cleanup_(secret_freep) char *value = NULL;
        int r = secret_resolve(secret->text, &value);

        /* One that can't be read is not taken away for that. */
        if (r < 0 && r != -ENOENT) {
                log_warning("The secret %s can't be read: %s", secret->text, strerror(-r));
                return 0;
        }
        if (!is_other(secret, value))
                return 0;
        *changed = true;
        return set_value(secret, value);
}

/* Those in the folder of `first`, all of one generation. */
static int read_folder(Secrets *secrets, const Secret *first, bool *changed) {
        for (unsigned i = 0; i < FILE_READS_MAX; i++) {
                _cleanup_free_ char *before = secret_files_generation(first->reference.name), *after = NULL;

                for (Secret *secret = secrets->list; secret; secret = secret->next) {
                        int r = secret->reference.place == SECRET_FILE && same_folder(first, secret) ? read_file(secret, changed) : 0;

                        if (r < 0)
                                return r;
                }
                after = secret_files_generation(first->reference.name);
                if (text_equal(before, after))
                        return 0;
        }
        return 0;
}

static int read_files(Secrets *secrets, bool *changed) {
        int r = 0;

        for (Secret *secret = secrets->list; secret && r >= 0; secret = secret->next)
                if (secret->reference.place == SECRET_FILE)
                        r = read_folder(secrets, secret, changed);
        return r;
}

static void on_files_changed(void *userdata) {
        Secrets *secrets = userdata;
        bool changed = false;
        int r;

        r = read_files(secrets, &changed);
        if (r < 0)
                (void) log_error_errno(r, "secrets in files can't be read");
        if (changed)
                secrets->hooks.changed(NULL, secrets->userdata);
}

static void watch_files(Secrets *secrets) {
        secret_files_forget(secrets->files);
        for (Secret *secret = secrets->list; secret; secret = secret->next) {
                int r = secret->reference.place == SECRET_FILE ? secret_files_watch(secrets->files, secret->reference.name) : 0;

                if (r < 0)
                        log_warning("The folder of %s can't be watched for changes: %s", secret->text, strerror(-r));
        }
}

/* ------------------------------------------------------------------ what is wanted */

static int want(Secrets *secrets, const char *text) {
        SecretReference reference;
        Secret *secret;
        int r;

        if (secret_reference_parse(text, &reference) < 0 ||
            (reference.place != SECRET_FILE && reference.place < SECRET_AWS))
                return 0;
        if ((secret = find(secrets, text))) {
                secret->wanted = true;
                return 0;
        }
        if (reference.place != SECRET_FILE && !secrets->managers[reference.place]) {
                r = secret_manager_new(&secrets->managers[reference.place], reference.place);
                if (r < 0)
                        return r;
        }
        secret = calloc(1, sizeof(*secret));
        if (!secret || !(secret->text = strdup(text))) {
                free(secret);
                return -ENOMEM;
        }
        secret->secrets = secrets;
        secret->reference = reference;
        secret->due = reference.place == SECRET_FILE ? USEC_INFINITY : time_now_monotonic();
        secret->wanted = true;
        secret->next = secrets->list;
        secrets->list = secret;
        return 0;
}

static int want_all(Secrets *secrets, char *const *references) {
        int r = 0;

        for (; references && *references && r >= 0; references++)
                r = want(secrets, *references);
        return r;
}

static int want_of_settings(Secrets *secrets, const Settings *settings) {
        const ConfGroups *providers = &settings->common.providers, *webhooks = &settings->common.webhooks;
        int r = 0;

        for (size_t i = 0; i < providers->count && r >= 0; i++) {
                const ProviderConf *provider = providers->items[i];

                if (!provider->enabled)
                        continue;
                if (provider->keys && provider->keys[0])
                        r = want_all(secrets, provider->keys);
                else if (provider->key)
                        r = want(secrets, provider->key);
        }
        for (size_t i = 0; i < webhooks->count && r >= 0; i++)
                r = want_all(secrets, ((const WebhookConf *) webhooks->items[i])->secrets);
        return r;
}

static void forget_unwanted(Secrets *secrets) {
        for (Secret **link = &secrets->list; *link;) {
                Secret *secret = *link;

                if (secret->wanted) {
                        secret->wanted = false;
                        link = &secret->next;
                } else {
                        *link = secret->next;
                        (void) secret_free_entry(secret);
                }
        }
}

int secrets_follow(Secrets *secrets, const Settings *settings) {
        bool changed = false;
        int r;

        cancel_fetches(secrets);
        secrets->settings = settings;
        r = want_of_settings(secrets, settings);
        if (r < 0)
                return r;
        forget_unwanted(secrets);
        watch_files(secrets);
        r = read_files(secrets, &changed);
        schedule(secrets);
        return r;
}

/* ------------------------------------------------------------------ building */

static bool all_tried(const Secrets *secrets) {
        for (const Secret *secret = secrets->list; secret; secret = secret->next)
                if (is_remote(secret) && !secret->value.text && secret->failures == 0)
                        return false;
        return true;
}

/* In a loop of its own: nobody is served before. */
static int fetch_all(Secrets *secrets) {
        usec_t now, deadline = time_now_monotonic() + SECRET_START_USEC;
        _cleanup_(http_client_freep) HttpClient *http = NULL;
        sd_event *event;
        int r;

        if (all_tried(secrets))
                return 0;
        r = sd_event_new(&event);
        if (r < 0)
                return r;
        r = http_client_new(&http, event, START_CONNECTIONS_MAX);
        secrets->http = http;
        while (r >= 0 && !all_tried(secrets) && (now = time_now_monotonic()) < deadline) {
                fetch_due(secrets);
                r = all_tried(secrets) ? 0 : sd_event_run(event, deadline - now);
        }
        cancel_fetches(secrets);
        http = http_client_free(http);
        (void) sd_event_unref(event);
        return r;
}

int secrets_new(Secrets **ret, sd_event *event, HttpClient *http, const Settings *settings, const SecretsHooks *hooks,
                void *userdata) {
        _cleanup_(secrets_freep) Secrets *secrets = calloc(1, sizeof(*secrets));
        int r;

        if (!secrets)
                return -ENOMEM;
        secrets->event = sd_event_ref(event);
        secrets->hooks = *hooks;
        secrets->userdata = userdata;
        r = sd_event_add_time(event, &secrets->timer, CLOCK_MONOTONIC, 0, ACCURACY_USEC, on_timer, secrets);
        if (r >= 0)
                r = sd_event_source_set_enabled(secrets->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = secret_files_new(&secrets->files, event, on_files_changed, secrets);
        if (r >= 0)
                r = secrets_follow(secrets, settings);
        if (r >= 0)
                r = fetch_all(secrets);
        if (r < 0)
                return r;
        secrets->http = http;
        secrets->serving = true;
        schedule(secrets);
        *ret = TAKE_PTR(secrets);
        return 0;
}

Secrets *secrets_free(Secrets *secrets) {
        if (!secrets)
                return NULL;
        cancel_fetches(secrets);
        for (size_t place = SECRET_AWS; place < MANAGERS; place++)
                (void) secret_manager_free(secrets->managers[place]);
        secrets->files = secret_files_free(secrets->files);
        forget_unwanted(secrets);
        (void) sd_event_source_disable_unref(secrets->timer);
        (void) sd_event_unref(secrets->event);
        free(secrets);
        return NULL;
}

int secrets_describe(const Secrets *secrets, JsonValue *array) {
        int r = 0;

        for (const Secret *secret = secrets->list; secret && r >= 0; secret = secret->next) {
                _cleanup_(json_freep) JsonValue *fact = json_new_object();
                _cleanup_free_ char *name = text_format("secret.%s", secret->text), *value = NULL;
                char stamp[TIME_STAMP_MAX];

                if (!is_remote(secret))
                        continue;
                if (!secret->value.text)
                        value = text_format("not there: %s", secret->problem ?: "being fetched");
                else
                        value = text_format("fetched %s%s%s%s", time_format_stamp(secret->fetched_at, stamp),
                                            secret->problem ? "; not since: " : "", secret->problem ?: "",
                                            secret->rejected.text ? "; the value of before is used, as its provider refuses the "
                                                                    "new one" : "");
                r = name && value ? json_add_string(fact, "name", name) : -ENOMEM;
                if (r >= 0)
                        r = json_add_string(fact, "value", value);
                if (r >= 0)
                        r = json_append(array, TAKE_PTR(fact));
        }
        return r;
}
