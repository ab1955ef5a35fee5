/* The secrets that can change while the worker runs: those of files, and those that secret managers keep.
 *
 * Those of managers are fetched before the worker serves, each `secrets.refresh` again, and when a provider refuses the key
 * that one is. A value that was fetched once is used, whatever becomes of the manager, until it has another one; it is in memory
 * alone, in locked pages. A failure is tried again after a pause that doubles from SECRET_RETRY_MIN to SECRET_RETRY_MAX, or
 * that the manager names. Where there is no such secret any more, the value is used on as well: what is deleted there by mistake
 * shall not stop anything here; who wants a key not to be used revokes it at the provider.
 *
 * Files are watched by their folders. Those of one folder are read together: a Kubernetes mount changes all at once, by
 * exchanging its link ..data, and is read again when that has happened meanwhile. */
#pragma once

#include <systemd/sd-event.h>

#include "base/json.h"
#include "conf/settings.h"
#include "io/http-client.h"

#define SECRET_RETRY_MIN USEC_PER_SEC
#define SECRET_RETRY_MAX (5 * USEC_PER_MINUTE)
#define SECRET_START_USEC (10 * USEC_PER_SEC)      /* for which a start waits for managers */
#define SECRET_FAILURES_TOLD 3                     /* in a row: then people are told */
#define SECRET_REFUSED_PAUSE (30 * USEC_PER_SEC)   /* between two fetches because of what a provider refuses */

typedef struct Secrets Secrets;

typedef struct SecretsHooks {
        void (*changed)(const char *reference, void *userdata);     /* secrets_resolve() gives other values than before; NULL:
                                                                     * of files */
        /* It was fetched because it was refused, and the value is the same, or could not be fetched. */
        void (*unchanged)(const char *reference, void *userdata);
        void (*failing)(const char *reference, const char *message, bool kept, void *userdata);  /* the SECRET_FAILURES_TOLDth */
        void (*mended)(const char *reference, void *userdata);      /* after failing() */
} SecretsHooks;

/* Fetches what the settings name, for as long as SECRET_START_USEC, in a loop of its own; what is not there then comes later. */
int secrets_new(Secrets **ret, sd_event *event, HttpClient *http, const Settings *settings, const SecretsHooks *hooks,
                void *userdata);
Secrets *secrets_free(Secrets *secrets);
DEFINE_CLEANUP(Secrets *, secrets_free);

/* New settings: what they do not name is forgotten, what is new is fetched. They outlive the next call or the secrets. */
int secrets_follow(Secrets *secrets, const Settings *settings);

/* As secret_resolve(), also for references to managers: -EAGAIN while there is no value yet. `secrets` may be NULL. */
int secrets_resolve(const Secrets *secrets, const char *reference, char **ret);

/* A value that has taken the place of another one is new until somebody has judged it: a new one that is rejected gives its place
 * back, and is not taken again as long as its manager, or its file, has no other one. One that has taken no other's place
 * is never new. */
bool secrets_is_new(const Secrets *secrets, const char *reference);
void secrets_reject(Secrets *secrets, const char *reference);
void secrets_accept_all(Secrets *secrets);

/* A provider refuses the value. True: it is being fetched anew, and changed() or unchanged() will be told. False: it is of no
 * manager, or was fetched just now. */
bool secrets_refetch(Secrets *secrets, const char *reference);
bool secrets_refetching(const Secrets *secrets, const char *reference);

/* Appends {name, value} for each secret of a manager: since when there is a value, and what is wrong. */
int secrets_describe(const Secrets *secrets, JsonValue *array);
