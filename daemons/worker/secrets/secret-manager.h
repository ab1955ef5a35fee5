/* A service that keeps secrets and hands them out over HTTPS: AWS Secrets Manager, Azure Key Vault, HashiCorp Vault.
 *
 * One secret is fetched at a time. What a manager needs for it (the credentials of a role, a token) it gets by itself and
 * keeps in memory until shortly before it expires, or is refused. Nothing is retried here but once, with new credentials. */
#pragma once

#include "conf/settings.h"
#include "io/http-client.h"

#define SECRET_REQUEST_USEC (5 * USEC_PER_SEC)             /* of each request; a fetch takes up to four */
#define SECRET_METADATA_USEC (2 * USEC_PER_SEC)            /* of those to a metadata service … */
#define SECRET_METADATA_CONNECT_USEC USEC_PER_SEC          /* … which is near, or not there */
#define SECRET_ANSWER_BYTES_MAX (2 * SECRET_BYTES_MAX + 16 * 1024)

typedef struct SecretManager SecretManager;

typedef struct SecretResult {
        int error;            /* 0; -ENOENT: there is no such secret, or no such member; -EACCES: refused; -EBADMSG: the answer
                               * is none; -EAGAIN: anything that may be otherwise soon; -ENOMEM */
        const char *value;    /* NULL with an error */
        const char *message;  /* why, for people, without secrets */
        usec_t retry_after;   /* 0: not told */
} SecretResult;

/* Exactly once for each fetch that is not cancelled, from the loop of its client. May start the next one. */
typedef void (*SecretFetched)(const SecretResult *result, void *userdata);

/* `place` is one that is remote. -EINVAL for others. */
int secret_manager_new(SecretManager **ret, SecretPlace place);
SecretManager *secret_manager_free(SecretManager *manager);  /* what is under way is cancelled */
DEFINE_CLEANUP(SecretManager *, secret_manager_free);

/* "AWS Secrets Manager" */
const char *secret_manager_name(const SecretManager *manager);

/* `http`, `settings` and `reference` outlive the fetch. -EBUSY: one is under way. An error that is returned is not told once
 * more. */
int secret_manager_fetch(SecretManager *manager, HttpClient *http, const SecretsSettings *settings,
                         const SecretReference *reference, SecretFetched done, void *userdata);
void secret_manager_cancel(SecretManager *manager);
bool secret_manager_busy(const SecretManager *manager);
